"""ConfigMap (v1): keys, sizes, and the `immutable` promise."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import CONFIG_MAPS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy

SIZE_LIMIT: Final = 1024 * 1024


class ConfigMapStrategy(Strategy):
    """ConfigMaps."""

    columns = (Column("Name", format="name"), Column("Data"), Column("Age"))

    def validate(self, obj: Json) -> list[FieldError]:
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        found: list[FieldError] = []
        size = 0
        for key, value in data.items():
            for why in syntax.config_key(key):
                found.append(errors.invalid(f"data[{key}]", key, why))
            if key in binary:
                found.append(errors.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
            size += len(value.encode())
        for key, value in binary.items():
            for why in syntax.config_key(key):
                found.append(errors.invalid(f"binaryData[{key}]", key, why))
            size += decoded_size(value)
        if size > SIZE_LIMIT:
            found.append(errors.too_long("[]", SIZE_LIMIT))
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found = immutable_errors(new, old, ("data", "binaryData"))
        return found + self.validate(new)

    def cells(self, obj: Json, now: float) -> list[Any]:
        count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
        return [obj["metadata"]["name"], count, ages.created(obj, now)]


def decoded_size(text: str) -> int:
    """Bytes behind base64 text."""
    return len(text) // 4 * 3 - text[-2:].count("=") if text else 0


def immutable_errors(new: Json, old: Json, fields: tuple[str, ...]) -> list[FieldError]:
    """What an object marked `immutable: true` does not let go of: the mark itself and its contents."""
    if old.get("immutable") is not True:
        return []
    why = "field is immutable when `immutable` is set"
    found = [] if new.get("immutable") is True else [errors.forbidden("immutable", why)]
    return found + [errors.forbidden(name, why) for name in fields if (new.get(name) or {}) != (old.get(name) or {})]


def kind() -> Kind:
    return builtin_kind(CONFIG_MAPS, "ConfigMap", ConfigMapStrategy(), short_names=("cm",))
