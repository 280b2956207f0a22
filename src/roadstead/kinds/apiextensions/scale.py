"""The scale subresource of a definition: which fields of an object are its replicas (apiextensions-apiserver
`customresource/etcd.go`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from roadstead.kinds.checking import type_name
from roadstead.kinds.errors import FieldError, go_value, invalid
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Subresource

SCALE: Final = Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1")
_MOST: Final = 2**31 - 1
_GO_TYPES: Final = {
    "string": "string", "boolean": "bool", "integer": "int64", "number": "float64", "array": "[]interface {}",
    "object": "map[string]interface {}", "null": "<nil>",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """Paths as the definition writes them: `.spec.replicas`. `selector` "": none."""

    spec: str
    status: str
    selector: str = ""

    @classmethod
    def of(cls, declared: Json) -> Scale:
        return cls(
            declared["specReplicasPath"], declared["statusReplicasPath"], declared.get("labelSelectorPath") or ""
        )

    def view(self, obj: Json) -> Json:
        """The Scale object of an object (autoscaling/v1)."""
        metadata = obj["metadata"]
        kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        status: Json = {"replicas": self._number(obj, self.status)}
        selector = self._at(obj, self.selector) if self.selector else None
        if isinstance(selector, str) and selector:
            status["selector"] = selector
        replicas = self._number(obj, self.spec)
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {name: metadata[name] for name in kept if name in metadata},
            "spec": {"replicas": replicas} if replicas else {},
            "status": status,
        }

    def set(self, obj: Json, replicas: int) -> None:
        """Write the number where the object keeps it, in place."""
        *path, last = self.spec.removeprefix(".").split(".")
        for name in path:
            inner = obj.get(name)
            if not isinstance(inner, dict):
                inner = obj[name] = {}
            obj = inner
        obj[last] = replicas

    def has_replicas(self, obj: Json) -> bool:
        """The object says how many it wants: without that there is nothing to scale."""
        return self._at(obj, self.spec) is not None

    def errors(self, obj: Json, *, status_only: bool = False) -> list[FieldError]:
        """Numbers that are none, or out of range; a selector that is no text."""
        found: list[FieldError] = []
        for path in (self.status,) if status_only else (self.spec, self.status):
            value, broken = self._at(obj, path), self._broken(obj, path)
            if broken:
                found.append(invalid(path, 0, broken))
            if value is None:
                continue
            if value.__class__ is not int:
                found.append(invalid(path, 0, _accessor(path, value, "int64")))
            elif value < 0:
                found.append(invalid(path, value, "should be a non-negative integer"))
            elif value > _MOST:
                found.append(invalid(path, value, f"should be less than or equal to {_MOST}"))
        selector = self._at(obj, self.selector) if self.selector else None
        broken = self._broken(obj, self.selector) if self.selector else ""
        if broken:
            found.append(invalid(self.selector, "", broken))
        elif selector is not None and not isinstance(selector, str):
            found.append(invalid(self.selector, "", _accessor(self.selector, selector, "string")))
        return found

    def _broken(self, obj: Json, path: str) -> str:
        """Why there is nothing to be found at the path: something on the way is no object. "" if all is well."""
        value: Any = obj
        for name in path.removeprefix(".").split("."):
            if value is None:
                return ""
            if not isinstance(value, dict):
                return _accessor(path, value, "map[string]interface{}")
            value = value.get(name)
        return ""

    def _number(self, obj: Json, path: str) -> int:
        value = self._at(obj, path)
        return value if value.__class__ is int else 0

    def _at(self, obj: Json, path: str) -> Any:
        value: Any = obj
        for name in path.removeprefix(".").split("."):
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value


def _accessor(path: str, value: Any, wanted: str) -> str:
    given = _GO_TYPES[type_name(value)]
    return f"{path} accessor error: {go_value(value).strip(chr(34))} is of the type {given}, expected {wanted}"
