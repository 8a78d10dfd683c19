"""A run and what surrounds it: its config, its folder and resume, sweeps over hyperparameters, plots."""
