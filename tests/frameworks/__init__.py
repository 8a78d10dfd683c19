"""Each framework in its own environment: ``nox -s <framework>``."""
