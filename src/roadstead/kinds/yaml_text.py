"""YAML text to JSON values, read as kubectl and the API server read it (go-yaml v2 behind sigs.k8s.io/yaml).

YAML 1.1 booleans (`yes`, `on`, `y`) and numbers (`0644` and `0o644` are 420, `1_000` and `1e3` are 1000); dates and
sexagesimals stay text; a key that is written twice counts as last written; keys are text.

The text may come from anybody: nesting and what aliases expand to are limited, and no tag makes anything but JSON
values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import yaml

from roadstead.kinds.object import Json

VALUES_LIMIT: Final = 1_000_000
"""Most values of one document after aliases are expanded: a small text must not become a huge object."""
DEPTH_LIMIT: Final = 200

_BOOLS: Final = {
    word: truth
    for truth, words in (
        (True, ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")),
        (False, ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")),
    )
    for word in words
}
_INTEGER: Final = re.compile(r"[-+]?(?:0b[01]+|0x[0-9a-fA-F]+|0o[0-7]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_DIGITS: Final = 70
"""No whole number of 64 bits is longer, in whatever notation."""
_SHORTEST_EXPONENT: Final = 1e21
"""Below it Go writes a whole float without point or exponent, and a server reads it as an integer."""
_SPECIAL: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_PREFIX: Final = "tag:yaml.org,2002:"
_PLAIN: Final = _PREFIX + "plain"
_MERGE: Final = _PREFIX + "merge"


class YamlError(ValueError):
    """The text cannot be read. `problem` says why, in YAML's own words; `line` and `column` count from 1, 0 is
    unknown."""

    def __init__(self, problem: str, line: int = 0, column: int = 0, *, in_scanner: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column
        self.in_scanner = in_scanner

    @property
    def go_line(self) -> int:
        """The line as Go's decoder counts: it knows none for the first, and only its scanner looks at the line it is
        in."""
        if self.line <= 1:
            return 0
        return self.line if self.in_scanner else self.line - 1


class TooManyValues(YamlError):
    """More than VALUES_LIMIT values once aliases are expanded."""


class RefersToItself(YamlError):
    """An alias inside what it stands for."""


class NotJson(YamlError):
    """A value that JSON does not know."""


class _Loader(yaml.CSafeLoader):
    """libyaml's safe loader with Go's reading of plain scalars."""


def read_all(text: str | bytes) -> list[Any]:
    """Every document, in order; an empty one is None. Raises YamlError. O(size of the text and of what aliases expand
    to)."""
    return _read(text, None)


def read_first(text: str | bytes) -> Any:
    """The first document, None if there is none; what follows is not looked at. Raises YamlError."""
    found = _read(text, 1)
    return found[0] if found else None


def _read(text: str | bytes, count: int | None) -> list[Any]:
    try:
        _check_depth(text, count)
        return [_as_json(value, [VALUES_LIMIT], ()) for value in islice(_documents(text), count)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = error.problem or error.context or "it cannot be read"
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise YamlError(why, *place, in_scanner=isinstance(error, yaml.scanner.ScannerError)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError(str(error)) from error


def keys_written_twice(text: str | bytes) -> list[tuple[int, str]]:
    """The keys of the first document that its maps have twice, with the line of each repetition. For text that can be
    read. O(size)."""
    found: list[tuple[int, str]] = []
    open_maps: list[set[str] | None] = []
    is_key: list[bool] = []
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.DocumentEndEvent):
            break
        in_map = bool(open_maps) and open_maps[-1] is not None
        if in_map and is_key[-1] and isinstance(event, yaml.ScalarEvent):
            seen = open_maps[-1]
            assert seen is not None
            if event.value in seen:
                found.append((event.start_mark.line + 1 if event.start_mark else 0, event.value))
            seen.add(event.value)
        if in_map and not isinstance(event, yaml.CollectionEndEvent):
            is_key[-1] = not is_key[-1]
        if isinstance(event, yaml.CollectionStartEvent):
            open_maps.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
            is_key.append(True)
        elif isinstance(event, yaml.CollectionEndEvent):
            open_maps.pop()
            is_key.pop()
    return found


def _documents(text: str | bytes) -> Iterator[Any]:
    loader: Any = _Loader(text)
    try:
        while loader.check_data():
            yield loader.get_data()
    finally:
        loader.dispose()


def _check_depth(text: str | bytes, count: int | None) -> None:
    """Refuse deep nesting while it is still a stream of events: libyaml's nodes are built recursively, without a
    limit."""
    depth = documents = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise YamlError(f"exceeded max depth of {DEPTH_LIMIT}", line, 1 if line else 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentEndEvent):
            documents += 1
            if documents == count:
                return


def _integer(text: str) -> int | None:
    """A whole number of 64 bits in any of YAML 1.1's notations, None if the text is none."""
    if len(text) > _DIGITS or _INTEGER.fullmatch(text) is None:
        return None
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    is_octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    value = sign * int(digits, 8 if is_octal else 0)
    return value if -(2**63) <= value < 2**64 else None


def _scalar(text: str) -> Any:
    """The value of a plain scalar."""
    if text in _BOOLS:
        return _BOOLS[text]
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.startswith("_"):
        return text
    plain = text.replace("_", "")
    number = _integer(plain)
    if number is not None:
        return number
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        if math.isfinite(value):
            return int(value) if value.is_integer() and abs(value) < _SHORTEST_EXPONENT else value
    return text


def _construct_plain(loader: Any, node: Any) -> Any:
    if _SPECIAL.fullmatch(node.value):
        raise yaml.constructor.ConstructorError(None, None, f"{node.value} has no place in JSON", node.start_mark)
    return _scalar(node.value)


def _construct_map(loader: Any, node: Any) -> Json:
    """A mapping whose keys are made text one by one: in Python 1 and true would be one key. What `<<` merges is read as
    mappings of their own, so that merges of merges do not multiply."""
    own: Json = {}
    merged: Json = {}
    for key, value in node.value:
        if key.tag != _MERGE:
            own[_key(loader, key)] = loader.construct_object(value, deep=True)
            continue
        for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(source, yaml.MappingNode):
                raise yaml.constructor.ConstructorError(None, None, "map merge requires map or sequence of maps as the value",
                                                        source.start_mark)  # fmt: skip
            for name, item in loader.construct_object(source, deep=True).items():
                merged.setdefault(name, item)
    return {**merged, **own}


def _key(loader: Any, node: Any) -> str:
    if not isinstance(node, yaml.ScalarNode):
        why = "a key must be text, not a list or an object"
        raise yaml.constructor.ConstructorError(None, None, why, node.start_mark)
    key = loader.construct_object(node, deep=True)
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


# Every plain scalar gets one tag, so that quoted ones stay text; `<<` still merges.
_Loader.yaml_implicit_resolvers = {
    "<": [(_MERGE, re.compile(r"<<")), (_PLAIN, re.compile("", re.DOTALL))],
    None: [(_PLAIN, re.compile("", re.DOTALL))],
}
_Loader.add_constructor(_PLAIN, _construct_plain)
_Loader.add_constructor(_PREFIX + "map", _construct_map)
_Loader.add_constructor(_PREFIX + "timestamp", lambda loader, node: node.value)
_Loader.add_constructor(_PREFIX + "bool", lambda loader, node: _BOOLS.get(node.value, node.value))


def _as_json(value: Any, budget: list[int], parents: tuple[int, ...]) -> Any:
    """A copy without aliases."""
    budget[0] -= 1
    if budget[0] < 0:
        raise TooManyValues("document contains excessive aliasing")
    if isinstance(value, dict | list):
        if id(value) in parents:
            raise RefersToItself("an alias refers to what it is in")
        if len(parents) > DEPTH_LIMIT:
            raise YamlError(f"exceeded max depth of {DEPTH_LIMIT}")
        inside = (*parents, id(value))
        if isinstance(value, dict):
            return {key: _as_json(item, budget, inside) for key, item in value.items()}
        return [_as_json(item, budget, inside) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise NotJson(f"holds a {type(value).__name__} ({value!r}), which JSON does not know")
