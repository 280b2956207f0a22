"""Pods, runs and surroundings for table tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, format_time
from roadstead.node.agent.pod_state import Around, Attempt, Attempts
from roadstead.node.agent.views import Pod
from roadstead.node.keeper import runs
from roadstead.node.keeper.runs import Exit, Run

NOW = 1_800_000_000 * SECOND
UID = "uid-1"


def pod(
    *containers: str | Json,
    inits: Sequence[str | Json] = (),
    policy: str = "Always",
    deleted_in: float | None = None,
    metadata: Json | None = None,
    status: Json | None = None,
    **spec: Any,
) -> Pod:
    """A pod view. A container is its name, or a dict with one. `deleted_in`: seconds of grace left."""

    def container(given: str | Json) -> Json:
        return {"name": given} if isinstance(given, str) else given

    meta: Json = {"name": "p", "namespace": "ns", "uid": UID, **(metadata or {})}
    if deleted_in is not None:
        meta["deletionTimestamp"] = format_time(NOW + int(deleted_in * SECOND))
        meta["deletionGracePeriodSeconds"] = 30
    value: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {
            "nodeName": "n1",
            "restartPolicy": policy,
            "containers": [container(one) for one in containers or ("a",)],
            "initContainers": [container(one) for one in inits],
            **spec,
        },
        "status": status or {},
    }
    return Object.of(PODS, value).view(Pod)


def running(container: str = "a", number: int = 0, *, level: int = 0, state: str = runs.RUNNING) -> Attempt:
    run_id = f"{UID}/{container}/{number}"
    started = 0 if state in (runs.PREPARED, runs.STARTING) else NOW - 60 * SECOND
    return Attempt(number, level, Run(run_id, "/runs", state, 1, started))


def ended(
    code: int = 0,
    container: str = "a",
    number: int = 0,
    *,
    level: int = 0,
    ago: float = 1,
    ran: float = 1,
    reason: str = "",
) -> Attempt:
    """An attempt that ended `ago` seconds before NOW after it `ran` so many."""
    finished = NOW - int(ago * SECOND)
    begun = finished - int(ran * SECOND)
    end = Exit(code, 0, reason or ("Error" if code else "Completed"), "", begun, finished)
    return Attempt(number, level, Run(f"{UID}/{container}/{number}", "/runs", runs.EXITED, 1, begun, end))


def attempts(*known: Attempt) -> Attempts:
    found: dict[str, list[Attempt]] = {}
    for attempt in known:
        found.setdefault(attempt.run.run_id.split("/")[1], []).append(attempt)
    return found


def around(**more: Any) -> Around:
    return Around(**{"start_time": NOW - 100 * SECOND, "pod_ip": "127.64.0.1", "host_ip": "127.0.0.1", **more})
