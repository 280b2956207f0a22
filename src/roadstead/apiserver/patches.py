"""PATCH bodies: which of the patch languages, decoded with the real server's refusals, ready to be applied.

What a patch does to an object is `kinds.patch`'s; here is how it arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson

from roadstead.apiserver.bodies import duplicate_fields
from roadstead.apiserver.errors import RouteError, media_type_unknown
from roadstead.apiserver.go_json import syntax_error
from roadstead.apiserver.query import go_type
from roadstead.kinds import patch as languages
from roadstead.kinds.errors import StatusError, bad_request
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCHES: Final = ("application/apply-patch+yaml", "application/apply-patch+json", "application/apply-patch+cbor")

OPERATIONS_LIMIT: Final = 10_000
_OPERATION_FIELDS: Final = ("op", "path", "from", "value")


@dataclass(frozen=True, slots=True)
class Patch:
    """A decoded patch: what it makes of an object, and what strict validation says about the patch itself."""

    apply: Callable[[Json], Json]
    problems: tuple[str, ...] = ()


def accepted_types(kind: Kind) -> tuple[str, ...]:
    """The patch types that this kind takes."""
    return (JSON_PATCH, MERGE_PATCH) if kind.is_custom else (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)


def decode_patch(body: bytes, content_type: str, kind: Kind, *, strict: bool) -> Patch:
    """The patch in `body`. With `strict`, fields written twice in it are reported. Raises StatusError 400, 413, 415, 422."""
    media = content_type.partition(";")[0].strip().lower()
    if media not in accepted_types(kind):
        if media == STRATEGIC_PATCH or media in APPLY_PATCHES:
            raise media_type_unknown(accepted_types(kind))
        raise RouteError(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    if media == JSON_PATCH:
        operations = _operations(body)
        problems = _unknown_in_operations(operations) if strict else ()
        return Patch(lambda obj: languages.json_patch(obj, operations), problems)
    value = _document(body)
    duplicates = tuple(f'duplicate field "{path}"' for path in duplicate_fields(body)) if strict else ()
    if media == MERGE_PATCH:
        return Patch(lambda obj: languages.merge_patch(obj, value), duplicates)
    return Patch(lambda obj: languages.strategic_merge_patch(obj, value, kind.schema), duplicates)


def _document(body: bytes) -> Json:
    """A merge patch: any JSON object."""
    try:
        value = orjson.loads(body)
    except ValueError as err:
        raise bad_request(f"error decoding patch: {syntax_error(body) or err}") from err
    if value is None:
        raise bad_request("Invalid JSON Patch")
    if not isinstance(value, dict):
        why = f"json: cannot unmarshal {go_type(value)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding patch: {why}")
    return value


def _operations(body: bytes) -> list[Json]:
    """A JSON patch: an array of operations."""
    try:
        value = orjson.loads(body)
    except ValueError as err:
        raise bad_request(f"error decoding patch: {syntax_error(body) or err}") from err
    if value is None:
        return []
    if not isinstance(value, list):
        why = f"json: cannot unmarshal {go_type(value)} into Go value of type jsonpatch.Patch"
        raise bad_request(f"error decoding patch: {why}")
    if len(value) > OPERATIONS_LIMIT:
        why = f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(value)}"
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {why}")
    for operation in value:
        if operation is not None and not isinstance(operation, dict):
            why = f"json: cannot unmarshal {go_type(operation)} into Go value of type jsonpatch.Operation"
            raise bad_request(f"error decoding patch: {why}")
    return [operation or {} for operation in value]


def _unknown_in_operations(operations: list[Json]) -> tuple[str, ...]:
    return tuple(
        f'json patch unknown field "[{index}].{field}"'
        for index, operation in enumerate(operations)
        for field in operation
        if field not in _OPERATION_FIELDS
    )
