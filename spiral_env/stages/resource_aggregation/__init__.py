"""Stage 1: scattered data, technology and capital are pooled."""

__all__: list[str] = []
