"""API objects in a line or two."""

from __future__ import annotations

from typing import Any

from roadstead.ingest import Trouble, fact_of_dict
from roadstead.kinds.object import Json
from roadstead.model.facts import Fact
from roadstead.model.workload import Pod, Workload


def pod_spec(cpu: str = "1", **more: Any) -> Json:
    return {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}], **more}


def pod(spec: Json | None = None, phase: str = "Pending", **metadata: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "ns",
            "name": "p",
            "uid": "u1",
            "creationTimestamp": "2026-01-01T00:00:01Z",
            **metadata,
        },
        "spec": spec if spec is not None else pod_spec(),
        "status": {"phase": phase},
    }


def condition(type: str, status: str = "True", reason: str = "", at: str = "2026-01-01T00:01:00Z") -> Json:
    return {"type": type, "status": status, "reason": reason, "lastTransitionTime": at}


def workload(
    pod_sets: list[Json] | None = None,
    conditions: list[Json] | None = None,
    spec: Json | None = None,
    status: Json | None = None,
    **metadata: Any,
) -> Json:
    sets = pod_sets if pod_sets is not None else [{"name": "main", "count": 2, "template": {"spec": pod_spec()}}]
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "Workload",
        "metadata": {
            "namespace": "ns",
            "name": "w",
            "uid": "u1",
            "creationTimestamp": "2026-01-01T00:00:01Z",
            **metadata,
        },
        "spec": {"queueName": "lq", "podSets": sets, **(spec or {})},
        "status": {"conditions": conditions or [], **(status or {})},
    }


def fact(value: Json, placement: Json | None = None) -> Fact:
    """The fact of an object that is fine."""
    troubles: list[Trouble] = []
    found = fact_of_dict(value, placement, troubles)
    assert found is not None
    assert troubles == []
    return found


def troubled(value: Json, placement: Json | None = None) -> tuple[Fact, list[str]]:
    """The fact of an object with something wrong, and what is said about it."""
    troubles: list[Trouble] = []
    found = fact_of_dict(value, placement, troubles)
    assert found is not None
    return found, [trouble.message for trouble in troubles]


def workload_fact(value: Json, placement: Json | None = None) -> Workload:
    found = fact(value, placement)
    assert isinstance(found, Workload)
    return found


def pod_fact(value: Json) -> Pod:
    found = fact(value)
    assert isinstance(found, Pod)
    return found
