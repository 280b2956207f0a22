"""What the workloads of a queue add up to: counts, and amounts per flavor and resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from roadstead.expr.quantity import QuantityError, canonical, from_canonical
from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.kueue import ResourceGroupView, WorkloadView
from roadstead.model.amounts import Cell


@dataclass(slots=True)
class Totals:
    """Sums over workloads that hold quota. `reserved` counts all of them, `used` the admitted ones."""

    reserving: int = 0
    admitted: int = 0
    reserved: dict[Cell, int] = field(default_factory=dict)
    used: dict[Cell, int] = field(default_factory=dict)


def add_up(holding: Iterable[Object]) -> Totals:
    """Totals of workloads that hold quota. O(workloads)."""
    totals = Totals()
    for workload in holding:
        view = workload.view(WorkloadView)
        is_admitted = has_condition(view.status.conditions, "Admitted")
        totals.reserving += 1
        totals.admitted += is_admitted
        for cell, amount in _usage(view).items():
            totals.reserved[cell] = totals.reserved.get(cell, 0) + amount
            if is_admitted:
                totals.used[cell] = totals.used.get(cell, 0) + amount
    return totals


def _usage(view: WorkloadView) -> dict[Cell, int]:
    """What a workload holds, less what its finished pods no longer need (kueue 2.10)."""
    found: dict[Cell, int] = {}
    reclaimed = {item.name: item.count for item in view.status.reclaimable_pods}
    admission = view.status.admission
    for assignment in admission.pod_set_assignments if admission is not None else ():
        count = assignment.count or 0
        left = max(0, count - reclaimed.get(assignment.name, 0))
        for resource, quantity in assignment.resource_usage.items():
            cell = (assignment.flavors.get(resource, ""), resource)
            try:
                amount = canonical(resource, quantity)
            except QuantityError:
                continue
            found[cell] = found.get(cell, 0) + (amount * left // count if count else amount)
    return found


def flavor_usage(
    groups: Iterable[ResourceGroupView], amounts: Mapping[Cell, int], *, borrowed: bool, has_cohort: bool = False
) -> list[Json]:
    """`flavorsReservation` or `flavorsUsage`: every cell of the queue in the order of its spec, with what is
    borrowed."""
    found = []
    for group in groups:
        for flavor in group.flavors:
            resources = []
            for quota in flavor.resources:
                amount = amounts.get((flavor.name, quota.name), 0)
                entry: Json = {"name": quota.name, "total": from_canonical(quota.name, amount)}
                if borrowed:
                    over = max(0, amount - _canonical(quota.name, quota.nominal_quota)) if has_cohort else 0
                    entry["borrowed"] = from_canonical(quota.name, over)
                resources.append(entry)
            found.append({"name": flavor.name, "resources": resources})
    return found


def _canonical(resource: str, quantity: str | int | float) -> int:
    try:
        return canonical(resource, quantity)
    except QuantityError:
        return 0
