"""What a Deployment's status says: counts, whether enough pods are available, and whether the rollout makes progress
(progress.go)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from roadstead.controllers.deployment.sets import OwnedSet, max_unavailable
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.kinds.views.apps import DeploymentView

AVAILABLE: Final = "Available"
PROGRESSING: Final = "Progressing"
FAILURE: Final = "ReplicaFailure"
DONE: Final = "NewReplicaSetAvailable"
TIMED_OUT: Final = "ProgressDeadlineExceeded"
PAUSED: Final = "DeploymentPaused"
FOREVER: Final = 2**31 - 1


def find(conditions: Sequence[Json], type: str) -> Json | None:
    return next((condition for condition in conditions if condition["type"] == type), None)


@dataclass(frozen=True)
class Says:
    """A condition as it shall be."""

    type: str
    status: str
    reason: str
    message: str

    def put(self, status: Json, now: int, *, again: bool = False) -> None:
        """Into a decoded status, in place. The same status and reason say nothing new, unless `again`."""
        conditions = status.setdefault("conditions", [])
        known = find(conditions, self.type)
        if known is not None and (known["status"], known.get("reason")) == (self.status, self.reason) and not again:
            return
        moved = format_time(now)
        if known is not None and known["status"] == self.status:
            moved = known.get("lastTransitionTime") or moved
        fresh = {
            "type": self.type,
            "status": self.status,
            "lastUpdateTime": format_time(now),
            "lastTransitionTime": moved,
            "reason": self.reason,
            "message": self.message,
        }
        status["conditions"] = [*(each for each in conditions if each["type"] != self.type), fresh]


def has_deadline(view: DeploymentView) -> bool:
    return view.spec.progress_deadline_seconds not in (None, FOREVER)


def counted(found: Object, view: DeploymentView, new: OwnedSet | None, old: Sequence[OwnedSet], now: int) -> Json:
    """A fresh status: counts, availability, and the other conditions as they were."""
    stored: Json = found.decode().get("status") or {}
    everything = [*old, *([new] if new else [])]
    available = sum(each.available for each in everything)
    wanted = sum(each.replicas for each in everything)
    terminating = [each.view.status.terminating_replicas for each in everything if each.view.status.observed_generation]
    counts = {
        "observedGeneration": found.meta.generation,
        "replicas": sum(each.view.status.replicas for each in everything),
        "updatedReplicas": new.view.status.replicas if new else 0,
        "readyReplicas": sum(each.view.status.ready_replicas for each in everything),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
    }
    status: Json = {name: number for name, number in counts.items() if number}
    if all(number is not None for number in terminating):
        status["terminatingReplicas"] = sum(number or 0 for number in terminating)
    if "collisionCount" in stored:
        status["collisionCount"] = stored["collisionCount"]
    status["conditions"] = list(stored.get("conditions") or ())
    if available >= view.spec.replicas - max_unavailable(view):
        says = Says(AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        says = Says(AVAILABLE, "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    says.put(status, now)
    return status


def is_complete(view: DeploymentView, status: Json, generation: int) -> bool:
    """All pods are new and available."""
    wanted = view.spec.replicas
    names = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(name, 0) == wanted for name in names) and status.get("observedGeneration", 0) >= generation


def _made_progress(status: Json, stored: Json) -> bool:
    def old(of: Json) -> int:
        return int(of.get("replicas", 0)) - int(of.get("updatedReplicas", 0))

    names = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old(status) < old(stored) or any(status.get(name, 0) > stored.get(name, 0) for name in names)


def follow_rollout(found: Object, view: DeploymentView, new: OwnedSet | None, status: Json, now: int) -> int | None:
    """Bring the condition Progressing of a fresh status up to date, in place. Gives when to look again: at the
    deadline."""
    stored: Json = found.decode().get("status") or {}
    known = find(stored.get("conditions") or (), PROGRESSING)
    if not has_deadline(view):
        status["conditions"] = [each for each in status["conditions"] if each["type"] != PROGRESSING]
        return None
    whose = f'ReplicaSet "{new.name}"' if new else f'Deployment "{found.meta.name}"'
    complete = is_complete(view, status, found.meta.generation)
    was_done = (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and known is not None
        and known.get("reason") == DONE
    )
    if not was_done:
        if complete:
            Says(PROGRESSING, "True", DONE, f"{whose} has successfully progressed.").put(status, now)
        elif _made_progress(status, stored):
            Says(PROGRESSING, "True", "ReplicaSetUpdated", f"{whose} is progressing.").put(status, now, again=True)
        elif _is_late(view, find(status["conditions"], PROGRESSING), now):
            Says(PROGRESSING, "False", TIMED_OUT, f"{whose} has timed out progressing.").put(status, now)
    current = find(status["conditions"], PROGRESSING)
    if current is None or complete or current.get("reason") in (TIMED_OUT, DONE):
        return None
    return _deadline(view, current) + SECOND


def _deadline(view: DeploymentView, condition: Json) -> int:
    return parse_time(condition["lastUpdateTime"]) + (view.spec.progress_deadline_seconds or 0) * SECOND


def _is_late(view: DeploymentView, condition: Json | None, now: int) -> bool:
    if condition is None or condition.get("reason") == DONE or not condition.get("lastUpdateTime"):
        return False
    return condition.get("reason") == TIMED_OUT or _deadline(view, condition) < now


def follow_pause(view: DeploymentView, status: Json, now: int) -> None:
    """Time spent paused is no lack of progress: it begins anew when that ends."""
    known = find(status.get("conditions") or (), PROGRESSING)
    if not has_deadline(view) or (known is not None and known.get("reason") == TIMED_OUT):
        return
    says_paused = known is not None and known.get("reason") == PAUSED
    if view.spec.paused and not says_paused:
        Says(PROGRESSING, "Unknown", PAUSED, "Deployment is paused").put(status, now)
    elif not view.spec.paused and says_paused:
        Says(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed").put(status, now)


def take_failures(status: Json, new: OwnedSet | None, old: Sequence[OwnedSet]) -> None:
    """A ReplicaSet that cannot make its pods says so; its Deployment repeats it."""
    for each in [*([new] if new else []), *old]:
        for condition in each.view.status.conditions:
            if condition.type == FAILURE:
                moved = parse_time(condition.last_transition_time) if condition.last_transition_time else 0
                Says(FAILURE, condition.status, condition.reason, condition.message).put(status, moved)
                return
    status["conditions"] = [each for each in status["conditions"] if each["type"] != FAILURE]
