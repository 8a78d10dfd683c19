"""IT by one ranking of vulnerabilities: CVSS first, EPSS first, KEV first, and the hybrid risk score of study [4].

All else is the average firm's, so that they differ in what is patched first alone. What the lever allows: ``triage``
moves the score of the queue from CVSS to EPSS (at a half) to EPSS x revenue at risk (at one), but EPSS weighs only as
much as is known of it, ``triage_public`` + (1 - ``triage_public``) x the mean of intelligence, disclosure and sharing.
So CVSS first is pure in every world, and the others are mixed with CVSS unless the world sets ``triage_public`` to 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spiral_env.agents.rules import Rules
from spiral_env.roles.public import TIERS

__all__ = ["CvssFirst", "EpssFirst", "HybridRisk", "KevFirst"]

_BATCH, _NOW = 0.5, 1.0


class CvssFirst(Rules):
    """The most severe first: the practice of compliance rules (CVSS 3.1; PCI DSS 4.0, 6.3.3)."""

    name, roles = "cvss_first", ("it",)
    triage = 0.0

    def choose(self, see: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray | float]:
        """The place of the triage lever."""
        return {"triage": self.triage}


class EpssFirst(CvssFirst):
    """The likeliest to be exploited within 30 days first (Jacobs et al. 2021, 2023)."""

    name, triage = "epss_first", 0.5


class HybridRisk(CvssFirst):
    """Likelihood x the revenue that a service puts at risk first: the hybrid score of study [4]."""

    name, triage = "hybrid_risk", 1.0


class KevFirst(EpssFirst):
    """What is known to be exploited at once, the rest in the usual window (CISA BOD 22-01).

    The queue cannot be ordered by the catalogue itself. But an entry has an EPSS of ``kev_epss`` at least, so EPSS
    first puts it forward; and a tier in which IT counts open entries goes to ``now``, which lands them this month and
    before other tiers.
    """

    name = "kev_first"

    def choose(self, see: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray | float]:
        """``now`` where an entry of the catalogue is open."""
        postures = {tier: np.where(see[f"kev_{tier}"] > 0.5, _NOW, _BATCH) for tier in TIERS}
        return {**super().choose(see), **postures}
