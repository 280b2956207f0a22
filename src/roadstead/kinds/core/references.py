"""References from a container or a volume to its own pod (downward API), to ConfigMaps and to Secrets."""

from __future__ import annotations

import re
from typing import Final

from roadstead.expr import quantity, syntax
from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

_ENV_FIELDS: Final = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
_VOLUME_FIELDS: Final = frozenset(
    {"metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"}
)
_CONVERTIBLE: Final = (
    _ENV_FIELDS | _VOLUME_FIELDS | {"spec.restartPolicy", "spec.schedulerName", "spec.host", "status.phase"}
)
_SUBSCRIPTED: Final = re.compile(r"(metadata\.(?:labels|annotations))\['(.*)'\]")
RESOURCE_FIELDS: Final = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE: Final = ("limits.hugepages-", "requests.hugepages-")
_CPU_DIVISORS: Final[tuple[str, ...]] = ("0", "1m", "1")
_BYTE_DIVISORS: Final[tuple[str, ...]] = (
    "0",
    "1",
    "1k",
    "1M",
    "1G",
    "1T",
    "1P",
    "1E",
    "1Ki",
    "1Mi",
    "1Gi",
    "1Ti",
    "1Pi",
    "1Ei",
)


def field_reference(reference: Json, path: str, found: list[FieldError], *, volume: bool) -> None:
    """`fieldRef`: which fields of the pod may be read, in the environment or in a file."""
    if not reference.get("apiVersion"):
        found.append(errors.required(f"{path}.apiVersion"))
        return
    field = reference.get("fieldPath", "")
    if not field:
        found.append(errors.required(f"{path}.fieldPath"))
        return
    subscripted = _SUBSCRIPTED.fullmatch(field)
    if subscripted is not None:
        where, key = subscripted.groups()
        name = key.lower() if where == "metadata.annotations" else key
        found.extend(invalid(path, key, why) for why in syntax.qualified_name(name))
        return
    if field not in _CONVERTIBLE or reference["apiVersion"] != "v1":
        why = f"error converting fieldPath: field label not supported: {field}"
        found.append(invalid(f"{path}.fieldPath", field, why))
        return
    allowed = _VOLUME_FIELDS if volume else _ENV_FIELDS
    if field not in allowed:
        found.append(errors.not_supported(f"{path}.fieldPath", field, sorted(allowed)))


def resource_reference(reference: Json, path: str, found: list[FieldError], *, volume: bool) -> None:
    """`resourceFieldRef`: a container's own requests and limits."""
    resource = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        found.append(errors.required(f"{path}.containerName"))
    elif not resource:
        found.append(errors.required(f"{path}.resource"))
    elif resource not in RESOURCE_FIELDS and not resource.startswith(_HUGE):
        found.append(errors.not_supported(f"{path}.resource", resource, RESOURCE_FIELDS))
    divisor = quantity.normalize(reference.get("divisor", "0"))
    if resource in ("limits.cpu", "requests.cpu"):
        allowed, what = _CPU_DIVISORS, "cpu"
    else:
        allowed, what = _BYTE_DIVISORS, resource.rpartition(".")[2]
    if divisor not in allowed and resource in RESOURCE_FIELDS:
        listed = ", ".join(value for value in allowed if value != "0")
        why = f"only divisor's values {listed} are supported with the {what} resource"
        found.append(invalid(f"{path}.divisor", resource, why))


def key_reference(reference: Json, path: str, found: list[FieldError]) -> None:
    """`configMapKeyRef` and `secretKeyRef`."""
    if not reference.get("name"):
        found.append(errors.required(f"{path}.name"))
    key = reference.get("key", "")
    if not key:
        found.append(errors.required(f"{path}.key"))
    else:
        found.extend(invalid(f"{path}.key", key, why) for why in syntax.config_key(key))
