"""How teams learn: IPPO and MAPPO, an evolution strategy, PPO of stable-baselines3 and of RLlib."""
