"""Constraints taken away one by one, on a trial: what would bind next if the binding one were gone.

Quota is raised, nodes are taken as endless, a stopped queue as open, a taint as tolerated ... each as far as its
refusal says and no further. Nothing of it is ever kept.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from roadstead.core.explain.why import as_if_first
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.amounts import PODS
from roadstead.model.queues import ClusterQueue, FlavorQuotas, Quota, ResourceFlavor, ResourceGroup, StopPolicy
from roadstead.model.refusals import Code, Refusal
from roadstead.model.selection import LabelSelector, Toleration
from roadstead.model.workload import PodClass, PodSet, TopologyRequest, WorkloadKey, WorkloadState

AT_MOST: Final = 8
"""So many constraints are looked for, one behind the other."""

OF_THE_FLEET: Final = frozenset(
    (
        Code.NO_NODE_MATCHES,
        Code.NODES_EXHAUSTED,
        Code.DEVICES_EXHAUSTED,
        Code.TOPOLOGY_TOO_SMALL,
        Code.TOPOLOGY_FULL,
    )
)
OF_THE_TURN: Final = frozenset((Code.BEHIND_HEAD, Code.OVERTAKEN_IN_CYCLE, Code.NOT_EVALUATED, Code.BACKOFF))
"""These end by themselves; lifted, it is the workload's turn."""


def those_behind(
    world: World, key: WorkloadKey, binding: Refusal, now: int, rules: Rules
) -> tuple[tuple[Refusal, ...], bool]:
    """(what would bind after `binding`, one behind the other; would the workload start once all of them are gone?).

    Found by lifting each in turn and evaluating again, AT_MOST times. False where something cannot be lifted (a queue
    that does not exist). The world is left as found.
    """
    found: list[Refusal] = []
    with world.trial():
        while True:
            relaxed = lift(world, key, binding, rules)
            if relaxed is None:
                return tuple(found), False
            rules = relaxed
            refusals = as_if_first(world, key, now, rules)
            if not refusals:
                return tuple(found), True
            if refusals[0] == binding or len(found) == AT_MOST:
                return tuple(found), False
            binding = refusals[0]
            found.append(binding)


def lift(world: World, key: WorkloadKey, refusal: Refusal, rules: Rules) -> Rules | None:
    """Take one constraint away (in the trial that is open); the rules under which to go on. None if that cannot be
    done."""
    queue: ClusterQueue | None = world.facts[ClusterQueue].get(("", world.workloads[key].cluster_queue))
    match refusal.code:
        case Code.WAITING_FOR_QUOTA | Code.EXCEEDS_MAX_QUOTA:
            return _with_quota(world, key, queue, refusal, rules)
        case code if code in OF_THE_FLEET:
            return _without_bounds_of_nodes(world, key, rules)
        case code if code in OF_THE_TURN:
            fact = world.workloads[key].fact
            world.apply(replace(fact, requeue_blocked=False, requeue_at=0))
            return rules
        case Code.PENDING_PREEMPTION:
            for victim in refusal.blockers:
                vacate(world, victim)
            return rules
        case Code.WORKLOAD_INACTIVE:
            world.apply(replace(world.workloads[key].fact, active=True))
            return rules
        case Code.ADMISSION_GATED | Code.ON_HOLD | Code.CHECKS_FAILED:
            world.apply(replace(world.workloads[key].fact, kept_out="", gated_by="", failed_checks=""))
            return rules
        case Code.QUEUE_STOPPED | Code.CLUSTER_QUEUE_INACTIVE | Code.NAMESPACE_MISMATCH:
            return _opened(world, key, queue, refusal, rules)
        case Code.FLAVOR_NOT_FOUND:
            world.apply(ResourceFlavor(refusal.flavor))
            return rules
        case (
            Code.UNTOLERATED_TAINT
            | Code.NODE_AFFINITY_MISMATCH
            | Code.FLAVOR_TOPOLOGY_MISMATCH
            | Code.REQUESTS_ABOVE_LIMITS
            | Code.OUT_OF_LIMIT_RANGE
            | Code.RESOURCE_NOT_COVERED
        ):
            fact = world.workloads[key].fact
            world.apply(
                replace(fact, pod_sets=tuple(_as_allowed(world, pod_set, refusal) for pod_set in fact.pod_sets))
            )
            return rules
        case _:
            return None


def vacate(world: World, key: WorkloadKey, *, queued_again: bool = False) -> None:
    """The workload has left, as after a preemption; unless it is `queued_again`, it asks for nothing."""
    standing = world.workloads.get(key)
    if standing is None:
        return
    if standing.assumed is not None:
        world.forget(standing.assumed)
    gone = replace(
        standing.fact, state=WorkloadState.PENDING, admission=None, placement=None, reserved_at=0, admitted=False,
        active=queued_again and standing.fact.active, evicted="Preempted",
    )  # fmt: skip
    world.apply(gone)


def _with_quota(
    world: World, key: WorkloadKey, queue: ClusterQueue | None, refusal: Refusal, rules: Rules
) -> Rules | None:
    """Enough nominal quota in one cell for all of the workload's pod sets, whoever else uses it: lending and borrowing
    limits on the way up do not eat it."""
    if queue is None:
        return None
    node = world.tables()[queue.name].node
    slot = world.tree.slot((refusal.flavor, refusal.resource))
    used = sum(max(0, above.usage.get(slot, 0)) for above in node.path())
    asked = sum(
        (1 if refusal.resource == PODS else dict(pod_set.pod.requests).get(refusal.resource, 0)) * pod_set.count
        for pod_set in world.workloads[key].fact.pod_sets
    )
    more = max(refusal.needed, asked) + used + abs(node.available(slot))

    def raised(quotas: FlavorQuotas) -> FlavorQuotas:
        if quotas.flavor != refusal.flavor:
            return quotas
        return FlavorQuotas(
            quotas.flavor,
            tuple(
                (name, Quota(quota.nominal + more, quota.borrowing_limit, quota.lending_limit))
                if name == refusal.resource
                else (name, quota)
                for name, quota in quotas.quotas
            ),
        )

    groups = tuple(
        ResourceGroup(group.resources, tuple(raised(quotas) for quotas in group.flavors))
        for group in queue.resource_groups
    )
    world.apply(replace(queue, resource_groups=groups))
    return rules


def _without_bounds_of_nodes(world: World, key: WorkloadKey, rules: Rules) -> Rules:
    """As if there were nodes enough, close enough together: quota alone decides."""
    for flavor in list(world.facts[ResourceFlavor].values()):
        if flavor.topology:
            world.apply(replace(flavor, topology=""))
    fact = world.workloads[key].fact
    if any(pod_set.topology is not None for pod_set in fact.pod_sets):
        world.apply(replace(fact, pod_sets=tuple(replace(pod_set, topology=None) for pod_set in fact.pod_sets)))
    return replace(rules, place_all=False)


def _opened(world: World, key: WorkloadKey, queue: ClusterQueue | None, refusal: Refusal, rules: Rules) -> Rules | None:
    if refusal.code is Code.QUEUE_STOPPED and refusal.counts:
        fact = world.workloads[key].fact
        local = world.local_queue(fact.namespace, fact.queue)
        if local is None:
            return None
        world.apply(replace(local, stop=StopPolicy.NONE))
        return rules
    if queue is None:
        return None
    if refusal.code is Code.NAMESPACE_MISMATCH:
        world.apply(replace(queue, namespace_selector=LabelSelector()))
    elif refusal.code is Code.QUEUE_STOPPED:
        world.apply(replace(queue, stop=StopPolicy.NONE))
    else:
        table = world.tables()[queue.name]
        for name in table.missing_flavors:
            world.apply(ResourceFlavor(name))
        for name in dict.fromkeys(flavor for group in table.groups for flavor in group.flavors):
            known = world.flavor(name)
            if known is not None and known.topology and world.topology(known.topology) is None:
                world.apply(replace(known, topology=""))
        cohort = "" if table.node.cyclic else queue.cohort
        world.apply(replace(queue, terminating=False, inactive_reasons=(), cohort=cohort))
    return rules


def _as_allowed(world: World, pod_set: PodSet, refusal: Refusal) -> PodSet:
    """The pod set with a template that the refusal would not be about."""
    pod = pod_set.pod
    if refusal.pod_set and refusal.pod_set != pod_set.name:
        return pod_set
    match refusal.code:
        case Code.UNTOLERATED_TAINT:
            return replace(pod_set, pod=tolerating(pod, refusal.subject))
        case Code.NODE_AFFINITY_MISMATCH:
            return replace(pod_set, pod=anywhere_in(world, pod, refusal.flavor))
        case Code.FLAVOR_TOPOLOGY_MISMATCH:
            request = None if refusal.subject == "none" else TopologyRequest(unconstrained=True)
            return replace(pod_set, topology=request)
        case Code.REQUESTS_ABOVE_LIMITS:
            return replace(pod_set, pod=replace(pod, limits_exceeded=()))
        case Code.OUT_OF_LIMIT_RANGE:
            return replace(pod_set, pod=replace(pod, out_of_range=()))
        case _:
            requests = tuple((name, amount) for name, amount in pod.requests if name != refusal.resource)
            return replace(pod_set, pod=replace(pod, requests=requests))


def tolerating(pod: PodClass, taint: str) -> PodClass:
    """Pods that tolerate a taint too, given as `key=value:effect`."""
    key, _, rest = taint.partition("=")
    value, _, effect = rest.rpartition(":")
    return replace(pod, tolerations=(*pod.tolerations, Toleration(key, "Equal", value, effect)))


def anywhere_in(world: World, pod: PodClass, flavor: str) -> PodClass:
    """Pods whose node selector and affinity say nothing about the labels of this flavor."""
    known = world.flavor(flavor)
    keys = {key for key, _ in known.node_labels} if known is not None else set()
    return replace(
        pod,
        node_selector=tuple((key, value) for key, value in pod.node_selector if key not in keys),
        node_affinity=() if pod.node_affinity else pod.node_affinity,
    )
