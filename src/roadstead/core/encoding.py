"""Values of the model as plain JSON-able data and back, and the hash of a fact."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from roadstead.core.memory import Tried
from roadstead.core.plan import Admit, BindPod, Evict, Plan, Verdicts
from roadstead.model import nodes, queues, refusals, selection, workload

_TYPE: Final = "_"


def _known_types() -> dict[str, type]:
    found: dict[str, type] = {t.__name__: t for t in (Admit, Evict, BindPod, Tried, Plan, Verdicts)}
    for module in (nodes, queues, refusals, selection, workload):
        for name, value in vars(module).items():
            if isinstance(value, type) and is_dataclass(value):
                found[name] = value
    return found


_TYPES: Final[Mapping[str, type]] = _known_types()


def encode(value: Any) -> Any:
    """A value of the model as JSON-able data; defaults are left out."""
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        data: dict[str, Any] = {_TYPE: type(value).__name__}
        for field in fields(value):
            item = getattr(value, field.name)
            if item != field.default:
                data[field.name] = encode(item)
        return data
    raise TypeError(f"{type(value).__name__} cannot be dumped")


def decode(data: Any) -> Any:
    """The inverse of `encode`. ValueError for a type name that this program does not know."""
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    if isinstance(data, dict):
        kind = _TYPES.get(data[_TYPE])
        if kind is None:
            raise ValueError(
                f"The dump holds a {data[_TYPE]!r}, which this program does not know. Load it with a newer one."
            )
        enums = _enum_fields(kind)
        values = {}
        for name, item in data.items():
            if name != _TYPE:
                value = decode(item)
                values[name] = enums[name](value) if name in enums and value is not None else value
        return kind(**values)
    return data


@cache
def _enum_fields(kind: type) -> dict[str, type[StrEnum]]:
    found: dict[str, type[StrEnum]] = {}
    for name, hint in get_type_hints(kind).items():
        for option in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
            if isinstance(option, type) and issubclass(option, StrEnum):
                found[name] = option
    return found


def fact_hash(fact: Any) -> int:
    """128 bits for one fact; a world's facts add up to its hash, whatever their order."""
    text = json.dumps(encode(fact), sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")
