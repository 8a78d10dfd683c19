"""What happens: three stages in three domains, reinforced and fed back."""

__all__: list[str] = []
