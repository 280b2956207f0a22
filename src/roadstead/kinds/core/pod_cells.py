"""The row of a pod in a table: how many containers are ready, one word for its state, restarts (kubernetes
`printPod`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from roadstead.kinds import ages, times
from roadstead.kinds.object import Json

_NONE: Final = "<none>"
ENDED: Final = ("Succeeded", "Failed")


def pod_cells(obj: Json, now: float) -> list[Any]:
    """Name, Ready, Status, Restarts, Age, IP, Node, Nominated Node, Readiness Gates."""
    spec, status = obj["spec"], obj.get("status") or {}
    init_containers = {container["name"]: container for container in spec.get("initContainers") or ()}
    sidecars = {name for name, container in init_containers.items() if container.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or ()) + len(sidecars)
    reason = status.get("reason") or status.get("phase", "")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"

    restarts, ready, stage = 0, 0, ""
    last = _Latest()
    init_statuses = status.get("initContainerStatuses") or ()
    for i, entry in enumerate(init_statuses):
        restarts += entry.get("restartCount", 0)
        last.add(entry)
        is_sidecar = entry.get("name") in sidecars
        if is_sidecar and entry.get("started"):
            ready += 1 if entry.get("ready") else 0
            continue
        stage = _init_stage(entry, i, len(init_containers))
        if stage:
            break
    if stage:
        reason = stage
    if not stage or _is_true(status, "Initialized"):
        last = _Latest()
        restarts = 0
        for entry in init_statuses:
            if entry.get("name") in sidecars:
                restarts += entry.get("restartCount", 0)
                last.add(entry)
        running = False
        for entry in reversed(status.get("containerStatuses") or ()):
            restarts += entry.get("restartCount", 0)
            last.add(entry)
            word = _state_word(entry.get("state") or {})
            if word:
                reason = word
            elif entry.get("ready") and "running" in (entry.get("state") or {}):
                running = True
                ready += 1
        if reason == "Completed" and running:
            reason = "Running" if _is_true(status, "Ready") else "NotReady"

    if obj["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ENDED:
            reason = "Terminating"
    shown = str(restarts)
    if restarts and last.moment:
        shown = f"{restarts} ({ages.human(now - last.moment / times.SECOND)} ago)"
    return [
        obj["metadata"]["name"],
        f"{ready}/{total}",
        reason,
        shown,
        ages.created(obj, now),
        status.get("podIP") or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _gates(spec, status),
    ]


class _Latest:
    """The newest end of a container's previous run."""

    def __init__(self) -> None:
        self.moment = 0

    def add(self, entry: Json) -> None:
        finished = ((entry.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
        if finished:
            self.moment = max(self.moment, times.parse_time(finished))


def _init_stage(entry: Json, index: int, total: int) -> str:
    """What holds the pod at this init container, "" if it is done."""
    state = entry.get("state") or {}
    ended, waiting = state.get("terminated"), state.get("waiting") or {}
    if ended is not None:
        if ended.get("exitCode", 0) == 0:
            return ""
        if ended.get("reason"):
            return f"Init:{ended['reason']}"
        return f"Init:Signal:{ended['signal']}" if ended.get("signal") else f"Init:ExitCode:{ended.get('exitCode', 0)}"
    if waiting.get("reason") and waiting["reason"] != "PodInitializing":
        return f"Init:{waiting['reason']}"
    return f"Init:{index}/{total}"


def _state_word(state: Json) -> str:
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason"):
        return str(waiting["reason"])
    if ended is None:
        return ""
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _is_true(status: Json, kind: str) -> bool:
    return any(
        condition.get("type") == kind and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )


def _gates(spec: Json, status: Json) -> str:
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or ()]
    if not gates:
        return _NONE
    return f"{sum(_is_true(status, gate) for gate in gates)}/{len(gates)}"


def ended_condition(phase: str) -> Iterable[Json]:
    """The row condition that lets clients grey out finished pods."""
    if phase == "Succeeded":
        message = "The pod has completed successfully."
    elif phase == "Failed":
        message = "The pod failed."
    else:
        return ()
    return ({"type": "Completed", "status": "True", "reason": phase, "message": message},)
