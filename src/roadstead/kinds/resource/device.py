"""One device of a slice: what is known of it, what it shares with others, and from where it can be used."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core.scheduling import node_selector
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json
from roadstead.kinds.resource import checks
from roadstead.kinds.resource.binding import validate_binding_conditions
from roadstead.kinds.resource.capacity import validate_capacity, validate_undivided_capacity
from roadstead.kinds.resource.taints import validate_taint

MAX_KEYS: Final = 32
MAX_VALUES: Final = 48
MAX_TAINTS: Final = 16
MAX_CONSUMPTIONS: Final = 2
MAX_COUNTERS: Final = 32
MAX_VALUE: Final = 64
"""Bytes of a string or version."""
LISTS: Final = ("bools", "ints", "strings", "versions")
_SCALARS: Final = ("bool", "int", "string", "version")
_SHOWN: Final = {
    "int": "IntValue",
    "bool": "BoolValue",
    "string": "StringValue",
    "version": "VersionValue",
    "ints": "IntValues",
    "bools": "BoolValues",
    "strings": "StringValues",
    "versions": "VersionValues",
}
"""Fields as Go names them, in its order."""
_ONE_VALUE: Final = "exactly one value must be specified"
_WHERE: Final = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_NOT_HERE: Final = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice "
    "spec"
)
_SEMVER: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def validate_device(device: Json, old: Json | None, chooses: bool, path: str, found: list[FieldError]) -> None:
    """`old`: the device of this name as it is stored. `chooses`: the slice leaves the choice of nodes to its
    devices."""
    checks.label(device.get("name", ""), f"{path}.name", found)
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if len(attributes) + len(capacity) > MAX_KEYS:
        why = f"the total number of attributes and capacities must not exceed {MAX_KEYS}"
        found.append(invalid(path, len(attributes) + len(capacity), why))
    values = sum(_values(attribute) for attribute in attributes.values())
    if values > MAX_VALUES:
        found.append(invalid(path, values, f"the total number of attribute values must not exceed {MAX_VALUES}"))
    name = checks.qualified_name
    checks.mapping(attributes, -1, checks.MAX_KEY, name, _attribute, f"{path}.attributes", found)
    amount = validate_capacity if device.get("allowMultipleAllocations") else validate_undivided_capacity
    checks.mapping(capacity, -1, checks.MAX_KEY, name, amount, f"{path}.capacity", found)
    if old is None or old.get("taints") != device.get("taints"):
        checks.each(device.get("taints"), MAX_TAINTS, validate_taint, f"{path}.taints", found)
    here = f"{path}.consumesCounters"
    of_set = partial(_text, "counterSet")
    checks.distinct(device.get("consumesCounters"), MAX_CONSUMPTIONS, _consumption, of_set, here, found)
    if chooses:
        _nodes(device, path, found)
    elif any(device.get(field) is not None for field in ("nodeName", "nodeSelector", "allNodes")):
        found.append(invalid(path, None, _NOT_HERE))
    validate_binding_conditions(device, path, found)


def _text(name: str, value: Json) -> Any:
    return value.get(name, "")


def _values(attribute: Json) -> int:
    return sum(len(attribute.get(name) or ()) for name in LISTS) or 1


def _attribute(attribute: Json, path: str, found: list[FieldError]) -> None:
    given = [name for name in (*_SCALARS, *LISTS) if attribute.get(name) is not None]
    if "string" in given:
        _string(attribute["string"], f"{path}.string", found)
    if "version" in given:
        _version(attribute["version"], f"{path}.version", found)
    for name, check in (("strings", _string), ("versions", _version)):
        for i, item in enumerate(attribute.get(name) or ()):
            check(item, f"{path}.{name}[{i}]", found)
    if not given:
        found.append(invalid(path, "", _ONE_VALUE))
    elif len(given) > 1:
        found.append(invalid(path, {shown: attribute.get(name) for name, shown in _SHOWN.items()}, _ONE_VALUE))


def _string(value: str, path: str, found: list[FieldError]) -> None:
    if len(value.encode()) > MAX_VALUE:
        found.append(errors.too_long(path, MAX_VALUE))


def _version(value: str, path: str, found: list[FieldError]) -> None:
    if not _SEMVER.fullmatch(value):
        found.append(invalid(path, value, "must be a string compatible with semver.org spec 2.0.0"))
    _string(value, path, found)


def _consumption(consumption: Json, path: str, found: list[FieldError]) -> None:
    validate_counters(consumption, "counterSet", path, found)


def validate_counters(value: Json, name: str, path: str, found: list[FieldError]) -> None:
    """A counter set, or what is taken from one: a name in the field `name`, and amounts."""
    if not value.get(name):
        found.append(errors.required(f"{path}.{name}"))
    else:
        checks.label(value[name], f"{path}.{name}", found)
    here = f"{path}.counters"
    if not value.get("counters"):
        found.append(errors.required(here))
    else:
        checks.mapping(value["counters"], MAX_COUNTERS, 63, checks.label, checks.nothing, here, found)


def _nodes(device: Json, path: str, found: list[FieldError]) -> None:
    given = []
    name = device.get("nodeName")
    if name:
        given.append("`nodeName`")
        found.extend(invalid(f"{path}.nodeName", name, why) for why in syntax.dns_subdomain(name))
    elif name is not None:
        found.append(invalid(f"{path}.nodeName", name, "must not be empty"))
    if device.get("nodeSelector") is not None:
        given.append("`nodeSelector`")
        node_selector(device["nodeSelector"], f"{path}.nodeSelector", found)
    if device.get("allNodes"):
        given.append("`allNodes`")
    elif device.get("allNodes") is not None:
        found.append(invalid(f"{path}.allNodes", False, "must be either unset or set to true"))
    if not given:
        found.append(errors.required(path, _WHERE))
    elif len(given) > 1:
        found.append(invalid(path, "{" + ", ".join(given) + "}", _WHERE))
