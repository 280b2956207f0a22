"""All that can be said about one workload that waits: what binds, what would bind next, and what would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead.core.explain.changes import Suggestion, suggestions
from roadstead.core.explain.lifting import those_behind
from roadstead.core.explain.why import why
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.refusals import Refusal, Verdict
from roadstead.model.workload import WorkloadKey


@dataclass(frozen=True, slots=True)
class Explanation:
    """`refusals`: as things are, the binding one first. `behind`: what would bind once that is gone, and so on;
    `all_known`: with all of these gone it would start. `suggestions`: changes of the request that would start it now,
    the smallest first."""

    refusals: tuple[Refusal, ...] = ()
    behind: tuple[Refusal, ...] = ()
    all_known: bool = True
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """What the binding constraint asks of whoever waits; None if nothing is in the way."""
        return self.refusals[0].verdict if self.refusals else None


NOTHING_IN_THE_WAY: Final = Explanation()


def explain(world: World, key: WorkloadKey, now: int, rules: Rules) -> Explanation:
    """Everything about a workload (or bare pod: only what binds). KeyError if there is neither. The world is left as
    found.

    Costs `why`, then at most a few dozen evaluations of this one workload.
    """
    refusals = why(world, key, now, rules).refusals
    if not refusals or key not in world.workloads:
        return Explanation(refusals)
    behind, all_known = those_behind(world, key, refusals[0], now, rules)
    helpful = suggestions(world, key, (*refusals, *behind), now, rules)
    return Explanation(refusals, behind, all_known, helpful)
