"""``python -m spiral_env`` is ``spiral``."""

from spiral_env.commands import main

main()
