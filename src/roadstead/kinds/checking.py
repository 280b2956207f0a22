"""Validation of a value against a structural schema, with the sentences of the API server (kube-openapi
`validation/validate`).

Compiled once per schema node into closures. What applies to a value goes by the value's own type, as there: a string
where a number belongs is told so, and that it does not match the pattern. Lists that are sets or maps are looked
through for duplicates on the way.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from roadstead.kinds import errors, formats
from roadstead.kinds.errors import FieldError
from roadstead.kinds.facts import facts
from roadstead.kinds.object import Json

Check = Callable[[Any, str, list[FieldError]], None]
Search = Callable[[str], object]
"""Whether a text matches a pattern somewhere: truthy or not."""
NOWHERE: Final = "<nil>"
"""The field of errors that belong to none."""


def type_name(value: Any) -> str:
    """A value's type in the words of the schema."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


@lru_cache(maxsize=1024)
def trusted_pattern(text: str) -> Search:
    """An RE2 pattern of ours by Python's engine: `$` is the end of the text, never the place before a last newline;
    `(?i)` may follow `^`. Not for patterns of others: some take for ever."""
    folded = text.replace("^(?i)", "^", 1)
    flags = re.ASCII if folded == text else re.ASCII | re.IGNORECASE
    return re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", folded), flags).search


class Checker:
    """Makes checks of schema nodes. `root` is left out of the names in sentences (the status endpoint's way)."""

    def __init__(self, root: str = "", pattern: Callable[[str], Search] = trusted_pattern) -> None:
        self._root = root
        self._pattern = pattern

    def check(self, schema: Json) -> Check:
        """Validation of one node and all below: appends what is wrong with (value, path)."""
        schema = facts().resolve(schema)
        types = _types(schema)
        nullable = bool(schema.get("nullable"))
        form = _format(schema)
        choices: list[Any] | None = schema.get("enum")
        composites = self._composites(schema)
        text, number = self._text(schema), self._number(schema)
        array, obj = self._array(schema), self._object(schema)
        root = self._root

        def check(value: Any, path: str, found: list[FieldError]) -> None:
            cls = value.__class__
            if value is None:
                if types and not nullable:
                    found.append(_wrong_type(path, root, ",".join(types), "null"))
            else:
                name = _NAMES[cls]
                if name not in types and types:
                    _check_type(value, name, types, form, path, root, found)
                for composite in composites:
                    composite(value, path, found)
                if cls is str:
                    if text is not None:
                        text(value, path, found)
                elif cls is int or cls is float:
                    if number is not None:
                        number(value, path, found)
                elif cls is list and array is not None:
                    array(value, path, found)
            if choices is not None and not _among(value, choices):
                shown = [choice if isinstance(choice, str) else _compact(choice) for choice in choices]
                found.append(errors.not_supported(path, value, shown, keep_order=True))
            if cls is dict and obj is not None:
                obj(value, path, found)

        if types == ("string",) and not (nullable or choices or composites or text):
            return _plain(str, check)
        if len(types) != 1 or choices or composites:
            return check
        match types[0]:
            case "boolean":
                return _plain(bool, check)
            case "object":
                return _plain(dict, check) if obj is None else _direct(dict, obj, check)
            case "array":
                return _plain(list, check) if array is None else _direct(list, array, check)
            case "string" if text is not None:
                return _direct(str, text, check)
            case "integer" if number is not None:
                return _direct(int, number, check)
        return check

    # --- by type of the value

    def _text(self, schema: Json) -> Check | None:
        low, high = schema.get("minLength") or 0, schema.get("maxLength")
        pattern = schema.get("pattern")
        search = self._pattern(pattern) if pattern else None
        form = schema.get("format", "")
        is_format = formats.string_format(form) if form and schema.get("type", "string") == "string" else None
        root = self._root
        if not low and high is None and search is None and is_format is None:
            return None

        def check(value: str, path: str, found: list[FieldError]) -> None:
            # the first of length and pattern that fails is the one that is told
            if high is not None and len(value) > high:
                found.append(errors.too_long(path, high))
            elif len(value) < low:
                found.append(
                    errors.invalid(path, value, f"{named(path, root)} in body should be at least {low} chars long")
                )
            elif search is not None and not search(value):
                found.append(errors.invalid(path, value, f"{named(path, root)} in body should match '{pattern}'"))
            if is_format is not None and not is_format(value):
                found.append(_wrong_type(path, root, form, value))

        return check

    def _number(self, schema: Json) -> Check | None:
        kind, form = (_types(schema) or ("",))[0], _format(schema)
        low, high, factor = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
        low_out, high_out = bool(schema.get("exclusiveMinimum")), bool(schema.get("exclusiveMaximum"))
        limit = 2**31 if form == "int32" else 2**63
        is_free = low is None and high is None and factor is None
        root = self._root
        if kind != "integer" and low is None and high is None and factor is None and form != "float":
            return None

        def check(value: Any, path: str, found: list[FieldError]) -> None:
            if is_free and value.__class__ is int and -limit <= value < limit:
                return
            where = named(path, root)
            if kind == "integer":
                fits = value == math.floor(value) and -limit <= value < limit
            else:
                fits = form != "float" or abs(value) <= _LARGEST_FLOAT
            if not fits:
                what = f"with format {form}" if form else "(default format)"
                body = f'Invalid value: "": Checked value must be of type {kind} {what} in {where}'
                found.append(FieldError(errors.INVALID, NOWHERE, body))
            whole = value.__class__ is int  # then limits are taken as whole numbers too
            if factor is not None:
                by = int(factor) if whole else factor
                if by > 0 and not float(value / by).is_integer():
                    found.append(
                        errors.invalid(path, value, f"{where} in body should be a multiple of {go_number(by)}")
                    )
            if low is not None:
                least = int(low) if whole else low
                if value < least or (low_out and value == least):
                    words = "greater than" if low_out else "greater than or equal to"
                    found.append(errors.invalid(path, value, f"{where} in body should be {words} {go_number(least)}"))
            if high is not None:
                most = int(high) if whole else high
                if value > most or (high_out and value == most):
                    words = "less than" if high_out else "less than or equal to"
                    found.append(errors.invalid(path, value, f"{where} in body should be {words} {go_number(most)}"))

        return check

    def _array(self, schema: Json) -> Check | None:
        low, high = schema.get("minItems") or 0, schema.get("maxItems")
        items = schema.get("items")
        item = self.check(items) if isinstance(items, dict) and items else None
        list_type = schema.get("x-kubernetes-list-type")
        keys: Sequence[str] = schema.get("x-kubernetes-list-map-keys", ())
        root = self._root
        if not low and high is None and item is None and list_type not in ("set", "map"):
            return None

        def check(value: list[Any], path: str, found: list[FieldError]) -> None:
            if item is not None:
                for i, element in enumerate(value):
                    item(element, f"{path}[{i}]", found)
            if len(value) < low:
                found.append(
                    errors.invalid(path, len(value), f"{named(path, root)} in body should have at least {low} items")
                )
            if high is not None and len(value) > high:
                found.append(errors.too_many(path, len(value), high))
            if list_type == "set":
                found.extend(_duplicates(value, path))
            elif list_type == "map":
                found.extend(_same_keys(value, path, keys))

        return check

    def _object(self, schema: Json) -> Check | None:
        properties = {name: self.check(inner) for name, inner in (schema.get("properties") or {}).items()}
        required: Sequence[str] = schema.get("required") or ()
        low, high = schema.get("minProperties") or 0, schema.get("maxProperties")
        inner = schema.get("additionalProperties")
        others = self.check(inner) if isinstance(inner, dict) else None
        root = self._root
        if not properties and not required and not low and high is None and others is None:
            return None

        def check(value: Json, path: str, found: list[FieldError]) -> None:
            prefix = f"{path}." if path else ""
            if len(value) < low:
                why = f"{named(path, root)} in body should have at least {low} properties"
                found.append(errors.invalid(path, len(value), why))
            if high is not None and len(value) > high:
                found.append(errors.too_many(path, len(value), high))
            for name, element in value.items():
                one = properties.get(name, others)
                if one is not None:
                    one(element, prefix + name, found)
            for name in required:
                if name not in value:
                    found.append(errors.required(prefix + name))

        return check

    # --- allOf, anyOf, oneOf, not

    def _composites(self, schema: Json) -> list[Check]:
        made = []
        for name, make in (("anyOf", _any_of), ("oneOf", _one_of), ("allOf", _all_of)):
            parts = [self.check(inner) for inner in schema.get(name) or ()]
            if parts:
                made.append(make(parts, self._root))
        if isinstance(schema.get("not"), dict):
            made.append(_none_of(self.check(schema["not"]), self._root))
        return made


def checker(schema: Json, root: str = "") -> Check:
    """Validation of a node and all below by a schema of ours."""
    return Checker(root).check(schema)


_NAMES: Final[dict[type, str]] = {
    bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object",
}  # fmt: skip
_LARGEST_FLOAT: Final = 3.4028235e38


def named(path: str, root: str) -> str:
    """The path as sentences name it: relative to the subtree that is validated."""
    if not root:
        return path
    return path[len(root) :].removeprefix(".")


def go_number(value: float) -> str:
    """A number as Go's %v prints it."""
    if isinstance(value, int):
        return str(value)
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    mantissa, exponent, power = repr(value).partition("e")
    return f"{mantissa}e{int(power):+03d}" if exponent else mantissa


def _types(schema: Json) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string"):
        return ("integer", "string")
    return (schema["type"],) if schema.get("type") else ()


def _format(schema: Json) -> str:
    """The format, if it is one that is checked."""
    form = schema.get("format") or ""
    return form if form and formats.recognized((_types(schema) or ("",))[0], form) else ""


def _compact(value: Any) -> str:
    return orjson.dumps(value).decode()


def _wrong_type(path: str, root: str, wanted: str, given: str) -> FieldError:
    quoted = errors.go_quote(given)
    body = f"Invalid value: {quoted}: {named(path, root)} in body must be of type {wanted}: {quoted}"
    return FieldError(errors.TYPE_INVALID, path, body)


def _check_type(
    value: Any, name: str, types: tuple[str, ...], form: str, path: str, root: str, found: list[FieldError]
) -> None:
    """The value is of none of the types by name: that is wrong, except for numbers that may pass for each other."""
    if (name == "number" and "integer" in types and value.is_integer()) or (name == "integer" and "number" in types):
        return
    is_numeric = "number" in types or "integer" in types
    if form and name not in ("string", "array"):
        of = {"integer": "int64", "number": "float64"}.get(name, "")
        found.append(_wrong_type(path, root, form, of))
    elif not (form and not is_numeric and name in ("string", "array")):
        found.append(_wrong_type(path, root, ",".join(types), name))


def _direct(cls: type, fast: Check, slow: Check) -> Check:
    """A value of the right type goes straight to the rules of that type."""

    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if value.__class__ is cls:
            fast(value, path, found)
        else:
            slow(value, path, found)

    return check


def _plain(cls: type, slow: Check) -> Check:
    """Most fields are plain: one comparison when they are right."""

    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if value.__class__ is not cls:
            slow(value, path, found)

    return check


def _among(value: Any, choices: list[Any]) -> bool:
    return any(choice == value and isinstance(choice, bool) == isinstance(value, bool) for choice in choices)


def _duplicates(value: Sequence[Any], path: str) -> Iterator[FieldError]:
    """The first repetition of each element, as that."""
    seen: dict[str, int] = {}
    if len(value) < 2:
        return
    for i, element in enumerate(value):
        identity = orjson.dumps(element, option=orjson.OPT_SORT_KEYS).decode()
        seen[identity] = seen.get(identity, 0) + 1
        if seen[identity] == 2:
            yield errors.duplicate(f"{path}[{i}]", element)


def _same_keys(value: list[Any], path: str, keys: Sequence[str]) -> Iterator[FieldError]:
    for i, element in enumerate(value):
        if element is not None and element.__class__ is not dict:
            yield errors.invalid(f"{path}[{i}]", element, "must be an object for an array of list-type map")
            return
    shown = [{key: element[key] for key in keys if key in element} if element else {} for element in value]
    yield from _duplicates(shown, path)


def _outcomes(parts: list[Check], value: Any, path: str) -> list[list[FieldError]]:
    outcomes = []
    for part in parts:
        found: list[FieldError] = []
        part(value, path, found)
        outcomes.append(found)
    return outcomes


def _composite_error(path: str, root: str, words: str) -> FieldError:
    body = f'Invalid value: "": {errors.go_quote(named(path, root))} {words}'
    return FieldError(errors.INVALID, root or NOWHERE, body)


def _any_of(parts: list[Check], root: str) -> Check:
    def check(value: Any, path: str, found: list[FieldError]) -> None:
        outcomes = _outcomes(parts, value, path)
        if all(outcomes):
            found.append(_composite_error(path, root, "must validate at least one schema (anyOf)"))
            found.extend(outcomes[0])

    return check


def _one_of(parts: list[Check], root: str) -> Check:
    def check(value: Any, path: str, found: list[FieldError]) -> None:
        outcomes = _outcomes(parts, value, path)
        valid = sum(not outcome for outcome in outcomes)
        if valid != 1:
            how = f"Found {valid} valid alternatives" if valid else "Found none valid"
            found.append(_composite_error(path, root, f"must validate one and only one schema (oneOf). {how}"))
            if not valid:
                found.extend(outcomes[0])

    return check


def _all_of(parts: list[Check], root: str) -> Check:
    def check(value: Any, path: str, found: list[FieldError]) -> None:
        outcomes = _outcomes(parts, value, path)
        for outcome in outcomes:
            found.extend(outcome)
        if any(outcomes):
            none = ". None validated" if all(outcomes) else ""
            found.append(_composite_error(path, root, f"must validate all the schemas (allOf){none}"))

    return check


def _none_of(part: Check, root: str) -> Check:
    def check(value: Any, path: str, found: list[FieldError]) -> None:
        if not _outcomes([part], value, path)[0]:
            found.append(_composite_error(path, root, "must not validate the schema (not)"))

    return check
