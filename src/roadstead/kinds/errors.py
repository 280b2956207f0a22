"""How a request is refused: field errors (what is wrong with an object) and StatusError (what the caller is told).

Texts and shapes are the API's own (apimachinery `field.Error`, `errors.StatusError`): clients test code and reason,
people grep the sentences.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from roadstead.kinds.object import Json, Resource

REQUIRED: Final = "FieldValueRequired"
INVALID: Final = "FieldValueInvalid"
NOT_SUPPORTED: Final = "FieldValueNotSupported"
FORBIDDEN: Final = "FieldValueForbidden"
DUPLICATE: Final = "FieldValueDuplicate"
NOT_FOUND: Final = "FieldValueNotFound"
TOO_LONG: Final = "FieldValueTooLong"
TOO_MANY: Final = "FieldValueTooMany"
TYPE_INVALID: Final = "FieldValueTypeInvalid"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field. `body` is the text after "PATH: " as the real server prints it."""

    reason: str
    field: str
    body: str

    @property
    def cause(self) -> Json:
        return {"reason": self.reason, "message": self.body, "field": self.field}


def go_value(value: Any) -> str:
    """A value as Go's field errors print it: strings quoted, null, true, numbers, objects as compact JSON."""
    if isinstance(value, str):
        return go_quote(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def go_quote(text: str) -> str:
    """A string as Go's %q prints it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    out: list[str] = []
    for char in text:
        code = ord(char)
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char.isprintable():
            out.append(char)
        elif code < 0x80:
            out.append(f"\\x{code:02x}")
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(REQUIRED, field, f"Required value: {detail}" if detail else "Required value")


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(INVALID, field, f"Invalid value: {go_value(value)}: {detail}")


def not_supported(field: str, value: Any, supported: Sequence[str], *, keep_order: bool = False) -> FieldError:
    """Sets are printed sorted; some rules of the real server list their choices in an order of their own."""
    choices = ", ".join(go_value(choice) for choice in (supported if keep_order else sorted(supported)))
    return FieldError(NOT_SUPPORTED, field, f"Unsupported value: {go_value(value)}: supported values: {choices}")


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError(FORBIDDEN, field, f"Forbidden: {detail}")


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError(DUPLICATE, field, f"Duplicate value: {go_value(value)}")


def too_long(field: str, limit: int) -> FieldError:
    return FieldError(TOO_LONG, field, f"Too long: may not be more than {limit} bytes")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    return FieldError(TOO_MANY, field, f"Too many: {actual}: must have at most {limit} items")


class StatusError(Exception):
    """A refusal with everything a Status needs. `code` is the HTTP status; `reason` "" where the real server gives
    none; `details` {} shows as an empty object, None not at all."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None, retry_after: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self._shows_details = details is not None
        if retry_after:
            self.details["retryAfterSeconds"] = retry_after
        self.metadata: Json = {}
        self.warnings: Sequence[str] = ()
        """What the caller is told beside the refusal, as after a success."""

    @property
    def status(self) -> Json:
        """The Status object, `kind: Status`, as it goes on the wire."""
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details or self._shows_details:
            body["details"] = self.details
        body["code"] = self.code
        return body


def _about(resource: Resource, name: str) -> Json:
    details: Json = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    return details


def not_found(resource: Resource, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{resource} "{name}" not found', _about(resource, name))


def already_exists(resource: Resource, name: str) -> StatusError:
    return StatusError(409, "AlreadyExists", f'{resource} "{name}" already exists', _about(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> StatusError:
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return StatusError(409, "Conflict", message, _about(resource, name))


def access_denied(resource: Resource, name: str, why: str) -> StatusError:
    """403 Forbidden."""
    subject = f'{resource} "{name}"' if name else str(resource)
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {why}", _about(resource, name))


def invalid_object(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    """422 Invalid for an object with field errors."""
    qualified = f"{kind}.{group}" if group else kind
    texts = [f"{error.field}: {error.body}" for error in errors]
    unique = list(dict.fromkeys(texts))  # an aggregate prints equal errors once
    joined = unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"
    details: Json = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = kind
    details["causes"] = [error.cause for error in errors]
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {joined}', details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def expired(message: str) -> StatusError:
    """410: the resourceVersion asked for is older than the history kept."""
    return StatusError(410, "Expired", message)


def internal_error(why: str) -> StatusError:
    message = f"Internal error occurred: {why}"
    return StatusError(500, "InternalError", message, {"causes": [{"message": why}]})
