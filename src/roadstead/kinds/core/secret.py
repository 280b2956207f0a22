"""Secret (v1): `stringData` folded into `data`, the contents that well-known types promise, immutability."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core.config_map import SIZE_LIMIT, decoded_size, immutable_errors
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import SECRETS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy

OPAQUE: Final = "Opaque"
_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_DOCKER: Final = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}


class SecretStrategy(Strategy):
    """Secrets."""

    field_names = ("type",)
    columns = (Column("Name", format="name"), Column("Type"), Column("Data"), Column("Age"))

    def default(self, obj: Json) -> None:
        obj.setdefault("type", OPAQUE)
        text = obj.pop("stringData", None)
        if text:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in text.items()}
            obj["data"] = {**(obj.get("data") or {}), **encoded}

    def validate(self, obj: Json) -> list[FieldError]:
        data: dict[str, str] = obj.get("data") or {}
        found: list[FieldError] = []
        for key in data:
            for why in syntax.config_key(key):
                found.append(errors.invalid(f"data[{key}]", key, why))
        if sum(decoded_size(value) for value in data.values()) > SIZE_LIMIT:
            found.append(errors.too_long("data", SIZE_LIMIT))
        return found + _contents(obj, data)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found: list[FieldError] = []
        if new["type"] != old["type"]:
            found.append(errors.invalid("type", new["type"], "field is immutable"))
        found += immutable_errors(new, old, ("data",))
        return found + self.validate(new)

    def fields(self, obj: Json) -> dict[str, str]:
        return {"type": obj.get("type", "")}

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj.get("type", ""), len(obj.get("data") or ()), ages.created(obj, now)]


def _contents(obj: Json, data: dict[str, str]) -> list[FieldError]:
    """What the secret's type promises."""
    kind = obj["type"]
    if kind == "kubernetes.io/service-account-token":
        name = "kubernetes.io/service-account.name"
        if (obj["metadata"].get("annotations") or {}).get(name):
            return []
        return [errors.required(f"metadata.annotations[{name}]")]
    if kind in _NEEDS:
        return [errors.required(f"data[{key}]") for key in _NEEDS[kind] if key not in data]
    if kind == "kubernetes.io/basic-auth":
        if "username" in data or "password" in data:
            return []
        return [errors.required("data[username]"), errors.required("data[password]")]
    if kind in _DOCKER:
        key = _DOCKER[kind]
        if key not in data:
            return [errors.required(f"data[{key}]")]
        try:
            json.loads(base64.b64decode(data[key]))
        except ValueError as error:
            return [errors.invalid(f"data[{key}]", "<secret contents redacted>", str(error))]
    return []


def kind() -> Kind:
    return builtin_kind(SECRETS, "Secret", SecretStrategy())
