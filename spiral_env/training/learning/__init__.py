"""What the algorithms share: networks, losses, returns, gradients, normalisation and the rollout they learn from."""
