"""Own files in: what scanners, catalogues and a table of services say becomes a scenario."""

from __future__ import annotations

from spiral_env.data.importing import Imported, Input, import_files, input_of

__all__ = ["Imported", "Input", "import_files", "input_of"]
