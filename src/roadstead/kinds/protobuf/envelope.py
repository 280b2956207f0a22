"""The envelope around every protobuf object: four bytes, then a `runtime.Unknown` that names the kind and holds the
message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from roadstead.kinds.protobuf.decode import text
from roadstead.kinds.protobuf.descriptors import UNKNOWN, parse

PREFIX: Final = b"k8s\0"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a body says it is ("" where it does not say), and the bytes of its message."""

    api_version: str
    kind: str
    raw: bytes


def open_envelope(body: bytes) -> Envelope:
    """The envelope of a body. Raises ValueError in the words of the real server's protobuf serializer."""
    if not body:
        raise ValueError("empty data")
    if not body.startswith(PREFIX):
        shown = " ".join(str(byte) for byte in PREFIX)
        raise ValueError(f"provided data does not appear to be a protobuf message, expected prefix [{shown}]")
    if len(body) == len(PREFIX):
        raise ValueError("empty body")
    unknown: Any = parse(UNKNOWN, body[len(PREFIX) :])
    return Envelope(text(unknown.typeMeta.apiVersion), text(unknown.typeMeta.kind), unknown.raw)
