"""Manifests: YAML or JSON text to objects, scalars read as kubectl reads them (go-yaml v2 behind sigs.k8s.io/yaml).

YAML 1.1 booleans (`yes`, `on`, `y`) and numbers (`0644` and `0o644` are 420, `1_000` and `1e3` are 1000); dates and
sexagesimals stay text; a key that is written twice counts as last written; keys are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

from roadstead.kinds.object import Json

VALUES_LIMIT: Final = 1_000_000
"""Most values of one document after aliases are expanded: a small file must not become a huge object."""

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
_SHORTEST_EXPONENT: Final = 1e21
"""Below it Go writes a whole float without point or exponent, and a server reads it as an integer."""
_SPECIAL: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_PREFIX: Final = "tag:yaml.org,2002:"


class ManifestError(ValueError):
    """The text is no manifest. The message names source, line and column, and says what to do."""


class _Loader(yaml.SafeLoader):
    """The safe loader with kubectl's reading of plain scalars."""


class _FastLoader(yaml.CSafeLoader):
    """The same on libyaml."""


def _integer(text: str) -> int | None:
    """A whole number in any of YAML 1.1's notations, None if the text is none."""
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(plain) is None or (text.startswith("_")):
        return None
    sign, digits = (-1, plain[1:]) if plain.startswith("-") else (1, plain.removeprefix("+"))
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _scalar(text: str) -> Any:
    """The value of a plain scalar."""
    if text in _BOOLS:
        return _BOOLS[text]
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    number = _integer(text)
    if number is not None:
        return number
    if _FLOAT.fullmatch(text.replace("_", "")) and not text.startswith("_"):
        value = float(text.replace("_", ""))
        return int(value) if value.is_integer() and abs(value) < _SHORTEST_EXPONENT else value
    return text


def _construct_plain(loader: Any, node: Any) -> Any:
    if _SPECIAL.fullmatch(node.value):
        mark = node.start_mark
        raise yaml.constructor.ConstructorError(None, None, f"{node.value} has no place in JSON", mark)
    return _scalar(node.value)


def _construct_map(loader: Any, node: Any) -> Json:
    """A mapping whose keys are made text one by one: in Python 1 and true would be one key."""
    loader.flatten_mapping(node)
    return {_key(loader, key): loader.construct_object(value, deep=True) for key, value in node.value}


def _key(loader: Any, node: Any) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(
            None, None, "a key must be text, not a list or an object", node.start_mark
        )
    key = loader.construct_object(node, deep=True)
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


_PLAIN: Final = _PREFIX + "plain"
for _loader in (_Loader, _FastLoader):
    # every plain scalar gets one tag, so that quoted ones stay text; `<<` still merges
    _loader.yaml_implicit_resolvers = {
        "<": [(_PREFIX + "merge", re.compile(r"<<")), (_PLAIN, re.compile("", re.DOTALL))],
        None: [(_PLAIN, re.compile("", re.DOTALL))],
    }
    _loader.add_constructor(_PLAIN, _construct_plain)
    _loader.add_constructor(_PREFIX + "map", _construct_map)
    _loader.add_constructor(_PREFIX + "timestamp", lambda loader, node: node.value)
    _loader.add_constructor(_PREFIX + "bool", lambda loader, node: _BOOLS.get(node.value, node.value))


def read_manifests(text: str | bytes, source: str = "the manifest") -> list[Json]:
    """Every object in the text, in order; empty documents are skipped and Lists are opened.

    Raises ManifestError. `source` is how messages call the text (a file name, "standard input").
    """
    objects: list[Json] = []
    for number, value in enumerate(load_all(text, source), start=1):
        if value is None:
            continue
        objects.extend(_opened(value, f"document {number} of {source}"))
    return objects


def load_all(text: str | bytes, source: str = "the text") -> list[Any]:
    """Every YAML document as JSON values. Raises ManifestError."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ManifestError(
                f"{source} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}; save it as UTF-8"
            ) from error
    try:
        return [_as_json(value, source, [VALUES_LIMIT], ()) for value in yaml.load_all(text, _FastLoader)]
    except yaml.MarkedYAMLError as error:
        raise ManifestError(_complaint(error, source)) from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{source} is not YAML: {error}") from error
    except RecursionError as error:
        raise ManifestError(f"{source} is nested too deeply to be read; flatten it") from error


def _complaint(error: yaml.MarkedYAMLError, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    why = error.problem or error.context or "it cannot be read"
    hint = "indent with blanks, not tabs" if "\\t" in why else "check indentation, colons and quotes there"
    return f"{source}{where}: {why}; {hint}"


def _as_json(value: Any, source: str, budget: list[int], parents: tuple[int, ...]) -> Any:
    """A copy with text keys and no aliases."""
    budget[0] -= 1
    if budget[0] < 0:
        raise ManifestError(
            f"{source} grows beyond {VALUES_LIMIT:,} values once its aliases are expanded; write the parts out or split the file"
        )
    if isinstance(value, dict | list):
        if id(value) in parents:
            raise ManifestError(f"{source} contains an alias that refers to itself; remove it")
        inside = (*parents, id(value))
        if isinstance(value, dict):
            return {key: _as_json(item, source, budget, inside) for key, item in value.items()}
        return [_as_json(item, source, budget, inside) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ManifestError(
        f"{source} holds a {type(value).__name__} ({value!r}), which JSON does not know; write it as text"
    )


def _opened(value: Any, where: str) -> Iterable[Json]:
    """One object, or the objects of a List."""
    if not isinstance(value, dict):
        kind = (
            "a list" if isinstance(value, list) else "text" if isinstance(value, str) else f"a {type(value).__name__}"
        )
        raise ManifestError(f"{where} is {kind}, not an object; it needs apiVersion, kind and metadata")
    missing = [name for name in ("apiVersion", "kind") if not isinstance(value.get(name), str) or not value[name]]
    if missing:
        raise ManifestError(f"{where} has no {' and no '.join(missing)}; say what kind of object it is")
    if value["kind"].endswith("List") and isinstance(value.get("items"), list):
        for i, item in enumerate(value["items"]):
            yield from _opened(item, f"item {i} of {where}")
    else:
        yield value
