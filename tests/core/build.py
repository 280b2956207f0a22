"""Short ways to write facts down in tests. Amounts of `cpu` are whole cores; every other resource is in its own
unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.plan import Admit, Evict, Plan
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.queues import (
    ClusterQueue,
    Cohort,
    FlavorFungibility,
    FlavorQuotas,
    LocalQueue,
    Namespace,
    Preemption,
    PreemptionPolicy,
    QueueingStrategy,
    Quota,
    ResourceFlavor,
    ResourceGroup,
)
from roadstead.model.selection import LabelSelector
from roadstead.model.workload import Admission, PodClass, PodSet, PodSetAssignment, Workload, WorkloadState, total

QUOTA_ONLY = Rules(place_all=False)
SECOND = 1_000_000_000

Limits = int | tuple[int | None, ...]
"""nominal, or (nominal, borrowing limit), or (nominal, borrowing limit, lending limit); None: no limit."""

NEVER, LOWER, NEWER, ANY = (
    PreemptionPolicy.NEVER,
    PreemptionPolicy.LOWER_PRIORITY,
    PreemptionPolicy.LOWER_OR_NEWER_EQUAL_PRIORITY,
    PreemptionPolicy.ANY,
)


def units(resource: str, amount: float) -> int:
    return round(amount * 1000) if resource == "cpu" else round(amount)


def quota(resource: str, limits: Limits) -> Quota:
    values = list(limits) if isinstance(limits, tuple) else [limits]
    values += [None] * (3 - len(values))
    nominal, borrowing, lending = (None if v is None else units(resource, v) for v in values)
    assert nominal is not None
    return Quota(nominal, borrowing, lending)


def groups(cells: Mapping[str, Mapping[str, Limits]]) -> tuple[ResourceGroup, ...]:
    """One resource group: {flavor: {resource: limits}}."""
    if not cells:
        return ()
    resources = tuple(next(iter(cells.values())))
    flavors = tuple(
        FlavorQuotas(flavor, tuple((resource, quota(resource, limits)) for resource, limits in quotas.items()))
        for flavor, quotas in cells.items()
    )
    return (ResourceGroup(resources, flavors),)


def queue(
    name: str,
    cells: Mapping[str, Mapping[str, Limits]] | Limits,
    cohort: str = "",
    *,
    within: PreemptionPolicy = NEVER,
    reclaim: PreemptionPolicy = NEVER,
    borrow: PreemptionPolicy = NEVER,
    threshold: int | None = None,
    strict: bool = False,
    fungibility: FlavorFungibility | None = None,
    **more: Any,
) -> ClusterQueue:
    """A ClusterQueue open to every namespace; a bare number means cpu of flavor `default`."""
    table = cells if isinstance(cells, Mapping) else {"default": {"cpu": cells}}
    return ClusterQueue(
        name,
        groups(table),
        cohort,
        QueueingStrategy.STRICT_FIFO if strict else QueueingStrategy.BEST_EFFORT_FIFO,
        LabelSelector(),
        Preemption(within, reclaim, borrow, threshold),
        fungibility or FlavorFungibility(),
        **more,
    )


def cohort(name: str, limits: Limits | Mapping[str, Mapping[str, Limits]] = 0, parent: str = "") -> Cohort:
    table = limits if isinstance(limits, Mapping) else {"default": {"cpu": limits}}
    return Cohort(name, parent, groups(table))


def pods(count: int = 1, name: str = "main", min_count: int | None = None, **requests: float) -> PodSet:
    """A pod set; each pod requests these amounts (cpu in cores)."""
    found = tuple(sorted((resource, units(resource, amount)) for resource, amount in requests.items()))
    return PodSet(name, count, PodClass(found), min_count)


def work(
    name: str,
    to: str,
    cpu: float | None = None,
    *,
    priority: int = 0,
    at: int = 0,
    pod_sets: Sequence[PodSet] | None = None,
    **more: Any,
) -> Workload:
    """A pending workload in ClusterQueue `to` (through the LocalQueue of that name), created `at` seconds."""
    sets = tuple(pod_sets) if pod_sets is not None else (pods(cpu=cpu or 0),)
    return Workload("team", name, f"uid-{name}", to, sets, at * SECOND, at * SECOND, priority, **more)


def world(*facts: Any) -> World:
    """A world with a namespace, a LocalQueue for every ClusterQueue, and an empty ResourceFlavor for every flavor they
    name."""
    made = World()
    made.apply(Namespace("team"))
    given = {fact.name for fact in facts if isinstance(fact, ResourceFlavor)}
    for fact in facts:
        if isinstance(fact, ClusterQueue):
            for group in fact.resource_groups:
                for flavor in group.flavors:
                    if flavor.flavor not in given:
                        made.apply(ResourceFlavor(flavor.flavor))
            made.apply(LocalQueue("team", fact.name, fact.name))
    for fact in facts:
        made.apply(fact)
    return made


def run(made: World, *workloads: Workload, now: int = 1, flavor: str = "default") -> None:
    """Make these workloads hold quota on `flavor`, in this order of reservation, whatever the quota says."""
    for at, fact in enumerate(workloads):
        assigned = tuple(
            PodSetAssignment(
                ps.name,
                ps.count,
                tuple((resource, flavor) for resource, _ in ps.pod.requests),
                tuple(total(ps.pod, ps.count).items()),
            )
            for ps in fact.pod_sets
        )
        local = made.local_queue(fact.namespace, fact.queue)
        made.apply(
            replace(
                fact,
                state=WorkloadState.RESERVED,
                admission=Admission(local.cluster_queue if local else fact.queue, assigned),
                reserved_at=(now + at) * SECOND,
                admitted=True,
            )
        )


def step(made: World, now: int = 1000, rules: Rules = QUOTA_ONLY) -> Plan:
    """One cycle, assumed."""
    plan = cycle(made, now * SECOND, rules)
    made.assume(plan)
    return plan


def admitted(plan: Plan) -> list[str]:
    return [command.workload[1] for command in plan.commands if isinstance(command, Admit)]


def evicted(plan: Plan) -> dict[str, str]:
    """Victim -> reason of preemption (or of eviction)."""
    return {
        command.workload[1]: command.preemption_reason or command.reason.value
        for command in plan.commands
        if isinstance(command, Evict)
    }


def flavors(plan: Plan, name: str) -> list[dict[str, str]]:
    """What each pod set of an admitted workload got."""
    for command in plan.commands:
        if isinstance(command, Admit) and command.workload[1] == name:
            return [dict(pod_set.flavors) for pod_set in command.admission.pod_sets]
    raise AssertionError(f"{name} was not admitted: {plan}")
