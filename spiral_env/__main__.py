"""``python -m spiral_env`` is ``spiral``."""

import os
import sys

import spiral_env

# Python looks for modules in the working directory first, where a stranger's may lie: unless we do, leave it out.
if not sys.flags.safe_path and sys.path[0] == os.getcwd() != os.path.dirname(spiral_env.__path__[0]):
    del sys.path[0]

from spiral_env.commands import main

main()
