"""How a patch is refused: when it cannot be applied, and when its result is no object of the kind."""

from __future__ import annotations

import json
from typing import Any

from roadstead.kinds.errors import INVALID, FieldError, StatusError, go_quote
from roadstead.kinds.schema import DecodeError


def not_applicable() -> StatusError:
    """422 for a JSON patch that does not fit the object (missing path, failed test)."""
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def patch_error(error: DecodeError, patched: Any) -> StatusError:
    """The 422 for a patch whose result does not decode; a body that does not decode is `error` itself, a 400."""
    text = go_quote(json.dumps(patched, separators=(",", ":"), ensure_ascii=False))
    problem = FieldError(INVALID, "patch", f"Invalid value: {text}: {error.why}")
    message = f' "" is invalid: {problem.field}: {problem.body}'
    return StatusError(422, "Invalid", message, {"causes": [problem.cause]})


def go_text(value: Any) -> str:
    """A value as Go's %v prints it: `map[a:1 b:[x y]]`."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_text(item) for item in value) + "]"
    return str(value)
