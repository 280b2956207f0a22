"""The published messages of the built-in kinds, from packaged descriptors (`scripts/protos.py` writes them; nobody
edits them)."""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

UNKNOWN: Final = "io.k8s.apimachinery.pkg.runtime.Unknown"


def message_name(component: str) -> str:
    """The message of an OpenAPI component: `io.k8s.api.core.v1.Pod` -> `k8s.io.api.core.v1.Pod`."""
    return f"k8s.io.{component.removeprefix('io.k8s.')}"


@lru_cache(maxsize=1)
def pool() -> DescriptorPool:
    """All packaged messages, read once, at the first request in protobuf: with the library about 30 ms that starting
    does not pay."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool

    packed = files("roadstead.kinds.facts").joinpath("protos.binpb.gz").read_bytes()
    result = DescriptorPool()
    for file in FileDescriptorSet.FromString(gzip.decompress(packed)).file:  # each after those that it imports
        result.Add(file)
    return result


@lru_cache(maxsize=128)
def message_class(component: str) -> type[Message]:
    """The class that reads the message of a component. KeyError if none is packaged."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(pool().FindMessageTypeByName(message_name(component)))


def parse(component: str, raw: bytes) -> Message:
    """Bytes as the message of a component; fields it does not know are passed over, as the real server does.

    Raises ValueError if they are no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        return message_class(component).FromString(raw)
    except DecodeError as err:
        what = component.rpartition(".")[2]
        why = f"{len(raw)} bytes are no protobuf message {what}: truncated or malformed; send them as generated.proto says"
        raise ValueError(why) from err
