"""Stage 2: the new, cross-domain risks are governed jointly."""

__all__: list[str] = []
