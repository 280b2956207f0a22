"""pods/binding: the one write that gives a pod its node (and, for work of a Placement, its member and devices)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds.errors import FieldError, StatusError, bad_request, conflict, not_supported, required
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.times import format_time

_BINDINGS: Final = Resource("", "v1", "pods/binding")
"""What conflicts are about, as the real server says it."""


def apply_binding(pod: Json, binding: Json, now: int) -> None:
    """Edit `pod` as the Binding says: node, annotations, condition PodScheduled. `binding` has metadata (a dict). Raises
    StatusError."""
    metadata = pod["metadata"]
    name = metadata["name"]
    node = _target(binding)
    uid = binding["metadata"].get("uid")
    if uid and uid != metadata["uid"]:
        raise conflict(
            _BINDINGS, name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        )
    if metadata.get("deletionTimestamp"):
        raise conflict(_BINDINGS, name, f"pod {name} is being deleted, cannot be assigned to a host")
    spec = pod["spec"]
    if spec.get("nodeName"):
        raise conflict(_BINDINGS, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise conflict(_BINDINGS, name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = node
    annotations = binding["metadata"].get("annotations")
    if annotations:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    _set_scheduled(pod, now)


def _target(binding: Json) -> str:
    """Where to. What is wrong with it is a 500 without a reason: the real server's own words."""
    target: Any = binding.get("target")
    if not isinstance(target, dict):
        raise bad_request("the object provided is unrecognized (must be of type Binding): target must be an object")
    problems: list[FieldError] = []
    if target.get("kind") not in (None, "", "Node"):
        problems.append(not_supported("target.kind", target["kind"], ("Node", "<empty>"), keep_order=True))
    node = target.get("name")
    if not isinstance(node, str) or not node:
        problems.append(required("target.name"))
    if problems:
        texts = [f"{problem.field}: {problem.body}" for problem in problems]
        raise StatusError(500, "", texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]")
    return str(node)


def _set_scheduled(pod: Json, now: int) -> None:
    status = pod.get("status") or {}
    pod["status"] = status
    others = [entry for entry in status.get("conditions") or () if entry.get("type") != "PodScheduled"]
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": format_time(now),
    }
    status["conditions"] = [*others, scheduled]
