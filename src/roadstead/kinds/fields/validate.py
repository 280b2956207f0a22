"""Whether a value fits a schema's types, in structured-merge-diff's words: what an applied configuration is refused
for."""

from __future__ import annotations

from typing import Any

from roadstead.kinds.errors import go_quote
from roadstead.kinds.fields import paths
from roadstead.kinds.fields.compare import NoKey, element_of
from roadstead.kinds.fields.typed import BOOLEAN, NUMERIC, STRING, Type
from roadstead.kinds.object import Json
from roadstead.kinds.patch.refused import go_text


def problems(kind: Type, found: Any, *, allow_duplicates: bool = False) -> str:
    """What is wrong with a value, "" if nothing is: one line, or `errors:` and a line for each. `allow_duplicates`:
    items of lists that are maps or sets may be there twice, as in objects that were stored before anybody applied."""
    errors: list[str] = []
    _check(kind, found, (), errors, allow_duplicates)
    if not errors:
        return ""
    return errors[0] if len(errors) == 1 else "\n".join(["errors:", *(f"  {error}" for error in errors)])


def _check(kind: Type, found: Any, path: paths.Path, errors: list[str], duplicates: bool) -> None:
    if found is None:
        return
    sort = kind.sort(found)
    if sort == "map":
        if isinstance(found, dict):
            _check_map(kind, found, path, errors, duplicates)
        else:
            _add(errors, path, f"expected map, got {_printed(found)}")
    elif sort == "list":
        if isinstance(found, list):
            _check_list(kind, found, path, errors, duplicates)
        else:
            _add(errors, path, f"expected list, got {_printed(found)}")
    else:
        why = _scalar_problem(kind.scalar, found)
        if why:
            _add(errors, path, why)


def _add(errors: list[str], path: paths.Path, why: str) -> None:
    errors.append(f"{paths.shown(path)}: {why}" if path else why)


def _check_map(kind: Type, found: Json, path: paths.Path, errors: list[str], duplicates: bool) -> None:
    mapped = kind.map
    assert mapped is not None
    for name in found if mapped.element is None else ():
        if name not in mapped.fields:
            _add(errors, (*path, paths.field(name)), "field not declared in schema")
            return
    for name, inner in found.items():
        _check(mapped.of(name), inner, (*path, paths.field(name)), errors, duplicates)


def _check_list(kind: Type, found: list[Any], path: paths.Path, errors: list[str], duplicates: bool) -> None:
    listed = kind.list
    assert listed is not None
    seen: set[str] = set()
    for index, item in enumerate(found):
        if listed.associative:
            try:
                element = element_of(listed, item)
            except NoKey as error:
                _add(errors, path, f"element {index}: {error}")
                return
            if element in seen and not duplicates:
                _add(errors, path, f"duplicate entries for key {paths.shown((element,))}")
            seen.add(element)
        else:
            element = f"i:{index}"
        _check(listed.element, item, (*path, element), errors, duplicates)


def _scalar_problem(scalar: str, found: Any) -> str:
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if scalar == NUMERIC:
        return "" if is_number else f"expected numeric (int or float), got {_go_type(found)}"
    if scalar == STRING:
        return (
            ""
            if isinstance(found, str)
            else f"expected string, got &value.valueUnstructured{{Value:{_literal(found)}}}"
        )
    if scalar == BOOLEAN:
        return "" if isinstance(found, bool) else f"expected boolean, got {_printed(found)}"
    return "" if isinstance(found, str | int | float) else f"expected any scalar, got {_printed(found)}"


def fits_scalar(kind: Type, found: Any) -> bool:
    """True if a value may be where the type has a scalar; null always may."""
    return found is None or not _scalar_problem(kind.scalar, found)


def _go_type(found: Any) -> str:
    if isinstance(found, str):
        return "string"
    if isinstance(found, bool):
        return "bool"
    return "map[string]interface {}" if isinstance(found, dict) else "[]interface {}"


def _printed(found: Any) -> str:
    return f"&{{{go_text(found)}}}"


def _literal(found: Any) -> str:
    """Go's %#v."""
    if found is None:
        return "interface {}(nil)"
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, dict):
        inner = ", ".join(f"{go_quote(name)}:{_literal(found[name])}" for name in sorted(found))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(found, list):
        return "[]interface {}{" + ", ".join(_literal(item) for item in found) + "}"
    return go_quote(found) if isinstance(found, str) else str(found)
