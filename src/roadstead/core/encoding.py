"""Values of the core and its model as plain JSON-able data and back, and the hash of a fact."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Final, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from roadstead.core.memory import Tried
from roadstead.core.plan import Admit, BindPod, Evict, Forgotten, Plan, Verdicts
from roadstead.core.rules import AdmissionFairSharing, Rules, WaitForPodsReady
from roadstead.model import dra, nodes, queues, refusals, resources, selection, workload
from roadstead.model.facts import Gone, Noun

_TYPE: Final = "_"


def _known_types() -> dict[str, type]:
    found: dict[str, type] = {
        t.__name__: t
        for t in (
            Admit,
            Evict,
            BindPod,
            Tried,
            Plan,
            Verdicts,
            Rules,
            WaitForPodsReady,
            AdmissionFairSharing,
            Gone,
            Forgotten,
        )
    }
    for module in (nodes, queues, refusals, resources, selection, workload, dra):
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and _is_value(value):
                found[_name(value)] = value
    return found


def _is_value(kind: type) -> bool:
    return (
        is_dataclass(kind) or issubclass(kind, msgspec.Struct) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


@cache
def _name(kind: type) -> str:
    """What a type is called in a dump. `dra.` tells its nouns from others of the same name (there are two kinds of
    Device)."""
    return f"dra.{kind.__name__}" if kind.__module__ == dra.__name__ else kind.__name__


_TYPES: Final[Mapping[str, type]] = _known_types()
_PLAIN: Final = frozenset((str, int, bool, type(None)))


def encode(value: Any) -> Any:
    """A value of the core or its model as JSON-able data; defaults are left out. TypeError for any other value."""
    kind: type = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return [item if type(item) in _PLAIN else encode(item) for item in value]
    if kind is dict:
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, type):
        return _name(value)  # the noun of a Gone
    if kind is workload.PodClass:
        return _encoded_class(value)
    return _encoded(value, kind)


@lru_cache(maxsize=1024)
def _encoded_class(pod: workload.PodClass) -> Any:
    """Equal pods share their class, and so what it looks like: nobody changes what `encode` gave."""
    return _encoded(pod, workload.PodClass)


def _encoded(value: Any, kind: type) -> Any:
    if not _is_value(kind):
        raise TypeError(f"{kind.__name__} cannot be dumped")
    data: dict[str, Any] = {_TYPE: _name(kind)}
    for name, default in _fields(kind):
        item = getattr(value, name)
        if item != default:
            data[name] = item if type(item) in _PLAIN else encode(item)
    return data


@cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    if issubclass(kind, tuple):
        defaults: dict[str, Any] = getattr(kind, "_field_defaults", {})
        return tuple((name, defaults.get(name, MISSING)) for name in getattr(kind, "_fields", ()))
    if issubclass(kind, msgspec.Struct):
        return tuple(
            (field.name, MISSING if field.default is msgspec.NODEFAULT else field.default)
            for field in msgspec.structs.fields(kind)
        )
    return tuple((field.name, field.default) for field in fields(cast(Any, kind)) if field.init)


def decode(data: Any) -> Any:
    """The inverse of `encode` for values (not for dicts). ValueError for a type name that this program does not
    know."""
    if isinstance(data, list):
        return tuple(decode(item) for item in data)
    if isinstance(data, dict):
        kind = _TYPES.get(data[_TYPE])
        if kind is None:
            raise ValueError(
                f"The dump holds a {data[_TYPE]!r}, which this program does not know. Load it with a newer one."
            )
        if kind is Gone:
            return Gone(cast(type[Noun], _TYPES[data["noun"]]), decode(data["key"]))
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
