"""What a workload uses, from its admission or from its requests."""

from __future__ import annotations

from roadstead.core.quota.tree import QuotaTree, Slot, Usage
from roadstead.model.workload import Admission, Workload


def admission_usage(tree: QuotaTree, admission: Admission, fact: Workload) -> Usage:
    """Cells held by an admission, less the pods that need no quota any more (kueue.md 2.10).

    Pods reported as done lower the count only below what was admitted: an admission of fewer pods already left them out.
    """
    wanted = {pod_set.name: pod_set.count for pod_set in fact.pod_sets}
    for name, count in fact.reclaimable:
        if name in wanted:
            wanted[name] = max(0, wanted[name] - count)
    total: dict[Slot, int] = {}
    for pod_set in admission.pod_sets:
        amounts = dict(pod_set.usage)
        admitted = pod_set.count
        needed = wanted.get(pod_set.name, admitted)
        for resource, flavor in pod_set.flavors:
            amount = amounts.get(resource, 0)
            if needed < admitted:
                amount = amount // admitted * needed
            slot = tree.slot((flavor, resource))
            total[slot] = total.get(slot, 0) + amount
    return tuple(total.items())
