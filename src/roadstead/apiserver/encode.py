"""Stored objects to answers: as they are, metadata only, YAML; single or in lists. Tables are in `tables.py`.

Nothing is decoded where the stored bytes can be sent: a GET answers `Object.raw`, a list joins them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import orjson
import yaml

from roadstead.cluster.embedded.requests import Page
from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Json, Object
from roadstead.kinds.registry import Kind


class _MetadataOnly(msgspec.Struct):
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


def partial(found: Object, version: str) -> bytes:
    """PartialObjectMetadata of meta.k8s.io/`version`."""
    metadata = bytes(msgspec.json.decode(found.raw, type=_MetadataOnly).metadata)
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%s","metadata":%s}' % (
        version.encode(),
        metadata,
    )


def partial_page(page: Page, version: str) -> bytes:
    """PartialObjectMetadataList. O(result)."""
    items = b",".join([partial(item, version) for item in page.items])
    head = b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/%s","metadata":%s,"items":['
    return head % (version.encode(), list_metadata(page)) + items + b"]}"


def plain_page(kind: Kind, page: Page) -> bytes:
    """The kind's own list. Items of built-in kinds carry no kind and apiVersion, as in the real server. O(result)."""
    head = b'{"kind":"%s","apiVersion":"%s","metadata":%s,"items":['
    items = [item.raw for item in page.items] if kind.is_custom else [_without_type(kind, item) for item in page.items]
    return (
        head % (kind.list_kind.encode(), kind.resource.api_version.encode(), list_metadata(page, always=kind.is_custom))
        + b",".join(items)
        + b"]}"
    )


def list_metadata(page: Page, *, always: bool = False) -> bytes:
    """`metadata` of a list or Table. `always`: with `continue` also where nothing is left, as lists of custom kinds
    have it."""
    metadata: Json = {"resourceVersion": page.resource_version}
    if page.continue_token or always:
        metadata["continue"] = page.continue_token
    if page.remaining is not None and page.continue_token:
        metadata["remainingItemCount"] = page.remaining
    return orjson.dumps(metadata)


@lru_cache(maxsize=1024)
def _type_prefixes(api_version: str, kind: str) -> tuple[bytes, bytes]:
    version, name = orjson.dumps(api_version), orjson.dumps(kind)
    return (b'{"apiVersion":%s,"kind":%s,' % (version, name), b'{"kind":%s,"apiVersion":%s,' % (name, version))


def _without_type(kind: Kind, item: Object) -> bytes:
    """The object without apiVersion and kind: a slice if they come first, which is how the API server stores them."""
    raw = item.raw
    for prefix in _type_prefixes(kind.resource.api_version, kind.kind):
        if raw.startswith(prefix):
            return b"{" + raw[len(prefix) :]
    value = item.decode()
    value.pop("apiVersion", None)
    value.pop("kind", None)
    return orjson.dumps(value)


def error_line(error: StatusError) -> bytes:
    """An ERROR event that ends a watch."""
    return orjson.dumps({"type": "ERROR", "object": error.status}) + b"\n"


def as_yaml(body: bytes) -> bytes:
    """JSON bytes as a YAML document."""
    text: str = yaml.dump(
        orjson.loads(body), Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True
    )
    return text.encode()


_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def indented(body: bytes) -> bytes:
    """JSON bytes for human eyes."""
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
