"""pods/binding: the one write that gives a pod its node (and, for work of a Placement, its member and devices)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.cluster.embedded.conditions import set_condition
from roadstead.kinds.errors import FieldError, StatusError, bad_request, conflict, not_supported, required
from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json, Resource

_BINDINGS: Final = Resource("", "v1", "pods/binding")
"""What conflicts are about, as the real server says it."""


def apply_binding(pod: Json, binding: Json, now: int) -> None:
    """Edit `pod` as the Binding says: node, annotations, labels, condition PodScheduled; the nomination is cleared.
    `binding` has metadata (a dict), whose uid and resourceVersion are preconditions. Raises StatusError."""
    metadata = pod["metadata"]
    name = metadata["name"]
    node = _target(binding)
    for field, said in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        asked = binding["metadata"].get(field)
        if asked and asked != metadata[field]:
            why = f"Precondition failed: {said} in precondition: {asked}, {said} in object meta: {metadata[field]}"
            raise conflict(PODS, name, why)
    if metadata.get("deletionTimestamp"):
        raise conflict(_BINDINGS, name, f"pod {name} is being deleted, cannot be assigned to a host")
    spec = pod["spec"]
    if spec.get("nodeName"):
        raise conflict(_BINDINGS, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise conflict(_BINDINGS, name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = node
    for field in ("annotations", "labels"):
        added = binding["metadata"].get(field)
        if added:
            metadata[field] = {**(metadata.get(field) or {}), **added}
    (pod.get("status") or {}).pop("nominatedNodeName", None)
    set_condition(pod, "PodScheduled", now)


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
