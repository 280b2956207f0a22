"""The facts of a workload as the rules let them count: what the world is given."""

from __future__ import annotations

from msgspec.structs import replace

from roadstead.core.queueing.readiness import under
from roadstead.core.rules import Rules
from roadstead.model.workload import Workload


def counted(fact: Workload, rules: Rules) -> Workload:
    """Its priority with the boost of its annotation where that counts (KEP-7990; kueue.md 2.13), its times as the
    policy about pods that are not ready has them."""
    if fact.boost:
        fact = replace(fact, priority=fact.priority + (fact.boost if rules.priority_boost else 0), boost=0)
    return fact if rules.pods_ready is None else under(rules.pods_ready, fact)
