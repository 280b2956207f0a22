"""The JSONPath of printer columns: `.spec.x`, `.a[0]`, `['a.b']`, `[*]`, `.conditions[?(@.type=="Ready")].status`.

A subset of what kubectl knows, and all that CustomResourceDefinitions use. Parsing is cached; evaluation walks the
value once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal


class JSONPathError(ValueError):
    """The path cannot be understood."""


_NAME: Final = re.compile(r"\.((?:[^.\[\]\\'\"\s]|\\.)+)")
_INDEX: Final = re.compile(r"\[\s*(-?\d+)\s*\]")
_ALL: Final = re.compile(r"\[\s*\*\s*\]|\.\*")
_QUOTED: Final = re.compile(r"\[\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\s*\]")
_FILTER: Final = re.compile(
    r"\[\?\(\s*@((?:\.[^.\[\]\s=!<>()]+)+)\s*(?:(==|!=|<=|>=|<|>)\s*('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s)]+)\s*)?\)\]"
)


@dataclass(frozen=True, slots=True)
class _Step:
    kind: Literal["name", "index", "all", "filter"]
    name: str = ""
    index: int = 0
    inner: tuple[str, ...] = ()
    operator: str = ""
    operand: Any = None

    def apply(self, value: Any) -> list[Any]:
        match self.kind:
            case "name":
                return [value[self.name]] if isinstance(value, dict) and self.name in value else []
            case "index":
                inside = isinstance(value, list) and -len(value) <= self.index < len(value)
                return [value[self.index]] if inside else []
            case "all":
                if isinstance(value, dict):
                    return list(value.values())
                return list(value) if isinstance(value, list) else []
            case _:
                return [item for item in value if self._holds(item)] if isinstance(value, list) else []

    def _holds(self, item: Any) -> bool:
        for name in self.inner:
            if not isinstance(item, dict) or name not in item:
                return False
            item = item[name]
        if not self.operator:
            return item is not None
        if self.operator in ("==", "!="):
            return bool(item == self.operand) == (self.operator == "==")
        try:
            match self.operator:
                case "<":
                    return bool(item < self.operand)
                case "<=":
                    return bool(item <= self.operand)
                case ">":
                    return bool(item > self.operand)
                case _:
                    return bool(item >= self.operand)
        except TypeError:
            return False


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path."""

    steps: tuple[_Step, ...]

    def find(self, value: Any) -> list[Any]:
        """Every value that the path leads to, in document order."""
        found = [value]
        for step in self.steps:
            found = [inner for outer in found for inner in step.apply(outer)]
        return found

    def first(self, value: Any) -> Any:
        """The first value, or None."""
        found = self.find(value)
        return found[0] if found else None


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _operand(text: str) -> Any:
    if text[0] in "'\"":
        return _unescape(text[1:-1])
    try:
        return json.loads(text)
    except ValueError:
        return text


@lru_cache(maxsize=512)
def parse(text: str) -> Path:
    """A path such as `.status.conditions[?(@.type=="Ready")].status` (braces around it are allowed)."""
    rest = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    rest = rest.removeprefix("$")
    steps: list[_Step] = []
    while rest:
        for pattern in (_ALL, _NAME, _INDEX, _QUOTED, _FILTER):
            found = pattern.match(rest)
            if found is None:
                continue
            if pattern is _ALL:
                steps.append(_Step("all"))
            elif pattern is _NAME:
                steps.append(_Step("name", name=_unescape(found.group(1))))
            elif pattern is _INDEX:
                steps.append(_Step("index", index=int(found.group(1))))
            elif pattern is _QUOTED:
                steps.append(_Step("name", name=_unescape(found.group(1) or found.group(2) or "")))
            else:
                path, operator, operand = found.groups()
                inner = tuple(_unescape(name) for name in path[1:].split("."))
                value = _operand(operand) if operand else None
                steps.append(_Step("filter", inner=inner, operator=operator or "", operand=value))
            rest = rest[found.end() :]
            break
        else:
            raise JSONPathError(
                f"{text!r} is not a path that is understood, from {rest!r} on; write it like .spec.x[0].y"
            )
    return Path(tuple(steps))


def text(value: Any) -> str:
    """A value as a printer column of type string shows it: strings as they are, everything else as compact JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
