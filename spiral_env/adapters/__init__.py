"""Foreign interfaces, one a file; each is imported only when asked for and names the extra it needs."""

__all__: list[str] = []
