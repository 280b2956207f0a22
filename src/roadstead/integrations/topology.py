"""What a pod template's annotations ask of the topology, as a pod set says it (kueue 4.2;
`pkg/controller/jobframework/tas.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from roadstead.kinds.names import KUEUE
from roadstead.kinds.object import Json

REQUIRED: Final = f"{KUEUE}/podset-required-topology"
PREFERRED: Final = f"{KUEUE}/podset-preferred-topology"
UNCONSTRAINED: Final = f"{KUEUE}/podset-unconstrained-topology"
SLICE_REQUIRED: Final = f"{KUEUE}/podset-slice-required-topology"
SLICE_SIZE: Final = f"{KUEUE}/podset-slice-size"
SLICE_CONSTRAINTS: Final = f"{KUEUE}/podset-slice-required-topology-constraints"
GROUP: Final = f"{KUEUE}/podset-group-name"

_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")


def topology_request(template: Mapping[str, Any], index_label: str) -> Json | None:
    """The pod set's `topologyRequest`; None if the template asks for nothing. `index_label`: where its pods carry their
    rank.

    Of required, preferred and unconstrained the first one counts. What cannot be read counts as not said.
    """
    annotations: Mapping[str, str] = (template.get("metadata") or {}).get("annotations") or {}
    found: Json = {}
    if level := annotations.get(REQUIRED):
        found["required"] = level
    elif level := annotations.get(PREFERRED):
        found["preferred"] = level
    elif (word := annotations.get(UNCONSTRAINED)) in _TRUE + _FALSE:
        found["unconstrained"] = word in _TRUE
    found |= _slices(annotations)
    if not found:
        return None
    if group := annotations.get(GROUP):
        found["podSetGroupName"] = group
    found["podIndexLabel"] = index_label
    return found


def _slices(annotations: Mapping[str, str]) -> Json:
    if level := annotations.get(SLICE_REQUIRED):
        size = annotations.get(SLICE_SIZE, "")
        if size.isascii() and size.isdigit() and int(size) > 0:
            return {"podSetSliceRequiredTopology": level, "podSetSliceSize": int(size)}
        return {}
    if text := annotations.get(SLICE_CONSTRAINTS):
        try:
            layers = orjson.loads(text)
        except orjson.JSONDecodeError:
            return {}
        if isinstance(layers, list) and layers and all(map(_is_layer, layers)):
            return {"podsetSliceRequiredTopologyConstraints": layers}
    return {}


def _is_layer(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("topology"), str)
        and isinstance(value.get("size"), int)
        and value["size"] > 0
    )
