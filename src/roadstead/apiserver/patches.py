"""PATCH bodies: which of the patch languages, decoded with the real server's refusals, ready to be applied.

What a patch does to an object is `kinds.patch`'s; here is how it arrives.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final

import orjson

from roadstead.apiserver import yaml_body
from roadstead.apiserver.bodies import duplicate_fields
from roadstead.apiserver.errors import RouteError, media_type_unknown
from roadstead.apiserver.go_json import go_type, syntax_error
from roadstead.kinds import patch as languages
from roadstead.kinds.errors import INVALID, FieldError, StatusError, bad_request, go_quote
from roadstead.kinds.object import Json
from roadstead.kinds.patch.refused import go_text
from roadstead.kinds.registry import Kind, Registry
from roadstead.kinds.schema import DecodeError
from roadstead.kinds.yaml_text import keys_written_twice

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

OPERATIONS_LIMIT: Final = 10_000
_OPERATION_FIELDS: Final = ("op", "path", "from", "value")


class Patch:
    """A decoded patch, for one request: what it makes of an object, and how its result is refused."""

    def __init__(
        self,
        kind: Kind,
        registry: Registry,
        change: Callable[[Json], Json],
        mode: str,
        problems: tuple[str, ...] = (),
        shown: str = "",
    ) -> None:
        """`problems` are what strict validation says about the patch itself; `shown` is the patch in Go's words, for the one
        language whose refusals quote the patch and not its result."""
        self._kind = kind
        self._registry = registry
        self._change = change
        self._mode = mode
        self.problems = problems
        self._shown = shown

    def apply(self, obj: Json) -> Json:
        """The patched object. Raises StatusError."""
        result = self._change(obj)
        if not self._shown:
            self._shown = orjson.dumps(result).decode()
        self._check_kind(result)
        if self._mode == "Strict" and self.problems:
            unknown = self._kind.schema.check(copy.deepcopy(result), "Warn")
            raise self._refused("strict decoding error: " + ", ".join([*self.problems, *unknown]))
        return result

    def refusal(self, error: DecodeError) -> StatusError:
        """How it is said that the result does not decode."""
        return self._refused(error.why)

    def _check_kind(self, result: Json) -> None:
        """A patch may write another kind or version into the object; then it is read as that."""
        api_version, name = result.get("apiVersion"), result.get("kind")
        if api_version == self._kind.resource.api_version and name == self._kind.kind:
            return
        if not isinstance(api_version, str) or not isinstance(name, str):
            return
        other = self._registry.by_kind(api_version, name)
        if other is None:
            scheme = 'in scheme "pkg/runtime/scheme.go:111"'
            raise self._refused(f'no kind "{name}" is registered for version "{api_version}" {scheme}')
        try:
            other.schema.check(copy.deepcopy(result))
        except DecodeError as error:
            raise self._refused(error.why) from None

    def _refused(self, why: str) -> StatusError:
        problem = FieldError(INVALID, "patch", f"Invalid value: {go_quote(self._shown)}: {why}")
        message = f' "" is invalid: {problem.field}: {problem.body}'
        return StatusError(422, "Invalid", message, {"causes": [problem.cause]})


def accepted_types(kind: Kind) -> tuple[str, ...]:
    """The patch types that this kind takes."""
    if kind.is_custom:
        return (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
    return (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def patch_media(content_type: str, kind: Kind) -> str:
    """The patch language of a body. Raises StatusError 415."""
    media = content_type.partition(";")[0].strip().lower()
    if media not in accepted_types(kind):
        if media == STRATEGIC_PATCH:
            raise media_type_unknown(accepted_types(kind))
        raise RouteError(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    return media


def decode_patch(body: bytes, media: str, kind: Kind, registry: Registry, mode: str) -> Patch:
    """The patch in `body`, of a language from `patch_media`, under the field validation `mode`. Raises StatusError 400, 413."""
    strict = mode != "Ignore"
    if media == JSON_PATCH:
        operations = _operations(body)
        problems = _unknown_in_operations(operations) if strict else ()
        return Patch(kind, registry, lambda obj: languages.json_patch(obj, operations), mode, problems)
    value = _document(body)
    duplicates = tuple(f'duplicate field "{path}"' for path in duplicate_fields(body)) if strict else ()
    if media == MERGE_PATCH:
        return Patch(kind, registry, lambda obj: languages.merge_patch(obj, value), mode, duplicates)
    return Patch(
        kind,
        registry,
        lambda obj: languages.strategic_merge_patch(obj, value, kind.schema),
        mode,
        duplicates,
        shown=go_text(value),
    )


def decode_apply(body: bytes, mode: str) -> tuple[Json, tuple[str, ...]]:
    """A configuration to apply, JSON or YAML, under the field validation `mode`, and what to warn of. Raises StatusError 400."""
    try:
        value = orjson.loads(body)
    except ValueError:
        try:
            value = yaml_body.load(body)
        except ValueError as err:
            raise bad_request(f"error decoding YAML: {yaml_body.CONVERTING}{err}") from err
    if value is None:
        value = {}
    if not isinstance(value, dict):
        why = f"json: cannot unmarshal {go_type(value)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    twice = [] if mode == "Ignore" or orjson.dumps(value) == body else keys_written_twice(body)
    problems = tuple(f"line {line}: key {go_quote(key)} already set in map" for line, key in twice)
    if problems and mode == "Strict":
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise bad_request(f"error strict decoding YAML: {yaml_body.CONVERTING}yaml: unmarshal errors:{listed}")
    return value, problems


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
