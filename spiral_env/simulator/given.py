"""What a world names itself rather than draws: its services, who calls whom, and what is open on them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from spiral_env.simulator.reset import NOT_SCORED

__all__ = ["Given"]


class Given(NamedTuple):
    """Services ``[S]``, sorted as the model needs them, and open findings ``[B]``, the first the oldest.

    Attributes:
        tier: 0 edge, 1 core, 2 internal; rising from 0.
        criticality: shares that add to one.
        calls: for each service the services behind it that it calls.
        tail: hazard of what is open on a service beyond the findings.
        service: index of a finding's service.
        kind: 0 code, 1 runtime, 2 dependency, 3 interaction.
        cvss: in [0, 10].
        epss: in (0, 1), or ``NOT_SCORED``.
        patch: ``PATCHED_NOW``, ``NO_PATCH`` or ``NOT_SAID``.
        kev: 1 if it is in the known-exploited catalogue.
    """

    tier: np.ndarray
    criticality: np.ndarray
    calls: tuple[tuple[int, ...], ...]
    tail: np.ndarray
    service: np.ndarray
    kind: np.ndarray
    cvss: np.ndarray
    epss: np.ndarray
    patch: np.ndarray
    kev: np.ndarray

    def write(self, record: Any) -> None:
        """Put all of it into the zeros of a record, from which ``open_episode`` makes an opening."""
        services, findings = len(self.tier), len(self.service)
        record["num_services"] = services
        record["service_tier"][:services] = self.tier
        record["criticality"][:services] = self.criticality
        record["tail"][:services] = self.tail
        record["calls_end"][:services] = np.cumsum([len(called) for called in self.calls])
        callees = [callee for called in self.calls for callee in called]
        record["callee"][: len(callees)] = callees
        record["num_open"] = findings
        columns = {"service": self.service, "class": self.kind, "cvss": self.cvss, "epss": self.epss, "kev": self.kev}
        for name, column in (columns | {"patch_month": self.patch}).items():
            record[f"v_{name}"][:findings] = column
        record["v_known"][:findings] = 1

    @property
    def scored(self) -> np.ndarray:
        """Whether a finding's EPSS is known ``[B]``."""
        return np.asarray(self.epss) != NOT_SCORED
