"""Settings every test runs under: one thread per process, fixed before numpy or torch is imported."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# Plots are written to files, never shown.
os.environ.setdefault("MPLBACKEND", "Agg")
