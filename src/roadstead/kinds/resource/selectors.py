"""What classes and claims say alike: CEL selectors, and configuration for drivers."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from roadstead.expr.cel.device import compile_selector
from roadstead.expr.cel.errors import CompileError
from roadstead.kinds import errors
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json
from roadstead.kinds.resource import checks

MAX_SELECTORS: Final = 32
MAX_CONFIGS: Final = 32
MAX_EXPRESSION: Final = 10 * 1024
MAX_PARAMETERS: Final = 10 * 1024
_AT: Final = re.compile(r"<input>:(\d+):(\d+):", re.ASCII)
_OMITTED: Final = "<value omitted>"


def validate_selectors(selectors: Any, path: str, found: list[FieldError]) -> None:
    """Every selector is a CEL expression that compiles to a bool."""
    checks.each(selectors, MAX_SELECTORS, _selector, path, found)


def _selector(selector: Json, path: str, found: list[FieldError]) -> None:
    cel = selector.get("cel")
    if cel is None:
        found.append(errors.required(f"{path}.cel"))
        return
    text = cel.get("expression", "")
    if len(text.encode()) > MAX_EXPRESSION:
        found.append(errors.too_long(f"{path}.cel.expression", MAX_EXPRESSION))
        return
    try:
        compile_selector(text)
    except CompileError as error:
        found.append(invalid(f"{path}.cel.expression", text, pointed(text, str(error))))


def pointed(text: str, message: str) -> str:
    """What cel-go adds to the message of a compiler: the line that it is about, and a mark below the place."""
    at = _AT.search(message)
    if at is None:
        return message
    line, column = int(at[1]), int(at[2])
    lines = text.split("\n")
    if line > len(lines) or not lines[line - 1]:
        return message
    return f"{message}\n | {lines[line - 1]}\n | {'.' * (column - 1)}^"


def validate_config(config: Json, path: str, found: list[FieldError], *, is_stored: bool = False) -> None:
    """Opaque parameters for one driver. Stored ones may be as long as they are."""
    opaque = config.get("opaque")
    if opaque is None:
        found.append(errors.required(f"{path}.opaque"))
        return
    checks.driver_name(opaque.get("driver", ""), f"{path}.opaque.driver", found)
    limit = -1 if is_stored else MAX_PARAMETERS
    validate_raw(opaque.get("parameters"), f"{path}.opaque.parameters", limit, found)


def validate_raw(value: Any, path: str, limit: int, found: list[FieldError]) -> None:
    """JSON of somebody else's: an object of at most `limit` bytes (negative: any size)."""
    if value is None:
        found.append(errors.required(path))
    elif 0 <= limit < len(orjson.dumps(value)):
        found.append(errors.too_long(path, limit))
    elif not isinstance(value, dict):
        found.append(invalid(path, _OMITTED, "must be a valid JSON object"))
