"""YAML request bodies, with the scalar rules of sigs.k8s.io/yaml (YAML 1.1 as go-yaml v2 reads it): `yes` is true, `0644` is 420,
dates stay strings. Documents are expanded with a limit, so a small body cannot grow into a large object through aliases."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

NODES_LIMIT: Final = 200_000
DEPTH_LIMIT: Final = 200
_CONVERTING: Final = "error converting YAML to JSON: yaml: "

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the C loader is chosen at run time
    """The safe loader without timestamps and sexagesimal numbers, with octal numbers written 0o17 as well."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":int", ":float"))]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|(?:0|[1-9][0-9_]*))$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def _integer(loader: Any, node: Any) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if re.fullmatch(r"0[0-7]+", digits):
        return sign * int(digits, 8)
    return sign * int(digits, 0)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


class NotYaml(ValueError):
    """The text cannot be read; the message is worded as the real server's."""


def load(text: bytes) -> Any:
    """The first document of `text` as JSON values. Raises NotYaml."""
    try:
        _check_depth(text)
        value = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as err:
        line = f"line {err.problem_mark.line + 1}: " if err.problem_mark else ""
        raise NotYaml(f"{_CONVERTING}{line}{err.problem or err.context}") from err
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        if isinstance(err, NotYaml):
            raise
        raise NotYaml(f"{_CONVERTING}{type(err).__name__}") from err
    return _as_json(value, _Budget(), 0)


def _check_depth(text: bytes) -> None:
    """Refuse deep nesting while it is still a stream of events: the C loader builds nodes recursively, without a limit."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                raise NotYaml(f"{_CONVERTING}exceeded max depth of {DEPTH_LIMIT}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentEndEvent):
            return


class _Budget:
    def __init__(self) -> None:
        self.left = NODES_LIMIT

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise NotYaml(f"{_CONVERTING}document contains excessive aliasing")


def _as_json(value: Any, budget: _Budget, depth: int) -> Any:
    """Copies for every alias, keys as strings."""
    budget.spend()
    if depth > DEPTH_LIMIT:
        raise NotYaml(f"{_CONVERTING}exceeded max depth of {DEPTH_LIMIT}")
    if isinstance(value, dict):
        return {_key(key): _as_json(item, budget, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item, budget, depth + 1) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise NotYaml(f"{_CONVERTING}cannot represent a {type(value).__name__}")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)
