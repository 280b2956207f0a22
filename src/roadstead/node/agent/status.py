"""A pod's status as the API shows it, from what was decided. Pure; what others wrote there stays.

Shapes and texts are the kubelet's (k8s `pkg/kubelet/status/generate.go`, `pkg/kubelet/kubelet_pods.go`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time
from roadstead.node.agent.pod_state import Around, Attempt, Attempts, Decision, is_sidecar, latest
from roadstead.node.agent.probe_state import condition_of
from roadstead.node.agent.views import Container, Pod
from roadstead.node.keeper import runs
from roadstead.node.keeper.runs import Exit, Run

NOT_STARTED = Exit(
    137, 0, "ContainerStatusUnknown", "The container could not be located when the pod was terminated", 0, 0
)


def pod_status(pod: Pod, old: Json, attempts: Attempts, around: Around, decided: Decision, now: int) -> Json:
    """The whole status. `old` is the status as stored: fields and conditions that are not ours are taken over."""
    status = dict(old)
    status["phase"] = decided.phase
    for name, text in (("reason", decided.reason), ("message", decided.message)):
        if text:
            status[name] = text
    status["hostIP"] = around.host_ip
    status["hostIPs"] = [{"ip": around.host_ip}]
    if around.pod_ip:
        status["podIP"] = around.pod_ip
        status["podIPs"] = [{"ip": around.pod_ip}]
    status.setdefault("startTime", format_time(around.start_time))
    status.setdefault("qosClass", qos_class(pod))
    if pod.metadata.generation:
        status["observedGeneration"] = pod.metadata.generation
    shown = _Containers(pod, attempts, around, decided)
    if pod.spec.init_containers:
        status["initContainerStatuses"] = [shown.status(one) for one in pod.spec.init_containers]
    status["containerStatuses"] = [shown.status(one) for one in pod.spec.containers]
    status["conditions"] = _conditions(pod, old, status, decided, now)
    return status


def qos_class(pod: Pod) -> str:
    """Guaranteed, Burstable or BestEffort (k8s `pkg/apis/core/v1/helper/qos`)."""
    any_set, guaranteed = False, True
    for container in pod.spec.all_containers:
        limits, requests = container.resources.limits, container.resources.requests
        for name in ("cpu", "memory"):
            any_set = any_set or name in limits or name in requests
            same = name in limits and str(requests.get(name, limits[name])) == str(limits[name])
            guaranteed = guaranteed and same
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


class _Containers:
    def __init__(self, pod: Pod, attempts: Attempts, around: Around, decided: Decision) -> None:
        self.pod, self.attempts, self.around, self.decided = pod, attempts, around, decided

    def status(self, container: Container) -> Json:
        attempt = latest(self.attempts, container.name)
        state, last = self._states(container, attempt)
        running = "running" in state
        condition = condition_of(container, attempt.run.run_id if attempt else "", self.around.conditions)
        is_init = container in self.pod.spec.init_containers and not is_sidecar(self.pod, container)
        terminated = state.get("terminated")
        done = is_init and terminated is not None and terminated["exitCode"] == 0
        status: Json = {
            "name": container.name,
            "state": state,
            "lastState": last,
            "ready": (running and condition.is_ready and not is_init) or done,
            "restartCount": attempt.number if attempt else 0,
            "image": container.image,
            "imageID": "",
            "started": running and condition.has_started,
        }
        if attempt is not None and attempt.has_started:
            status["containerID"] = container_id(attempt.run)
        if container.name in self.around.allocated:
            status["allocatedResourcesStatus"] = list(self.around.allocated[container.name])
        return status

    def _states(self, container: Container, attempt: Attempt | None) -> tuple[Json, Json]:
        """(state, lastState)."""
        known: Sequence[Attempt] = self.attempts.get(container.name, ())
        earlier = known[-2].end if len(known) > 1 else None
        last = {"terminated": _terminated(earlier, known[-2].run)} if earlier else {}
        if attempt is None or attempt.run.state in (runs.PREPARED, runs.STARTING):
            if self.decided.is_over:
                return {"terminated": _terminated(NOT_STARTED, None)}, last
            return {"waiting": self._waiting(container)}, last
        condition = condition_of(container, attempt.run.run_id, self.around.conditions)
        if attempt.end is None and condition.hook_failed:
            return {"waiting": {"reason": "PostStartHookError", "message": "PostStartHook failed"}}, last
        if attempt.end is None and not condition.is_set_up:
            return {"waiting": self._waiting(container)}, last
        if attempt.end is None:
            return {"running": {"startedAt": format_time(attempt.run.started_at)}}, last
        ended = {"terminated": _terminated(attempt.end, attempt.run)}
        waiting = self.decided.waiting.get(container.name)
        if waiting is not None:
            return {"waiting": waiting.problem._asdict()}, ended
        if any(start.container.name == container.name for start in self.decided.start):
            problem = self.around.problems.get(container.name)
            if problem is not None:
                return {"waiting": problem._asdict()}, ended
        return ended, last

    def _waiting(self, container: Container) -> Json:
        problem = self.around.problems.get(container.name) or self.around.held
        if problem is not None:
            return problem._asdict()
        begun = self.decided.is_initialized or container in self.pod.spec.init_containers
        return {"reason": "ContainerCreating" if begun else "PodInitializing"}


def container_id(run: Run) -> str:
    return f"process://{run.run_id}"


def _terminated(end: Exit, run: Run | None) -> Json:
    ended: Json = {"exitCode": end.exit_code, "reason": end.reason}
    if end.signal:
        ended["signal"] = end.signal
    if end.message:
        ended["message"] = end.message
    ended["startedAt"] = format_time(end.started_at) if end.started_at else None
    ended["finishedAt"] = format_time(end.finished_at) if end.finished_at else None
    if run is not None:
        ended["containerID"] = container_id(run)
    return ended


def _conditions(pod: Pod, old: Json, status: Json, decided: Decision, now: int) -> list[Json]:
    """Ours computed, everybody else's kept; a transition time moves only with its status."""
    unready = [one["name"] for one in status["containerStatuses"] if not one["ready"]]
    sidecars = {one.name for one in pod.spec.init_containers if is_sidecar(pod, one)}
    inits = status.get("initContainerStatuses", [])
    unready += [one["name"] for one in inits if one["name"] in sidecars and not one["ready"]]
    begun = any("waiting" not in one["state"] for one in status["containerStatuses"] + inits)
    alive = begun and not decided.is_over
    ready: tuple[str, str, str]
    if decided.phase == "Succeeded":
        ready = ("False", "PodCompleted", "")
    elif decided.phase == "Failed":
        ready = ("False", "PodFailed", "")
    elif unready:
        ready = ("False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    else:
        ready = ("True", "", "")
    gates = [gate.condition_type for gate in pod.spec.readiness_gates]
    open_gates = {one["type"] for one in old.get("conditions") or [] if one["status"] == "True"}
    closed = [gate for gate in gates if gate not in open_gates]
    all_ready = ready
    if ready[0] == "True" and closed:
        text = "; ".join(
            f'corresponding condition of pod readiness gate "{gate}" does not exist or is not True' for gate in closed
        )
        all_ready = ("False", "ReadinessGatesNotReady", text)
    if not decided.is_initialized:
        incomplete = [one["name"] for one in inits if not one["ready"]]
        initialized = (
            "False",
            "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(incomplete)}]",
        )
    else:
        initialized = ("True", "PodCompleted" if decided.phase == "Succeeded" else "", "")
    ours = {
        "PodReadyToStartContainers": ("True" if alive else "False", "", ""),
        "Initialized": initialized,
        "Ready": all_ready,
        "ContainersReady": ready,
        "PodScheduled": ("True", "", ""),
    }
    kept = {one["type"]: one for one in old.get("conditions") or []}
    merged = dict(kept)
    for kind, (value, reason, message) in ours.items():
        before = kept.get(kind)
        if kind == "PodScheduled" and before is not None:
            continue
        same = before is not None and before["status"] == value
        condition: Json = {
            "type": kind,
            "status": value,
            "lastProbeTime": None,
            "lastTransitionTime": before["lastTransitionTime"] if same and before else format_time(now),
        }
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        if pod.metadata.generation:
            condition["observedGeneration"] = pod.metadata.generation
        merged[kind] = condition
    return list(merged.values())


def says_the_same(one: Any, other: Any) -> bool:
    """Equal, apart from absent values and from fields that older servers drop."""
    return bool(_bare(one) == _bare(other))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = ((key, _bare(item)) for key, item in value.items() if key != "observedGeneration")
        return {key: item for key, item in pairs if item not in (None, {}, [])}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value
