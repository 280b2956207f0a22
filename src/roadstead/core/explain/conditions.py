"""Kueue's own words: message of condition QuotaReserved=False (kueue.md 3.5.6, 3.7.2, 4.4), for tools that read
them."""

from __future__ import annotations

from typing import Final

from roadstead.core.plan import Verdicts
from roadstead.expr.quantity import from_canonical
from roadstead.model.refusals import Code, Refusal

MAX_MESSAGE: Final = 32768
"""Longer condition messages are cut (kueue.md 2.2)."""


def pending_message(verdicts: Verdicts) -> str:
    """Message of QuotaReserved=False: what Kueue says about this outcome. It names flavors and resources, never other
    tenants."""
    by_pod_set: dict[str, list[str]] = {}
    whole: list[str] = []
    suffix = ""
    for refusal in verdicts.refusals:
        if refusal.code is Code.PENDING_PREEMPTION:
            suffix = f". Pending the preemption of {refusal.needed} workload(s)"
        elif refusal.code is Code.NO_PREEMPTION_CANDIDATES:
            continue
        elif refusal.code is Code.PREEMPTION_LOOP:
            others = len(refusal.blockers)
            suffix += f". Preemption stopped: this workload and {others} other(s) displaced one another in a circle"
        elif (reason := _flavor_reason(refusal)) is not None:
            by_pod_set.setdefault(refusal.pod_set, []).append(reason)
        else:
            whole.append(_sentence(refusal))
    whole += [
        f"couldn't assign flavors to pod set {name}: {', '.join(sorted(reasons))}"
        for name, reasons in by_pod_set.items()
    ]
    return ("; ".join(whole) + suffix)[:MAX_MESSAGE]


def _flavor_reason(refusal: Refusal) -> str | None:
    flavor, resource = refusal.flavor, refusal.resource
    match refusal.code:
        case Code.WAITING_FOR_QUOTA:
            missing = from_canonical(resource, refusal.needed - refusal.available)
            return f"insufficient unused quota for {resource} in flavor {flavor}, {missing} more needed"
        case Code.EXCEEDS_MAX_QUOTA:
            earlier = dict(refusal.counts).get("earlier", 0)
            return (
                f"insufficient quota for {resource} in flavor {flavor}, previously considered podsets requests "
                f"({from_canonical(resource, earlier)}) + current podset request "
                f"({from_canonical(resource, refusal.needed - earlier)}) > maximum capacity "
                f"({from_canonical(resource, refusal.limit)})"
            )
        case Code.RESOURCE_NOT_COVERED:
            return f"resource {resource} unavailable in ClusterQueue"
        case Code.FLAVOR_NOT_FOUND:
            return f"flavor {flavor} not found"
        case Code.UNTOLERATED_TAINT:
            key, _, rest = refusal.subject.partition("=")
            value, _, effect = rest.rpartition(":")
            return f"untolerated taint {{{key} {value} {effect} <nil>}} in flavor {flavor}"
        case Code.NODE_AFFINITY_MISMATCH:
            return f"flavor {flavor} doesn't match node affinity"
        case Code.FLAVOR_TOPOLOGY_MISMATCH:
            match refusal.subject:
                case "only":
                    return f'Flavor "{flavor}" supports only TopologyAwareScheduling'
                case "none":
                    return f'Flavor "{flavor}" does not support TopologyAwareScheduling'
                case _:
                    return f'Flavor "{flavor}" does not contain the requested level'
        case (
            Code.NO_NODE_MATCHES
            | Code.NODES_EXHAUSTED
            | Code.DEVICES_EXHAUSTED
            | Code.TOPOLOGY_TOO_SMALL
            | Code.TOPOLOGY_FULL
        ):
            excluded = ", ".join(f"{cause}: {count}" for cause, count in refusal.counts)
            return "the pods do not fit on the nodes" + (f". Excluded: {excluded}" if excluded else "")
        case _:
            return None


def _sentence(refusal: Refusal) -> str:
    match refusal.code:
        case Code.NAMESPACE_MISMATCH:
            return "workload namespace doesn't match ClusterQueue selector"
        case Code.REQUESTS_ABOVE_LIMITS:
            return f"resource {refusal.resource} of pod set {refusal.pod_set}: requests exceed its limits"
        case Code.OUT_OF_LIMIT_RANGE:
            where = f".{refusal.subject}" if refusal.subject else ""
            side = "above the limitRange max" if refusal.needed > refusal.limit else "below the limitRange min"
            return (
                f"resources didn't satisfy LimitRange constraints: podSets[{refusal.pod_set}].template.spec{where}: "
                f"Invalid value: [{refusal.resource}]: requests must not be {side}"
            )
        case Code.CLAIM_NOT_FOUND:
            return f"claims of pod set {refusal.pod_set}: {refusal.subject} not found"
        case Code.CLAIM_UNUSABLE if refusal.limit:
            return f"claims of pod set {refusal.pod_set}: {refusal.subject} is in use by as many pods as may use it"
        case Code.CLAIM_UNUSABLE:
            return f"claims of pod set {refusal.pod_set}: {refusal.subject} is being deleted"
        case Code.CLAIM_INVALID:
            return f"claims of pod set {refusal.pod_set}: {refusal.subject}"
        case Code.OVERTAKEN_IN_CYCLE:
            if refusal.blockers:
                return "Workload has overlapping preemption targets with another workload"
            return "Workload no longer fits after processing another workload"
        case Code.WAITING_FOR_PODS_READY:
            return "waiting for all admitted workloads to be in PodsReady condition"
        case Code.QUEUE_NOT_FOUND:
            return f"LocalQueue {refusal.subject} doesn't exist"
        case Code.CLUSTER_QUEUE_NOT_FOUND:
            return f"ClusterQueue {refusal.subject} doesn't exist"
        case Code.CLUSTER_QUEUE_INACTIVE:
            return f"ClusterQueue {refusal.subject} is inactive"
        case Code.QUEUE_STOPPED:
            kind = "LocalQueue" if refusal.counts else "ClusterQueue"
            return f"{kind} {refusal.subject} is inactive"
        case Code.ADMISSION_GATED:
            return f"Admission is gated by: {refusal.subject}"
        case Code.CHECKS_FAILED:
            return "The workload has failed admission checks"
        case Code.WORKLOAD_INACTIVE:
            return "The workload is deactivated"
        case Code.BACKOFF:
            return "Workload is waiting for its back-off to end"
        case _:
            return "Workload is pending evaluation in the scheduling queue"
