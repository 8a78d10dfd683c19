"""Stage 3: the governed pool creates value."""

__all__: list[str] = []
