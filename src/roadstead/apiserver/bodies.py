"""Request bodies: read with a limit, decoded by content type, checked to be of the kind that the path names.

The refusals are those of the real server's decoders, word for word.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from roadstead.apiserver import yaml_body
from roadstead.apiserver.errors import BODY_LIMIT, body_too_large, media_type_unknown
from roadstead.apiserver.go_json import go_type, syntax_error
from roadstead.apiserver.negotiate import JSON, MEDIA_TYPES, PROTOBUF, YAML
from roadstead.kinds import protobuf
from roadstead.kinds.errors import StatusError, bad_request, invalid_object
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind, Registry

Receive = Callable[[], Awaitable[Any]]

SUMMARY_LENGTH: Final = 30
BODY_SECONDS: Final = 34.0
"""How long a body may take: the real server's limit for changes."""
_SURROGATE: Final = re.compile(r"(?<!\\)\\ud[89a-f][0-9a-f]{2}")


class ClientGone(Exception):
    """The client hung up."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A body as an object, and what strict reading noticed: fields written twice (the last one counts)."""

    value: Json
    body: bytes = b""
    duplicates: tuple[str, ...] = ()

    def warnings(self, found: Sequence[str]) -> Sequence[str]:
        """The warnings of a write together with those about fields written twice, in the order of the body."""
        return _in_document_order(self.body, found, self.duplicates) if self.duplicates else found


async def read_body(receive: Receive, announced: bytes | None) -> bytes:
    """The whole body. Raises StatusError 413 as soon as it is known to be too large, 504 if it does not come within
    BODY_SECONDS, ClientGone if the client hangs up."""
    if announced is not None and announced.isdigit() and int(announced) > BODY_LIMIT:
        raise body_too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive)
    except TimeoutError:
        message = f"Timeout: the request body did not arrive within {BODY_SECONDS:.0f} seconds"
        raise StatusError(504, "Timeout", message) from None


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT:
            raise body_too_large()
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def media_type(content_type: str, accepted: Sequence[str] = MEDIA_TYPES) -> str:
    """The media type of a body that is an object: none given means JSON. Raises StatusError 415 if it is not accepted."""
    media = content_type.partition(";")[0].strip().lower() or JSON
    if media not in accepted:
        raise media_type_unknown(accepted)
    return media


def object_media(content_type: str, kind: Kind) -> str:
    """The media type of a body that is an object of `kind`: custom kinds have no protobuf messages. Raises StatusError 415."""
    return media_type(content_type, (JSON, YAML) if kind.is_custom or not kind.has_protobuf else MEDIA_TYPES)


def parse(body: bytes, media: str) -> Any:
    """JSON or YAML to values. Raises ValueError with the decoder's words."""
    if media == YAML:
        return yaml_body.load(body)
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    problem = syntax_error(body)
    if problem is None:
        # Go is more liberal than orjson in a few things: bytes that are not UTF-8, lone surrogates.
        try:
            text = json.dumps(json.loads(body.decode("utf-8", "replace")))
            return json.loads(_SURROGATE.sub(r"\\ufffd", text))
        except (ValueError, RecursionError):
            problem = "exceeded max depth"
    raise ValueError(f"couldn't get version/kind; json parse error: {problem}")


def decode_object(body: bytes, media: str, kind: Kind, registry: Registry, mode: str) -> Decoded:
    """The body as an object of `kind`, apiVersion and kind filled in from the path where they are missing.

    `mode` is the field validation: Ignore, Warn or Strict. Fields written twice are found by a second pass over the text;
    Strict refuses them here, together with unknown ones. Protobuf has neither. Raises StatusError 400.
    """
    if media == PROTOBUF:
        return Decoded(_from_protobuf(body, kind, registry))
    try:
        value = parse(body, media)
    except ValueError as err:
        summary = summary_of(body)
        message = f"the object provided is unrecognized (must be of type {kind.kind}): {err} ({summary})"
        raise bad_request(message) from err
    if value is None:
        value = {}
    if not isinstance(value, dict):
        why = (
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {go_type(value)} into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        message = f"the object provided is unrecognized (must be of type {kind.kind}): {why} ({summary_of(body)})"
        raise bad_request(message)
    is_plain = (
        media != JSON or orjson.dumps(value) == body
    )  # as most clients write it: what was read is all that was written
    value = checked_kind(value, kind, registry)
    duplicates = () if mode == "Ignore" or is_plain else duplicate_fields(body)
    if duplicates and mode == "Strict":
        unknown = kind.schema.check(copy.deepcopy(value), "Warn")
        raise kind.schema.error("strict decoding error: " + ", ".join(_in_document_order(body, unknown, duplicates)))
    return Decoded(value, body, duplicates)


def _from_protobuf(body: bytes, kind: Kind, registry: Registry) -> Json:
    try:
        envelope = protobuf.open_envelope(body)
    except ValueError as err:
        message = f"the object provided is unrecognized (must be of type {kind.kind}): {err} ({summary_of(body)})"
        raise bad_request(message) from err
    head = checked_kind({"apiVersion": envelope.api_version, "kind": envelope.kind}, kind, registry)
    try:
        return {**head, **protobuf.decode(kind.schema.component, envelope.raw)}
    except ValueError as err:
        raise kind.schema.error(str(err)) from err


def parse_as(body: bytes, media: str, component: str) -> Any:
    """A body that should be of the kind of `component`, in any media type, to values; which kind it says it is, is the
    caller's to check. Raises ValueError with the decoder's words."""
    if media != PROTOBUF:
        return parse(body, media)
    envelope = protobuf.open_envelope(body)
    head = {"apiVersion": envelope.api_version, "kind": envelope.kind}
    if envelope.kind not in ("", component.rpartition(".")[2]):
        return head
    return {**head, **protobuf.decode(component, envelope.raw)}


def checked_kind(value: Json, kind: Kind, registry: Registry) -> Json:
    """The object with apiVersion and kind first, filled in if they were missing; those of another kind are refused (400)."""
    group_version = kind.resource.api_version
    for field in ("apiVersion", "kind"):
        given = value.get(field)
        if given is not None and not isinstance(given, str):
            raise bad_request(
                f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; json parse error: "
                f"json: cannot unmarshal {go_type(given)} into Go struct field .{field} of type string (<object>)"
            )
    api_version = value.get("apiVersion") or group_version
    name = value.get("kind") or kind.kind
    if api_version == group_version and name == kind.kind:
        rest = {key: item for key, item in value.items() if key not in ("apiVersion", "kind")}
        return {"apiVersion": api_version, "kind": name, **rest}
    version = api_version.rpartition("/")[2]
    refused = f'{name} in version "{version}" cannot be handled as a {kind.kind}: '
    if kind.storage is not None and api_version == group_version:
        metadata = value.get("metadata")
        called = metadata.get("name") if isinstance(metadata, dict) else None
        raise invalid_object(kind.resource.group, name, called or "", kind.strategy.errors_of_another_kind(value))
    if registry.by_kind(api_version, name) is None:
        scheme = 'in scheme "pkg/runtime/scheme.go:111"'
        raise bad_request(f'{refused}no kind "{name}" is registered for version "{api_version}" {scheme}')
    if name == kind.kind:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({group_version})"
        )
    internal = kind.resource.group.partition(".")[0] or "core"
    raise bad_request(f"{refused}converting ({version}.{name}) to ({internal}.{kind.kind}): unknown conversion")


def duplicate_fields(body: bytes) -> tuple[str, ...]:
    """Paths of fields that occur twice in their object, in order of appearance: `metadata.labels.a`, `spec.containers[0].name`."""
    found = False

    def watch(pairs: list[tuple[str, Any]]) -> Json:
        nonlocal found
        value = dict(pairs)
        if len(value) != len(pairs):
            found = True
        return value

    try:
        json.loads(body, object_pairs_hook=watch)
        if not found:
            return ()
        paths: list[str] = []
        _duplicates(json.loads(body, object_pairs_hook=_Pairs), "", paths)
    except (ValueError, RecursionError):
        return ()
    return tuple(dict.fromkeys(paths))


def _in_document_order(body: bytes, found: Sequence[str], duplicates: Sequence[str]) -> list[str]:
    """Texts about unknown fields and duplicates as a reader of the body meets them; other texts stay last."""
    places: dict[str, int] = {}
    _places(json.loads(body, object_pairs_hook=_Pairs), "", places, itertools.count())
    texts = [*found, *(f'duplicate field "{path}"' for path in duplicates)]
    return sorted(texts, key=lambda text: places.get(text, len(places)))


def _places(value: Any, path: str, places: dict[str, int], counter: Iterator[int]) -> None:
    if isinstance(value, _Pairs):
        for key, item in value:
            below = f"{path}.{key}" if path else key
            name = f'unknown field "{below}"'
            if name in places:
                name = f'duplicate field "{below}"'
            places.setdefault(name, next(counter))
            _places(item, below, places, counter)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _places(item, f"{path}[{index}]", places, counter)


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, to tell it from an array."""


def _duplicates(value: Any, path: str, paths: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            below = f"{path}.{key}" if path else key
            if key in seen:
                paths.append(below)
            seen.add(key)
            _duplicates(item, below, paths)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _duplicates(item, f"{path}[{index}]", paths)


def summary_of(body: bytes) -> str:
    """What the real server shows of a body that it cannot read: text if it looks like JSON, else hexadecimal."""
    if not body:
        return "<empty>"
    shown = body[:SUMMARY_LENGTH]
    text = shown.decode("utf-8", "replace") if body.startswith(b"{") else shown.hex()
    return f"{text} ..." if len(body) > SUMMARY_LENGTH else text
