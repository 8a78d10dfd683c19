"""Training where all stays on one device: simulator, networks, returns, gradients and optimiser.

The same algorithms, networks, normalisers, losses and files as on a CPU; here they work on torch tensors, and the host
waits for the device a few times an iteration, never within a rollout or an epoch. Every function also runs on tensors
of a CPU. Draws depend on the seed and the number of the iteration alone.
"""
