"""DeviceClass (resource.k8s.io/v1): a name for devices that an administrator chose, with configuration for their
driver."""

from __future__ import annotations

from typing import Any

from roadstead.kinds import ages
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core.resources import is_extended
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import DEVICE_CLASSES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.resource import checks
from roadstead.kinds.resource.selectors import MAX_CONFIGS, validate_config, validate_selectors
from roadstead.kinds.strategy import Column, Strategy


class DeviceClassStrategy(Strategy):
    """Classes may change; expressions that did not are not looked at again."""

    has_generation = True
    columns = (Column("Name", format="name"), Column("Age"))

    def validate(self, obj: Json) -> list[FieldError]:
        return _validate(obj, None)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        return _validate(new, old)

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], ages.created(obj, now)]


def _validate(obj: Json, old: Json | None) -> list[FieldError]:
    found: list[FieldError] = []
    spec: Json = obj.get("spec") or {}
    before: Json | None = None if old is None else old.get("spec") or {}
    if before is None or before.get("selectors") != spec.get("selectors"):
        validate_selectors(spec.get("selectors"), "spec.selectors", found)
    is_stored = before is not None and before.get("config") == spec.get("config")

    def config(value: Json, at: str, into: list[FieldError]) -> None:
        validate_config(value, at, into, is_stored=is_stored)

    checks.each(spec.get("config"), MAX_CONFIGS, config, "spec.config", found)
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        found.append(invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))
    return found


def kind() -> Kind:
    return builtin_kind(DEVICE_CLASSES, "DeviceClass", DeviceClassStrategy(), namespaced=False)
