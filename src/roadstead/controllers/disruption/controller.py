"""PodDisruptionBudgets: how many pods are healthy, how many must be, and so how many may be evicted now (kubernetes
`pkg/controller/disruption`). Evictions themselves are decided where they are asked for, by what the status says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from roadstead.expr.selectors import from_object, matches_selector
from roadstead.kinds.int_or_percent import scaled
from roadstead.kinds.names import DEPLOYMENTS, DISRUPTION_BUDGETS, PODS, REPLICA_SETS
from roadstead.kinds.object import Json, Object, OwnerReference, Resource
from roadstead.kinds.policy.disruption_budget import tell_allowed
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.kinds.views.apps import DeploymentView, ReplicaSetView
from roadstead.kinds.views.common import has_condition
from roadstead.kinds.views.pod import PodView
from roadstead.kinds.views.policy import BudgetView
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Read, Step, same_key

DELETION_TIMEOUT: Final = 120 * SECOND
"""How long an evicted pod counts as gone before it is."""
LOOK_AGAIN: Final = 60 * SECOND
"""A pod whose labels no longer match wakes nobody."""


def _selects(budget: Object, pod: Object) -> bool:
    return matches_selector(from_object(budget.view(BudgetView).spec.selector), pod.meta.labels)


def _keys_of_pod(changed: Object, read: Read) -> Iterable[Key]:
    return [each.key for each in read.list(DISRUPTION_BUDGETS, changed.meta.namespace) if _selects(each, changed)]


def _keys_of_owner(changed: Object, read: Read) -> Iterable[Key]:
    return [each.key for each in read.list(DISRUPTION_BUDGETS, changed.meta.namespace)]


class Unknown(Exception):
    """How many pods there should be cannot be told; the message says why."""


class DisruptionController:
    """Keeps the status of PodDisruptionBudgets."""

    name: ClassVar[str] = "disruption"
    watches: Mapping[Resource, KeysOf] = {
        DISRUPTION_BUDGETS: same_key,
        PODS: _keys_of_pod,
        DEPLOYMENTS: _keys_of_owner,
        REPLICA_SETS: _keys_of_owner,
    }
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        budget = read.get(DISRUPTION_BUDGETS, *key)
        if budget is None or budget.meta.deletion_timestamp:
            return NOTHING
        view = budget.view(BudgetView)
        pods = [pod for pod in read.list(PODS, key[0]) if _selects(budget, pod)]
        value = budget.decode()
        before: Json = value.get("status") or {}
        notes: list[Note] = []
        again = now + LOOK_AGAIN
        try:
            expected, desired = _expected(view, pods, read)
        except Unknown as problem:
            value["status"] = _failed(before, str(problem), now)
        else:
            disrupted = _disrupted(view, pods, now)
            healthy = sum(_is_healthy(pod) and pod.meta.name not in disrupted for pod in pods)
            allowed = max(0, healthy - desired) if expected > 0 else 0
            status: Json = {
                "observedGeneration": budget.meta.generation,
                "disruptionsAllowed": allowed,
                "currentHealthy": healthy,
                "desiredHealthy": desired,
                "expectedPods": expected,
                "conditions": before.get("conditions") or [],
            }
            if disrupted:
                status["disruptedPods"] = {name: format_time(moment) for name, moment in disrupted.items()}
                again = min(again, *(moment + DELETION_TIMEOUT for moment in disrupted.values()))
            tell_allowed(status, now)
            value["status"] = status
        if not pods:
            notes.append(Note(budget, "Normal", "NoPods", "No matching pods found"))
        if value["status"] == before:
            return Step((), again)
        return Step(((Update(DISRUPTION_BUDGETS, value, "status"),),), again, tuple(notes))


def _is_healthy(pod: Object) -> bool:
    return not pod.meta.deletion_timestamp and has_condition(pod.view(PodView).status.conditions, "Ready")


def _disrupted(view: BudgetView, pods: Sequence[Object], now: int) -> dict[str, int]:
    """Pods that are about to be deleted, with the time of their eviction."""
    known = {name: parse_time(text) for name, text in (view.status.disrupted_pods or {}).items()}
    return {
        pod.meta.name: known[pod.meta.name]
        for pod in pods
        if pod.meta.name in known and not pod.meta.deletion_timestamp and known[pod.meta.name] + DELETION_TIMEOUT > now
    }


def _failed(before: Json, why: str, now: int) -> Json:
    """Nothing may be evicted while the numbers are not known."""
    status = {**before, "disruptionsAllowed": 0}
    known: Json = next((each for each in before.get("conditions") or () if each["type"] == "DisruptionAllowed"), {})
    moved = known.get("lastTransitionTime") if known.get("status") == "False" else None
    fresh: Json = {
        "type": "DisruptionAllowed",
        "status": "False",
        "observedGeneration": before.get("observedGeneration", 0),
        "lastTransitionTime": moved or format_time(now),
        "reason": "SyncFailed",
        "message": why,
    }
    status["conditions"] = [each for each in before.get("conditions") or () if each is not known] + [fresh]
    return status


def _expected(view: BudgetView, pods: Sequence[Object], read: Read) -> tuple[int, int]:
    """(how many pods there should be, how many of them healthy). Raises Unknown."""
    least, most = view.spec.min_available, view.spec.max_unavailable
    if most is not None:
        expected = _scale(pods, read)
        return expected, max(0, expected - scaled(most, expected, up=True))
    if isinstance(least, int):
        return len(pods), least
    if least is not None:
        expected = _scale(pods, read)
        return expected, scaled(least, expected, up=True)
    return 0, 0


def _scale(pods: Sequence[Object], read: Read) -> int:
    """The sum of what the controllers of these pods are asked for; pods without one do not count."""
    found: dict[str, int] = {}
    for pod in pods:
        owner = pod.meta.controller
        if owner is not None:
            uid, replicas = _wanted(pod, owner, read)
            found[uid] = replicas
    return sum(found.values())


def _wanted(pod: Object, owner: OwnerReference, read: Read) -> tuple[str, int]:
    """The controller that says how many pods like this there should be, and how many: a ReplicaSet's Deployment before itself."""
    namespace = pod.meta.namespace
    if owner.kind == "ReplicaSet":
        replica_set = read.get(REPLICA_SETS, namespace, owner.name)
        if replica_set is not None and replica_set.meta.uid == owner.uid:
            above = replica_set.meta.controller
            if above is None or above.kind != "Deployment":
                return owner.uid, replica_set.view(ReplicaSetView).spec.replicas
            deployment = read.get(DEPLOYMENTS, namespace, above.name)
            if deployment is not None and deployment.meta.uid == above.uid:
                return above.uid, deployment.view(DeploymentView).spec.replicas
    raise Unknown(f'found no controllers for pod "{pod.meta.name}"')
