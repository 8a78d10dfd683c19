"""``spiral claims`` by another name: ``python -m tests.benchmarks.claims``."""

from __future__ import annotations

import sys

from spiral_env.commands import app
from spiral_env.commands._errors import exit_code

if __name__ == "__main__":
    sys.argv.insert(1, "claims")
    raise SystemExit(exit_code(app, sys.argv[1:]))
