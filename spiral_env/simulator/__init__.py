"""How a month runs, compiled."""

__all__: list[str] = []
