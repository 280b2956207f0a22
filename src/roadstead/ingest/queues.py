"""Namespace, Topology, ResourceFlavor, AdmissionCheck, Cohort, ClusterQueue, LocalQueue -> their nouns in
`model.queues`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from roadstead.expr.quantity import QuantityError, parse
from roadstead.ingest.reading import Notes, amount, taint_of, time_of, toleration_of, view
from roadstead.kinds.object import Object
from roadstead.kinds.views.common import LabelSelectorView, QuantityLike, has_condition
from roadstead.kinds.views.kueue import (
    AdmissionCheckView,
    ClusterQueueView,
    CohortView,
    FairSharingView,
    FlavorFungibilityView,
    LocalQueueView,
    PreemptionView,
    ResourceFlavorView,
    ResourceGroupView,
    ResourceQuotaView,
    TopologyView,
)
from roadstead.model.queues import (
    AdmissionCheck,
    CheckRule,
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
    StopPolicy,
    Topology,
)
from roadstead.model.selection import LabelSelector, Requirement

Choice = TypeVar("Choice", QueueingStrategy, StopPolicy, PreemptionPolicy)

UNREADABLE = "Unreadable"
"""Reason of a ClusterQueue whose object can't be understood."""

BY_USAGE = "UsageBasedAdmissionFairSharing"
"""admissionMode of ClusterQueues whose LocalQueues take turns by what they used."""

_BORROW_OR_PREEMPT = {"Borrow": "MayStopSearch", "Preempt": "MayStopSearch"}
"""v1beta1's names (Kueue 1.2)."""


def namespace_of(obj: Object) -> Namespace:
    return Namespace(obj.meta.name, tuple(sorted(obj.meta.labels.items())))


def topology_of(obj: Object, notes: Notes) -> Topology | None:
    found = view(obj, TopologyView, notes)
    if found is None:
        return None
    return Topology(obj.meta.name, tuple(level.node_label for level in found.spec.levels))


def flavor_of(obj: Object, notes: Notes) -> ResourceFlavor | None:
    """A flavor that can't be read is not there: queues that name it are inactive."""
    found = view(obj, ResourceFlavorView, notes)
    if found is None:
        return None
    return ResourceFlavor(
        name=obj.meta.name,
        node_labels=tuple(sorted(found.spec.node_labels.items())),
        node_taints=tuple(taint_of(taint) for taint in found.spec.node_taints),
        tolerations=tuple(toleration_of(toleration) for toleration in found.spec.tolerations),
        topology=found.spec.topology_name,
    )


def admission_check_of(obj: Object, notes: Notes) -> AdmissionCheck | None:
    """A check that can't be read is not there: queues that name it are inactive."""
    found = view(obj, AdmissionCheckView, notes)
    if found is None:
        return None
    return AdmissionCheck(obj.meta.name, found.spec.controller_name, has_condition(found.status.conditions, "Active"))


def cohort_of(obj: Object, notes: Notes) -> Cohort:
    found = view(obj, CohortView, notes)
    if found is None:
        return Cohort(obj.meta.name)  # as if it were only named: no quota, no parent
    return Cohort(
        name=obj.meta.name,
        parent=found.spec.parent_name,
        resource_groups=_groups(found.spec.resource_groups, notes),
        fair_weight_milli=_weight(found.spec.fair_sharing, notes),
    )


def local_queue_of(obj: Object, notes: Notes) -> LocalQueue:
    found = view(obj, LocalQueueView, notes)
    if found is None:
        return LocalQueue(obj.meta.namespace, obj.meta.name, "", StopPolicy.HOLD)
    stop = _choice(StopPolicy, found.spec.stop_policy, StopPolicy.NONE, StopPolicy.HOLD, notes, "spec.stopPolicy")
    sharing = found.status.fair_sharing
    sample = sharing.admission_fair_sharing_status if sharing is not None else None
    return LocalQueue(
        obj.meta.namespace,
        obj.meta.name,
        found.spec.cluster_queue,
        stop,
        fair_weight_milli=_weight(found.spec.fair_sharing, notes),
        consumed=milli_amounts(sample.consumed_resources, notes) if sample is not None else (),
        sampled_at=time_of(sample.last_update, notes, "status.fairSharing") if sample is not None else 0,
    )


def milli_amounts(quantities: Mapping[str, QuantityLike], notes: Notes) -> tuple[tuple[str, int], ...]:
    """Thousandths of plain units, by resource; what can't be read is left out, with a note."""
    found = []
    for name, quantity in sorted(quantities.items()):
        try:
            found.append((name, max(parse(quantity).milli, 0)))
        except QuantityError as error:
            notes.append(f"consumedResources[{name}]: {quantity!r} is no quantity: {error}")
    return tuple(found)


def cluster_queue_of(obj: Object, notes: Notes) -> ClusterQueue:
    """One that can't be understood in a part that decides about admission is inactive, with a reason."""
    found = view(obj, ClusterQueueView, notes)
    is_terminating = obj.meta.deletion_timestamp is not None
    if found is None:
        return ClusterQueue(obj.meta.name, terminating=is_terminating, inactive_reasons=(UNREADABLE,))
    spec, before = found.spec, len(notes)
    groups = _groups(spec.resource_groups, notes)
    strategy = _choice(
        QueueingStrategy,
        spec.queueing_strategy,
        QueueingStrategy.BEST_EFFORT_FIFO,
        QueueingStrategy.BEST_EFFORT_FIFO,
        notes,
        "spec.queueingStrategy",
    )
    stop = _choice(StopPolicy, spec.stop_policy, StopPolicy.NONE, StopPolicy.HOLD, notes, "spec.stopPolicy")
    preemption = _preemption(spec.preemption, notes)
    weight = _weight(spec.fair_sharing, notes)
    reasons: tuple[str, ...] = (UNREADABLE,) if len(notes) > before else ()
    checks = spec.admission_checks_strategy
    return ClusterQueue(
        name=obj.meta.name,
        resource_groups=groups,
        cohort=spec.cohort_name,
        strategy=strategy,
        namespace_selector=_selector(spec.namespace_selector),
        preemption=preemption,
        fungibility=_fungibility(spec.flavor_fungibility),
        stop=stop,
        fair_weight_milli=weight,
        terminating=is_terminating,
        inactive_reasons=reasons,
        usage_based=spec.admission_scope is not None and spec.admission_scope.admission_mode == BY_USAGE,
        checks=tuple(CheckRule(rule.name, rule.on_flavors) for rule in checks.admission_checks) if checks else (),
    )


def _groups(groups: tuple[ResourceGroupView, ...], notes: Notes) -> tuple[ResourceGroup, ...]:
    return tuple(
        ResourceGroup(
            resources=group.covered_resources,
            flavors=tuple(
                FlavorQuotas(flavor.name, tuple((each.name, _quota(each, notes)) for each in flavor.resources))
                for flavor in group.flavors
            ),
        )
        for group in groups
    )


def _quota(quota: ResourceQuotaView, notes: Notes) -> Quota:
    def limit(quantity: QuantityLike | None, field: str) -> int | None:
        return None if quantity is None else amount(quota.name, quantity, notes, f"{field} of {quota.name}") or 0

    return Quota(
        nominal=amount(quota.name, quota.nominal_quota, notes, f"nominalQuota of {quota.name}") or 0,
        borrowing_limit=limit(quota.borrowing_limit, "borrowingLimit"),
        lending_limit=limit(quota.lending_limit, "lendingLimit"),
    )


def _choice(of: type[Choice], text: str | None, absent: Choice, unknown: Choice, notes: Notes, where: str) -> Choice:
    if not text:
        return absent
    try:
        return of(text)
    except ValueError:
        notes.append(f"{where}: {text!r} is none of {', '.join(of)}; taken as {unknown}")
        return unknown


def _preemption(preemption: PreemptionView | None, notes: Notes) -> Preemption:
    if preemption is None:
        return Preemption()

    def policy(text: str, field: str) -> PreemptionPolicy:
        never = PreemptionPolicy.NEVER
        return _choice(PreemptionPolicy, text, never, never, notes, f"spec.preemption.{field}")

    borrowing = preemption.borrow_within_cohort
    return Preemption(
        within_cluster_queue=policy(preemption.within_cluster_queue, "withinClusterQueue"),
        reclaim_within_cohort=policy(preemption.reclaim_within_cohort, "reclaimWithinCohort"),
        borrow_within_cohort=policy(borrowing.policy, "borrowWithinCohort") if borrowing else PreemptionPolicy.NEVER,
        borrow_max_priority=borrowing.max_priority_threshold if borrowing else None,
    )


def _fungibility(fungibility: FlavorFungibilityView | None) -> FlavorFungibility:
    if fungibility is None:
        return FlavorFungibility()
    default = FlavorFungibility()
    borrow = fungibility.when_can_borrow or default.when_can_borrow
    preempt = fungibility.when_can_preempt or default.when_can_preempt
    return FlavorFungibility(
        when_can_borrow=_BORROW_OR_PREEMPT.get(borrow, borrow),
        when_can_preempt=_BORROW_OR_PREEMPT.get(preempt, preempt),
        preference=fungibility.preference or default.preference,
    )


def _weight(sharing: FairSharingView | None, notes: Notes) -> int:
    if sharing is None or sharing.weight is None:
        return 1000
    try:
        return max(parse(sharing.weight).milli, 0)
    except QuantityError as error:
        notes.append(f"spec.fairSharing.weight: {sharing.weight!r} is no quantity: {error}")
        return 1000


def _selector(selector: LabelSelectorView | None) -> LabelSelector | None:
    if selector is None:
        return None
    labels = [Requirement(key, "In", (value,)) for key, value in sorted((selector.match_labels or {}).items())]
    labels += [
        Requirement(each.key, each.operator, tuple(each.values or ())) for each in selector.match_expressions or ()
    ]
    return LabelSelector(tuple(labels))
