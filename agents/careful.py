"""An example of a policy of one's own: the average firm, but careful when an alert is out."""

import numpy as np

from spiral_env.policy import StatusQuo
from spiral_env.roles import FEATURES, LEVERS


class Careful:
    """Patches at once the tier that an alert names; everything else, and every other role, as the average firm."""

    def __init__(self, role):
        self.average = StatusQuo(role)
        self.feature = {feature.name: k for k, feature in enumerate(FEATURES[role])}
        self.lever = {lever.name: k for k, lever in enumerate(LEVERS[role])}

    def reset(self, keys):
        """New episodes begin: forget the old ones. ``keys``, one an episode, may seed draws of your own."""

    def act(self, observation):
        """Observations [episodes, agents, features] to efforts in [0, 1], [episodes, agents, levers]."""
        efforts = self.average.act(observation)
        for tier in ("edge", "core", "internal"):
            if tier in self.lever:
                alert = observation[..., self.feature[f"alert_{tier}"]] > 0.5
                efforts[..., self.lever[tier]] = np.where(alert, 1.0, 0.5)
        return efforts
