"""The text of a configuration file to a Configuration, or everything that is wrong with it, each with its field path.

Strict, as Kueue is: a field or gate that does not exist fails the start. v1beta1 files are read as v1beta2 after their
few differences (kueue.md 1.12) are put right.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from roadstead.kinds import yaml_text
from roadstead.kinds.configuration import gates
from roadstead.kinds.configuration.rules import problems
from roadstead.kinds.configuration.shape import Configuration

GROUP: Final = "config.kueue.x-k8s.io"
VERSIONS: Final = ("v1beta2", "v1beta1")
BOTH_STRATEGIES: Final = ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]
_AT: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_GO_NAMES: Final = {"int": "a number", "str": "text", "bool": "true or false", "array": "a list", "object": "a mapping"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file. `path` is empty where it is about the whole."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Wrong(Exception):
    """The file cannot be used: everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def read(text: str) -> Configuration:
    """The configuration that a file says. Raises Wrong with all that is wrong with it, as far as that can be told at
    once."""
    try:
        documents = [value for value in yaml_text.read_all(text) if value is not None]
    except yaml_text.YamlError as error:
        raise Wrong([Problem("", f"it is no YAML: {error}")]) from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        found = "nothing" if not documents else f"{len(documents)} documents" if len(documents) > 1 else "no mapping"
        raise Wrong(
            [Problem("", f"it must hold one document, a {GROUP}/{VERSIONS[0]} Configuration, and holds {found}")]
        )
    value = documents[0]
    wrong = list(_identity(value))
    if wrong:
        raise Wrong(wrong)
    if value["apiVersion"].endswith("/v1beta1"):
        value = _from_v1beta1(value)
    wrong = [*_unknown(value, Configuration, ""), *_unknown_gates(value.get("featureGates"))]
    try:
        configuration = msgspec.convert(_known(value, Configuration), Configuration)
    except msgspec.ValidationError as error:
        raise Wrong([*wrong, _of_type(error)]) from error
    wrong += [Problem(path, message) for path, message in problems(configuration)]
    if wrong:
        raise Wrong(wrong)
    return configuration


def _identity(value: Mapping[str, Any]) -> Iterator[Problem]:
    supported = [f"{GROUP}/{version}" for version in VERSIONS]
    if value.get("apiVersion") not in supported:
        said = value.get("apiVersion")
        yield Problem(
            "apiVersion", f"must be {' or '.join(supported)}, {'is missing' if said is None else f'not {said!r}'}"
        )
    if value.get("kind") != "Configuration":
        said = value.get("kind")
        yield Problem("kind", f"must be Configuration, {'is missing' if said is None else f'not {said!r}'}")


# ---------------------------------------------------------------------- unknown fields


def _unknown(value: Any, kind: Any, path: str) -> Iterator[Problem]:
    """Keys that the shape does not have. What has another type altogether is left for the conversion to say."""
    kind = _without_none(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        fields = _fields(kind)
        for key, inner in value.items():
            if key in fields:
                yield from _unknown(inner, fields[key], _join(path, key))
            else:
                yield Problem(_join(path, key), f"unknown field{_meant(key, fields)}; here may be: {', '.join(fields)}")
    elif get_origin(kind) is tuple and isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _unknown(inner, get_args(kind)[0], f"{path}[{number}]")


def _known(value: Any, kind: Any) -> Any:
    """The value without unknown keys and nulls, so that the rest of it can be judged too."""
    kind = _without_none(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        fields = _fields(kind)
        return {key: _known(inner, fields[key]) for key, inner in value.items() if key in fields and inner is not None}
    if get_origin(kind) is tuple and isinstance(value, list):
        return [_known(inner, get_args(kind)[0]) for inner in value]
    return value


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Spelling in the file -> type."""
    hints = get_type_hints(kind)
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(kind)}


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return options[0] if len(options) == 1 else kind
    return kind


def _unknown_gates(wanted: Any) -> Iterator[Problem]:
    for name in wanted if isinstance(wanted, dict) else ():
        if name not in gates.known():
            near = difflib.get_close_matches(str(name), sorted(gates.known()), n=3, cutoff=0)
            yield Problem(
                f"featureGates.{name}",
                f"unknown feature gate; the nearest that there are: {', '.join(near)} (see docs/configuration.md)",
            )


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else ""


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _of_type(error: msgspec.ValidationError) -> Problem:
    found = _AT.fullmatch(str(error))
    assert found is not None
    what = re.sub(r"`(\w+)(?: \| null)?`", lambda m: _GO_NAMES.get(m[1], m[1]), found["what"])
    return Problem(found["path"] or "", what[:1].lower() + what[1:])


# ---------------------------------------------------------------------- v1beta1


def _from_v1beta1(old: Mapping[str, Any]) -> dict[str, Any]:
    """What the older version says, in the words of the newer (Kueue:
    apis/config/v1beta1/configuration_conversion.go)."""
    value = {key: inner for key, inner in old.items() if key != "queueVisibility"}
    stanza = value.get("waitForPodsReady")
    if isinstance(stanza, dict):
        new = {key: inner for key, inner in stanza.items() if key != "enable"}
        if stanza.get("enable") is True:
            value["waitForPodsReady"] = {"timeout": "5m", "blockAdmission": True, **new}
        else:
            del value["waitForPodsReady"]
    stanza = value.get("fairSharing")
    if isinstance(stanza, dict):
        new = {key: inner for key, inner in stanza.items() if key != "enable"}
        if stanza.get("enable") is True:
            value["fairSharing"] = {"preemptionStrategies": BOTH_STRATEGIES, **new}
        else:
            del value["fairSharing"]
    stanza = value.get("integrations")
    if isinstance(stanza, dict):
        value["integrations"] = {key: inner for key, inner in stanza.items() if key != "podOptions"}
    return value
