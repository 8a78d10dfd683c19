"""What knows nothing of the model: compilation, keyed draws, ledger, state and parameter records."""

__all__: list[str] = []
