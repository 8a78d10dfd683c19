"""``python -m spiral_env`` is ``spiral``."""

from spiral_env.cli import main

main()
