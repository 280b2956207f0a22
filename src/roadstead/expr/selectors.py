"""Label and field selectors: the request-parameter grammars, LabelSelector objects, and matching.

The parser mirrors apimachinery's `labels.Parse` token by token, because its sentences reach users. Matching is a pure
function of a mapping of labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from roadstead.expr import syntax
from roadstead.model.selection import LabelSelector, NodeTerm, Requirement


class SelectorError(ValueError):
    """The selector cannot be understood; the message is the real server's."""


# --- matching


def _integer(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


def matches_requirement(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """One `key operator values`. NotIn also holds where the key is absent; Gt and Lt need integers on both sides."""
    have = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return have is not None and have in requirement.values
        case "NotIn":
            return have is None or have not in requirement.values
        case "Exists":
            return have is not None
        case "DoesNotExist":
            return have is None
        case "Gt" | "Lt":
            if have is None or len(requirement.values) != 1:
                return False
            left, right = _integer(have), _integer(requirement.values[0])
            if left is None or right is None:
                return False
            return left > right if requirement.operator == "Gt" else left < right
        case _:
            return False


def matches_requirements(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """All of them hold (so none at all matches everything). O(number of requirements)."""
    return all(matches_requirement(requirement, labels) for requirement in requirements)


def matches_selector(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector of the model; `None` matches nothing, an empty one everything."""
    return selector is not None and matches_requirements(selector.requirements, labels)


def matches_node_term(term: NodeTerm, labels: Mapping[str, str], name: str) -> bool:
    """One nodeSelectorTerm against a node's labels and name; a term without requirements matches nothing."""
    if not term.labels and not term.fields:
        return False
    return matches_requirements(term.labels, labels) and matches_requirements(term.fields, {"metadata.name": name})


def matches_node_terms(terms: Iterable[NodeTerm], labels: Mapping[str, str], name: str) -> bool:
    """Any of the terms (required node affinity): no terms match nothing."""
    return any(matches_node_term(term, labels, name) for term in terms)


# --- LabelSelector objects


def from_object(selector: Mapping[str, Any] | None) -> LabelSelector | None:
    """A LabelSelector object of the API (`matchLabels` AND `matchExpressions`) as the model's; None stays None."""
    if selector is None:
        return None
    found = [Requirement(key, "In", (value,)) for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or ():
        values = tuple(sorted(expression.get("values") or ()))
        found.append(Requirement(expression["key"], expression["operator"], values))
    return LabelSelector(tuple(found))


# --- the label selector grammar

_Token = Literal["id", "error", "end", ")", ",", "!", "==", "=", ">", "in", "<", "!=", "notin", "("]
_SYMBOLS: Final = "=!(),><"
_SPACES: Final = " \t\r\n"
_KEYWORDS: Final[dict[str, _Token]] = {
    ")": ")", ",": ",", "!": "!", "==": "==", "=": "=", ">": ">", "in": "in", "<": "<", "!=": "!=", "notin": "notin", "(": "(",
}  # fmt: skip
_OPERATORS: Final = "in, notin, =, ==, !=, gt, lt"
_BINARY: Final = {"in": "In", "notin": "NotIn", "=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}


class _Item(NamedTuple):
    token: _Token
    literal: str


def _scan(text: str) -> list[_Item]:
    items: list[_Item] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in _SPACES:
            at += 1
        elif char in _SYMBOLS:
            end = at + 1
            while end < len(text) and text[at : end + 1] in _KEYWORDS:
                end += 1
            items.append(_Item(_KEYWORDS[text[at:end]], text[at:end]))
            at = end
        else:
            end = at
            while end < len(text) and text[end] not in _SYMBOLS and text[end] not in _SPACES:
                end += 1
            word = text[at:end]
            items.append(_Item(_KEYWORDS.get(word, "id"), word))
            at = end
    items.append(_Item("end", ""))
    return items


class _Parser:
    def __init__(self, text: str) -> None:
        self.items = _scan(text)
        self.at = 0

    def look(self, *, operators: bool = False) -> _Item:
        item = self.items[min(self.at, len(self.items) - 1)]
        if not operators and item.token in ("in", "notin"):
            return _Item("id", item.literal)  # a key or a value may be called "in"
        return item

    def take(self, *, operators: bool = False) -> _Item:
        item = self.look(operators=operators)
        self.at += 1
        return item

    def parse(self) -> tuple[Requirement, ...]:
        found: list[Requirement] = []
        while True:
            item = self.look()
            if item.token in ("id", "!"):
                try:
                    found.append(self.requirement())
                except SelectorError as error:
                    raise SelectorError(f"unable to parse requirement: {error}") from None
                after = self.take()
                if after.token == "end":
                    return tuple(found)
                if after.token != ",":
                    raise SelectorError(f"found '{after.literal}', expected: ',' or 'end of string'")
                following = self.look()
                if following.token not in ("id", "!"):
                    raise SelectorError(f"found '{following.literal}', expected: identifier after ','")
            elif item.token == "end":
                return tuple(found)
            else:
                raise SelectorError(f"found '{item.literal}', expected: !, identifier, or 'end of string'")

    def requirement(self) -> Requirement:
        item = self.take()
        absent = item.token == "!"
        if absent:
            item = self.take()
        if item.token != "id":
            raise SelectorError(f"found '{item.literal}', expected: identifier")
        key = item.literal
        problems = syntax.label_key(key)
        if problems:
            raise SelectorError(f"<nil>: Invalid value: {json.dumps(key, ensure_ascii=False)}: {'; '.join(problems)}")
        if absent:
            return Requirement(key, "DoesNotExist")
        if self.look().token in ("end", ","):
            return Requirement(key, "Exists")
        operator = self.take(operators=True)
        if operator.token not in _BINARY:
            raise SelectorError(f"found '{operator.literal}', expected: {_OPERATORS}")
        values = self.values() if operator.token in ("in", "notin") else {self.exact_value()}
        return _checked(Requirement(key, _BINARY[operator.token], tuple(sorted(values))))

    def exact_value(self) -> str:
        if self.look().token in ("end", ","):
            return ""
        item = self.take()
        if item.token != "id":
            raise SelectorError(f"found '{item.literal}', expected: identifier")
        return item.literal

    def values(self) -> set[str]:
        opening = self.take()
        if opening.token != "(":
            raise SelectorError(f"found '{opening.literal}' expected: '('")
        first = self.look()
        if first.token == ")":
            self.take()
            return {""}
        if first.token not in ("id", ","):
            raise SelectorError(f"found '{first.literal}', expected: ',', ')' or identifier")
        values = self.identifiers()
        if self.take().token != ")":
            raise SelectorError(f"found '{first.literal}', expected: ')'")
        return values

    def identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            item = self.take()
            if item.token == "id":
                values.add(item.literal)
                after = self.look()
                if after.token == ")":
                    return values
                if after.token != ",":
                    raise SelectorError(f"found '{after.literal}', expected: ',' or ')'")
            elif item.token == ",":
                if not values:
                    values.add("")  # "(," begins with an empty value
                after = self.look()
                if after.token == ")":
                    values.add("")
                    return values
                if after.token == ",":
                    self.take()
                    values.add("")
            else:
                raise SelectorError(f"found '{item.literal}', expected: ',', or identifier")


def _checked(requirement: Requirement) -> Requirement:
    problems: list[str] = []
    for i, value in enumerate(requirement.values):
        quoted = json.dumps(value, ensure_ascii=False)
        if requirement.operator in ("Gt", "Lt") and _integer(value) is None:
            why = "for 'Gt', 'Lt' operators, the value must be an integer"
            problems.append(f"values[{i}]: Invalid value: {quoted}: {why}")
        wrong = syntax.label_value(value)
        if wrong:
            problems.append(f"values[{i}][{requirement.key}]: Invalid value: {quoted}: {'; '.join(wrong)}")
    if problems:
        raise SelectorError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return requirement


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed label selector."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return matches_requirements(self.requirements, labels)

    def __str__(self) -> str:
        """The selector in the grammar's own words, keys in order (as the API prints selectors)."""
        return ",".join(_print(requirement) for requirement in sorted(self.requirements, key=lambda r: r.key))


def _print(requirement: Requirement) -> str:
    key, values = requirement.key, requirement.values
    match requirement.operator:
        case "Exists":
            return key
        case "DoesNotExist":
            return f"!{key}"
        case "In" if len(values) == 1:
            return f"{key}={values[0]}"
        case "In":
            return f"{key} in ({','.join(values)})"
        case "NotIn" if len(values) == 1:
            return f"{key}!={values[0]}"
        case "NotIn":
            return f"{key} notin ({','.join(values)})"
        case _:
            return f"{key}{'>' if requirement.operator == 'Gt' else '<'}{values[0]}"


@lru_cache(maxsize=1024)
def parse_label_selector(text: str) -> Selector:
    """`a=b,c in (d,e),!f,g>3`. Empty text selects everything. SelectorError (the real server's text; HTTP 400) if
    malformed."""
    return Selector(_Parser(text).parse())


# --- the field selector grammar


class FieldTerm(NamedTuple):
    """One condition of a field selector; `op` is "=" or "!="."""

    field: str
    op: str
    value: str


def _split_terms(text: str) -> list[str]:
    terms: list[str] = []
    start = 0
    escaped = False
    for i, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            terms.append(text[start:i])
            start = i + 1
    terms.append(text[start:])
    return terms


def _unescape(text: str) -> str:
    out: list[str] = []
    escaped = False
    for char in text:
        if escaped:
            if char not in "\\,=":
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
            out.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            out.append(char)
    if escaped:
        raise SelectorError("invalid field selector: invalid escape sequence: \\")
    return "".join(out)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> tuple[FieldTerm, ...]:
    """`metadata.name=a,status.phase!=Failed` as terms, sorted as written text. SelectorError (HTTP 400) if
    malformed."""
    terms: list[FieldTerm] = []
    for part in sorted(_split_terms(text)):
        if not part:
            continue
        for i in range(len(part)):
            op = next((op for op in ("!=", "==", "=") if part.startswith(op, i)), "")
            if op:
                terms.append(FieldTerm(part[:i], "!=" if op == "!=" else "=", _unescape(part[i + len(op) :])))
                break
        else:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
    return tuple(terms)
