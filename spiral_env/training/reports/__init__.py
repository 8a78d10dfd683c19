"""Reports on runs, sweeps and evaluations: gathered, drawn for papers, written as HTML and Markdown."""

from __future__ import annotations

from spiral_env.training.reports.material import Material, gather
from spiral_env.training.reports.report import FORMATS, Written, write_report

__all__ = ["FORMATS", "Material", "Written", "gather", "write_report"]
