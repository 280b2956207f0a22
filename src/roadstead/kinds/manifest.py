"""Manifests: YAML or JSON text to objects. How scalars are read is `yaml_text`'s; here are lists of objects and
messages for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roadstead.kinds import yaml_text
from roadstead.kinds.object import Json


class ManifestError(ValueError):
    """The text is no manifest. The message names source, line and column, and says what to do."""


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
        return yaml_text.read_all(text)
    except yaml_text.TooManyValues as error:
        raise ManifestError(
            f"{source} grows beyond {yaml_text.VALUES_LIMIT:,} values once its aliases are expanded; write the parts out or "
            "split the file"
        ) from error
    except yaml_text.RefersToItself as error:
        raise ManifestError(f"{source} contains an alias that refers to itself; remove it") from error
    except yaml_text.NotJson as error:
        raise ManifestError(f"{source} {error.problem}; write it as text") from error
    except yaml_text.YamlError as error:
        raise ManifestError(_complaint(error, source)) from error


def _complaint(error: yaml_text.YamlError, source: str) -> str:
    where = f", line {error.line}, column {error.column}" if error.line else ""
    if "max depth" in error.problem:
        hint = "flatten it"
    elif "\\t" in error.problem:
        hint = "indent with blanks, not tabs"
    else:
        hint = "check indentation, colons and quotes there"
    return f"{source}{where}: {error.problem}; {hint}"


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
