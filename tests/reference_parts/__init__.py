"""The parts of ``tests/reference.py``: the month again, in plain Python, from MODEL.md."""
