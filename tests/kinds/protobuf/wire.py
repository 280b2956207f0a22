"""Messages as a client would send them: written from JSON, by the library's own JSON reader, into an envelope."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format

from roadstead.kinds.protobuf.descriptors import UNKNOWN, message_class
from roadstead.kinds.protobuf.envelope import PREFIX


def message(component: str, fields: dict[str, Any]) -> bytes:
    """The message of a component with fields by the names of `generated.proto`."""
    built = message_class(component)()
    json_format.ParseDict(fields, built)
    return built.SerializeToString()


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    """The body that carries a message."""
    built: Any = message_class(UNKNOWN)()
    built.typeMeta.apiVersion = api_version
    built.typeMeta.kind = kind
    built.raw = raw
    return PREFIX + bytes(built.SerializeToString())


def body(api_version: str, kind: str, fields: dict[str, Any], package: str = "io.k8s.api.core.v1") -> bytes:
    """A whole request body."""
    return envelope(api_version, kind, message(f"{package}.{kind}", fields))
