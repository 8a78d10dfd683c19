"""The parts of a frame: each draws one group of a scene's quantities into a box of the canvas."""
