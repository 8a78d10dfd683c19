"""Benchmarks: parity first, compilation apart, ratios taken in one run."""
