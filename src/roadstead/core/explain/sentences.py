"""A refusal as a sentence in three beats: what, the numbers, what to do. Made from the refusal alone.

`sentence(refusal)` is for whoever may see everyone's workloads; `public_sentence(refusal)` names no other tenant's. Who
shows the beats on lines of their own takes `public_sentence` and `blockers_line`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from roadstead.core.fleet import claim_refusing, matching
from roadstead.expr.quantity import from_canonical
from roadstead.model.refusals import Code, Level, Refusal, Verdict

_CAUSES: Final = {
    matching.NOT_READY: "not ready",
    matching.UNSCHEDULABLE: "cordoned",
    matching.FLAVOR: "without the flavor's labels",
    matching.TAINT: "tainted",
    matching.SELECTOR: "without the labels asked for",
    matching.AFFINITY: "outside the affinity asked for",
    matching.CLAIM: "from where its ResourceClaim cannot be used",
    claim_refusing.UNMATCHED: "with too few devices that match",
    claim_refusing.TAINTED: "whose matching devices are tainted",
    claim_refusing.IN_USE: "whose matching devices are in use",
    claim_refusing.APART: "whose free devices cannot be combined as the claims ask",
}
"""Why a node was left out; any other cause is the name of a resource that it is short of."""


_WHOLE: Final = ("", "main")
"""Pod sets that are spoken of as the workload itself: none in particular, and the only one of a workload that has
one."""


def sentence(refusal: Refusal) -> str:
    """What stands in the way, with its numbers, then what to do about it; blockers are named."""
    names = [f"{namespace}/{name}" for namespace, name in refusal.blockers]
    return f"{_fact(refusal)}{' ' if names else ''}{blockers_line(refusal, names)} {_advice(refusal)}"


def public_sentence(refusal: Refusal) -> str:
    """The same without other tenants' names."""
    return sentence(replace(refusal, blockers=(), subject="" if refusal.code is Code.BEHIND_HEAD else refusal.subject))


def blockers_line(refusal: Refusal, names: Sequence[str]) -> str:
    """Who holds what is missing, under the names given (the refusal's own blockers, as the reader knows them); "" if
    nobody."""
    if not names:
        return ""
    listed = ", ".join(names)
    match refusal.code:
        case Code.PENDING_PREEMPTION:
            return f"Asked to go: {listed}."
        case Code.BEHIND_HEAD:
            return f"First in line: {listed}."
        case _:
            return f"Held by: {listed}."


def _who(refusal: Refusal) -> str:
    return f"Pod set {refusal.pod_set}" if refusal.pod_set not in _WHOLE else "It"


def _what(refusal: Refusal) -> str:
    return f"pod set {refusal.pod_set}" if refusal.pod_set not in _WHOLE else "it"


def _whose(refusal: Refusal) -> str:
    return f"Pod set {refusal.pod_set}'s" if refusal.pod_set not in _WHOLE else "Its"


def _amount(refusal: Refusal, value: int) -> str:
    """Quota that was lowered below what is in use leaves less than nothing free: for a reader that is 0."""
    return from_canonical(refusal.resource, max(0, value)) if refusal.resource else str(max(0, value))


def _workloads(count: int) -> str:
    return "1 workload" if count == 1 else f"{count} workloads"


def _fact(refusal: Refusal) -> str:
    r = refusal
    needed, free, limit = _amount(r, r.needed), _amount(r, r.available), _amount(r, r.limit)
    who = _who(r)
    match r.code:
        case Code.WAITING_FOR_QUOTA:
            return f"{who} needs {needed} {r.resource}; ClusterQueue {r.subject} has {free} free of at most {limit} (flavor {r.flavor})."
        case Code.EXCEEDS_MAX_QUOTA:
            who = f"{who}, with the pod sets before it," if r.counts else who
            return f"{who} needs {needed} {r.resource}; ClusterQueue {r.subject} can never have more than {limit} (flavor {r.flavor})."
        case Code.NO_PREEMPTION_CANDIDATES:
            return "No running workload may be asked to go for it under the queue's preemption policies."
        case Code.PREEMPTION_LOOP:
            turns = "once" if r.needed == 1 else f"{r.needed} times"
            return f"It and others displaced one another in a circle, {turns} each; it may not displace them again."
        case Code.PENDING_PREEMPTION:
            asked = "was asked to make room and has" if r.needed == 1 else "were asked to make room and have"
            return f"{_workloads(r.needed)} {asked} not left yet."
        case Code.OVERTAKEN_IN_CYCLE:
            if r.resource:
                return f"It fitted, but a workload before it took {r.resource} of flavor {r.flavor}: {needed} needed, {free} left."
            return "It fitted, but a workload before it took what it needs."
        case Code.RESOURCE_NOT_COVERED:
            return f"{who} asks for {needed} {r.resource}; ClusterQueue {r.subject} has no quota for that resource."
        case Code.FLAVOR_NOT_FOUND:
            return f"ResourceFlavor {r.flavor} does not exist."
        case Code.UNTOLERATED_TAINT:
            return f"{who} does not tolerate the taint {r.subject} of flavor {r.flavor}."
        case Code.NODE_AFFINITY_MISMATCH:
            whose = f"of pod set {r.pod_set} " if r.pod_set else ""
            return f"The node selector or affinity {whose}does not match the labels of flavor {r.flavor}."
        case Code.FLAVOR_TOPOLOGY_MISMATCH:
            return _topology_fact(r, who)
        case Code.NAMESPACE_MISMATCH:
            return f"ClusterQueue {r.subject} does not admit workloads of this namespace."
        case Code.REQUESTS_ABOVE_LIMITS:
            return f"{who} requests more {r.resource} than its own limit allows."
        case Code.OUT_OF_LIMIT_RANGE:
            what = f"{who}, in {r.subject}," if r.subject else who
            bound = f"at most {limit}" if r.needed > r.limit else f"at least {limit}"
            return f"{what} asks for {needed} {r.resource}; LimitRanges of this namespace ask for {bound}."
        case Code.QUEUE_NOT_FOUND:
            return f"LocalQueue {r.subject} does not exist in this namespace." if r.subject else "It names no queue."
        case Code.CLUSTER_QUEUE_NOT_FOUND:
            return f"ClusterQueue {r.subject} does not exist."
        case Code.CLUSTER_QUEUE_INACTIVE:
            reasons = ", ".join(name for name, _ in r.counts)
            return f"ClusterQueue {r.subject} is not active ({reasons})."
        case Code.QUEUE_STOPPED:
            return f"{'LocalQueue' if r.counts else 'ClusterQueue'} {r.subject} is stopped."
        case Code.WORKLOAD_INACTIVE:
            return "It is deactivated (spec.active is false)."
        case Code.ADMISSION_GATED:
            return f"Admission is gated by: {r.subject}."
        case Code.ON_HOLD:
            return f"Its own controller keeps it out of the queue ({r.subject})."
        case Code.CHECKS_FAILED:
            return f"The workload has failed admission checks: one of them says {r.subject}."
        case Code.BACKOFF:
            return (
                f"It was evicted and is tried again in {r.needed} s."
                if r.needed
                else "It was evicted and is not queued again yet."
            )
        case Code.BEHIND_HEAD:
            where = f"ClusterQueue {r.subject}" if r.subject else "its queue"
            return f"{_workloads(r.needed)} of {where} {'is' if r.needed == 1 else 'are'} before it."
        case Code.NOT_EVALUATED:
            return "Nothing stands in its way; no cycle has looked at it yet."
        case Code.WAITING_FOR_PODS_READY:
            return "It fits; nobody is admitted while an admitted workload waits for its pods to be ready."
        case Code.CYCLES_EXHAUSTED:
            return f"No stable outcome after {r.limit} cycles: workloads displace one another again and again."
        case Code.NO_NODE_MATCHES:
            return f"No node may run {_what(r)}{_counts(r)}."
        case Code.CLAIM_NOT_FOUND | Code.CLAIM_UNUSABLE | Code.CLAIM_INVALID:
            return _claim_fact(r, who)
        case Code.NODES_EXHAUSTED | Code.DEVICES_EXHAUSTED:
            what = "devices" if r.code is Code.DEVICES_EXHAUSTED else "nodes"
            return f"{who} needs {needed} {r.resource}; matching {what} have room for {free}{_counts(r)}."
        case Code.TOPOLOGY_FULL:
            best = f"the best place{f', {r.closest},' if r.closest else ''}"
            return f"{who} needs {needed} {r.resource} close together ({r.subject}); {best} has room for {free}{_counts(r)}."
        case Code.TOPOLOGY_TOO_SMALL:
            where = f" in one {r.subject}" if r.subject else ""
            return (
                f"{who} needs {needed} {r.resource}{where}; even an empty fleet has room for {limit} only{_counts(r)}."
            )


def _claim_fact(refusal: Refusal, who: str) -> str:
    match refusal.code:
        case Code.CLAIM_NOT_FOUND if refusal.verdict is Verdict.WAIT:
            return f"{who} waits for {refusal.subject} to be made."
        case Code.CLAIM_NOT_FOUND:
            return f"{who} names {refusal.subject}, which does not exist in this namespace."
        case Code.CLAIM_UNUSABLE if refusal.limit:
            return (
                f"{who} has {refusal.needed} pods; {refusal.subject} takes {refusal.available} more, "
                f"{refusal.limit} at most use one claim."
            )
        case Code.CLAIM_UNUSABLE:
            return f"{who} names {refusal.subject}, which is being deleted."
        case _:
            if refusal.level is Level.QUEUE:
                return f"The claims of {_what(refusal)} cannot be counted against quota: {refusal.subject}."
            return f"{_whose(refusal)} {refusal.subject}."


def _topology_fact(refusal: Refusal, who: str) -> str:
    match refusal.subject:
        case "only":
            return f"Flavor {refusal.flavor} takes only pods that ask for a topology; {_what(refusal)} does not."
        case "none":
            return f"{who} asks for a topology; flavor {refusal.flavor} has none."
        case level:
            return f"{who} asks for topology level {level}; flavor {refusal.flavor} has no such level."


def _counts(refusal: Refusal) -> str:
    causes = [f"{count} {_CAUSES.get(cause, f'short of {cause}')}" for cause, count in refusal.counts]
    said = [f"nodes left out: {', '.join(causes)}"] if causes else []
    if refusal.closest and refusal.code is not Code.TOPOLOGY_FULL:
        said.append(f"closest is {refusal.closest}")
    return f" ({'; '.join(said)})" if said else ""


def _advice(refusal: Refusal) -> str:
    match refusal.code:
        case Code.EXCEEDS_MAX_QUOTA if refusal.limit:
            return f"Ask for at most {_amount(refusal, refusal.limit)}, or ask an administrator for more quota."
        case Code.EXCEEDS_MAX_QUOTA:
            return "Submit to another queue, or ask an administrator for quota."
        case Code.TOPOLOGY_TOO_SMALL if refusal.limit:
            most = (
                f"Ask for at most {_amount(refusal, refusal.limit)}{f' {refusal.resource}' if refusal.resource else ''}"
            )
            return f"{most}, or for a looser topology." if refusal.subject else f"{most}."
        case (
            Code.RESOURCE_NOT_COVERED
            | Code.UNTOLERATED_TAINT
            | Code.NODE_AFFINITY_MISMATCH
            | Code.FLAVOR_TOPOLOGY_MISMATCH
        ):
            return "Change the pod template, or submit to another queue."
        case Code.REQUESTS_ABOVE_LIMITS:
            return "Lower the request or raise the limit."
        case Code.OUT_OF_LIMIT_RANGE:
            return "Change the pod template (requests and limits both count), or ask an administrator to change the LimitRange."
        case Code.WORKLOAD_INACTIVE:
            return "Set spec.active to true to queue it again."
        case Code.ADMISSION_GATED:
            return "It is queued when they are off the annotation kueue.x-k8s.io/admission-gated-by."
        case Code.QUEUE_NOT_FOUND:
            return "Create the LocalQueue, or name one that exists (kubectl get localqueues)."
        case Code.CLUSTER_QUEUE_NOT_FOUND:
            return "Submit to another queue, or ask an administrator to create it."
        case Code.CLUSTER_QUEUE_INACTIVE:
            return "Submit to another queue, or ask an administrator to mend it."
        case Code.QUEUE_STOPPED:
            return "Submit to another queue, or ask an administrator to open it again (spec.stopPolicy: None)."
        case Code.NAMESPACE_MISMATCH:
            return "Submit to another queue, or ask an administrator to let the namespace in (spec.namespaceSelector)."
        case Code.FLAVOR_NOT_FOUND:
            return "Ask an administrator to create it, or to take it out of the ClusterQueue."
        case Code.NO_NODE_MATCHES if refusal.verdict is Verdict.ASK:
            return "Bring a node back, or ask an administrator."
        case Code.NO_NODE_MATCHES if refusal.verdict is Verdict.CHANGE:
            return "Change its node selector, affinity or tolerations, or ask an administrator for such nodes."
        case Code.CLAIM_NOT_FOUND if refusal.verdict is Verdict.CHANGE:
            return "Create it, or name one that exists."
        case Code.CLAIM_UNUSABLE if not refusal.limit:
            return "Name another one."
        case Code.CLAIM_INVALID if refusal.level is Level.QUEUE:
            return "Change the claim template, or ask an administrator to count it (deviceClassMappings)."
        case Code.CLAIM_INVALID if refusal.resource:
            return "Name another DeviceClass (kubectl get deviceclasses), or ask an administrator to see to this one."
        case Code.CLAIM_INVALID:
            return "Change the claim."
        case Code.CYCLES_EXHAUSTED | Code.PREEMPTION_LOOP:
            return "Ask an administrator to look at the preemption policies of the queues involved."
    match refusal.verdict:
        case Verdict.WAIT:
            return _ending(refusal)
        case Verdict.CHANGE:
            return "Change the request."
        case Verdict.ASK:
            return "Ask an administrator."


def _ending(refusal: Refusal) -> str:
    """What ends the waiting, where time alone does."""
    match refusal.code:
        case Code.WAITING_FOR_QUOTA:
            short = refusal.needed - refusal.available
            amount = _amount(refusal, short)
            return f"It starts by itself when {amount} more {'is' if amount == '1' else 'are'} free."
        case Code.NODES_EXHAUSTED | Code.DEVICES_EXHAUSTED | Code.TOPOLOGY_FULL:
            return "It starts by itself when enough is given back."
        case Code.PENDING_PREEMPTION:
            return "It starts by itself when that room is free."
        case Code.BEHIND_HEAD:
            return "Its turn comes by itself."
        case Code.WAITING_FOR_PODS_READY:
            return "It starts by itself when all of them are ready."
        case _:
            return "It is tried again by itself."
