"""The call graph of services and how far an attack on one of them reaches."""

from __future__ import annotations

from reference_parts.draws import Draws, Stream

__all__ = ["EDGE", "CORE", "INTERNAL", "Services"]

EDGE, CORE, INTERNAL = 0, 1, 2


class Services:
    """Tiers, calls from lower to higher numbers, criticality."""

    def __init__(self, p, draws: Draws, named=()) -> None:
        """Draw the graph: a quarter of the services is edge, a third core, the rest internal. Or take what is named."""
        if named:
            self._take(named)
            return
        self.count = int(p.num_services)
        edge, core = max(1, self.count // 4), max(1, self.count // 3)
        self.tier = [EDGE if k < edge else CORE if k < edge + core else INTERNAL for k in range(self.count)]
        self.calls: list[list[int]] = [[] for _ in range(self.count)]
        self._draw_calls(p, draws, edge + core)
        weights = [(1 + self.in_degree(k)) * (0.5 + draws.uniform(0, Stream.CRITICALITY, k)) for k in self]
        self.criticality = [weight / sum(weights) for weight in weights]

    def _take(self, named) -> None:
        """Services in the order of the world, with names, tiers, weights and whom they call."""
        names = [service.name for service in named]
        self.count = len(named)
        self.tier = [("edge", "core", "internal").index(service.tier) for service in named]
        self.calls = [sorted(names.index(callee) for callee in service.calls) for service in named]
        total = sum(service.criticality for service in named)
        self.criticality = [service.criticality / total for service in named]

    def __iter__(self):
        return iter(range(self.count))

    def of_tier(self, tier: int) -> list[int]:
        return [k for k in self if self.tier[k] == tier]

    def in_degree(self, k: int) -> int:
        return sum(k in called for called in self.calls)

    def _draw_calls(self, p, draws: Draws, upper: int) -> None:
        """Preferential attachment; .93 of the mean out-degree is spread over edge and core, .07 over internal."""
        for caller in self:
            share = 0.93 / upper if caller < upper else 0.07 / (self.count - upper)
            wanted = draws.poisson(0, Stream.GRAPH, caller, p.out_degree * self.count * share)
            for c in range(min(wanted, self.count - 1 - caller)):
                callee = self._pick(caller, draws.uniform(0, Stream.GRAPH, 64 + 64 * caller + c))
                if callee is not None:
                    self.calls[caller].append(callee)

    def _pick(self, caller: int, u: float) -> int | None:
        """A later service not yet called, in proportion to 1 + in-degree, x .08 unless its tier is deeper."""
        weights = {}
        for k in range(caller + 1, self.count):
            if k not in self.calls[caller]:
                weights[k] = (1 + self.in_degree(k)) * (1.0 if self.tier[k] > self.tier[caller] else 0.08)
        point = u * sum(weights.values())
        for k, weight in weights.items():
            point -= weight
            if point < 0.0:
                return k
        return None

    def reach(self, entry: int, chance: float) -> float:
        """Criticality reached from an entry: a service falls with 1 - prod over its callers (1 - chance P(caller))."""
        fallen = [0.0] * self.count
        fallen[entry] = 1.0
        for k in range(entry + 1, self.count):
            spared = 1.0
            for caller in range(entry, k):
                if k in self.calls[caller]:
                    spared *= 1.0 - chance * fallen[caller]
            fallen[k] = 1.0 - spared
        return sum(c * f for c, f in zip(self.criticality, fallen, strict=True))
