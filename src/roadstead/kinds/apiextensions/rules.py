"""Validation rules in CEL, `x-kubernetes-validations` (apiextensions-apiserver `schema/cel`; KEP-2876, KEP-4008).

`compile_rules` makes the rules of one node, with what is wrong with each; `Rules` holds those of a whole schema and
runs them on an object, beside its former state where there is one: transition rules (`oldSelf`) run only where old and
new can be told to be the same thing, and a rule that says nothing about the past is no hindrance while the value that
it is about stays as it is.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from roadstead.expr.cel.cost import LIMIT
from roadstead.expr.cel.errors import CompileError, CostExceeded, EvaluationError
from roadstead.expr.cel.program import Program, compile_text
from roadstead.expr.cel.tree import Ident, Node, children
from roadstead.expr.cel.types import BOOL, STRING
from roadstead.expr.cel.values import NONE, Optional
from roadstead.kinds.apiextensions.cel_values import Convert, Declared, converter, with_envelope
from roadstead.kinds.apiextensions.field_paths import BadPath, resolved
from roadstead.kinds.errors import DUPLICATE, FORBIDDEN, INVALID, REQUIRED, FieldError, go_value
from roadstead.kinds.object import Json

BUDGET: Final = 10 * LIMIT
"""What the rules of one object may cost together (`RuntimeCELCostBudget`)."""
LONGEST_MESSAGE: Final = 5120


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule. `problem`, `message_problem`: why it, or its message, cannot be used ("": it can)."""

    text: str
    message: str
    reason: str = ""
    program: Program | None = None
    message_program: Program | None = None
    field_path: str = ""
    uses_old: bool = False
    old_is_optional: bool = False
    problem: str = ""
    message_problem: str = ""

    @property
    def shown(self) -> str:
        return self.message.strip() or self.text.strip()


def compile_rules(schema: Json, *, is_root: bool) -> list[Rule]:
    """The rules that stand on this node itself, in order."""
    rules: Sequence[Json] = schema.get("x-kubernetes-validations") or ()
    if not rules:
        return []
    declared = Declared(with_envelope(schema) if is_root else schema)
    return [_compile(rule, declared, schema) for rule in rules]


def _compile(rule: Json, declared: Declared, schema: Json) -> Rule:
    text, message, optional = rule.get("rule", ""), rule.get("message", ""), bool(rule.get("optionalOldSelf"))
    reason = rule.get("reason") or ""
    if not text.strip():
        return Rule(text, message, reason)
    if declared.type is None:
        return Rule(text, message, reason, problem="rules are not possible on a value whose type is not specified")
    environment = declared.environment(old_is_optional=optional)
    try:
        program = compile_text(text, environment)
    except CompileError as error:
        return Rule(text, message, reason, problem=_pointed_at(text, error))
    if program.type != BOOL:
        return Rule(text, message, reason, problem="cel expression must evaluate to a bool")
    message_program, message_problem = None, ""
    expression = rule.get("messageExpression", "")
    if expression:
        try:
            message_program = compile_text(expression, environment)
        except CompileError as error:
            message_problem = f"messageExpression {_pointed_at(expression, error)}"
        else:
            if message_program.type != STRING:
                message_program, message_problem = None, "messageExpression must evaluate to a string"
    path = ""
    if rule.get("fieldPath"):
        try:
            path = resolved(rule["fieldPath"], schema)[0]
        except BadPath:
            path = ""
    uses_old = _names(program.checked.root, "oldSelf")
    return Rule(text, message, reason, program, message_program, path, uses_old, optional, "", message_problem)


def _pointed_at(text: str, error: CompileError) -> str:
    """The refusal with the line it is about, as cel-go prints it."""
    start = text.rfind("\n", 0, error.at) + 1
    line = text[start:].partition("\n")[0]
    return f"{error}\n | {line}\n | {'.' * (error.at - start)}^"


def _names(root: Node, name: str) -> bool:
    pending = [root]
    while pending:
        node = pending.pop()
        if isinstance(node, Ident) and node.name == name:
            return True
        pending.extend(children(node))
    return False


# --- running them


class Rules:
    """The rules of a node and of all below."""

    def __init__(self, schema: Json, rules: list[Rule], convert: Convert) -> None:
        self._type: str = schema.get("type") or ""
        self._keys: Sequence[str] | None = (
            schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
        )
        self._rules = rules
        self._convert = convert
        self.properties: dict[str, Rules] = {}
        self.additional: Rules | None = None
        self.items: Rules | None = None

    @property
    def is_empty(self) -> bool:
        return not (self._rules or self.properties or self.additional or self.items)

    def check(self, value: Json, old: Json | None) -> list[FieldError]:
        """What is wrong with a whole object. O(object), and at most BUDGET of evaluation."""
        run = _Run()
        with contextlib.suppress(_Spent):
            self._walk(run, value, old, "", is_same=False)
        return run.found

    def _walk(self, run: _Run, value: Any, old: Any, path: str, *, is_same: bool) -> None:
        """`is_same`: the nearest value above that could be compared did not change."""
        if value is None:
            return
        if old is not None:
            is_same = value == old
        if self._rules:
            self._evaluate(run, value, old, path, is_same=is_same)
        if value.__class__ is dict:
            before = old if old.__class__ is dict else {}
            if self.additional is not None:
                for key, inner in value.items():
                    self.additional._walk(run, inner, before.get(key), f"{path}[{key}]", is_same=is_same)
            for key, below in self.properties.items():
                if key in value:
                    inside = f"{path}.{key}" if path else key
                    below._walk(run, value[key], before.get(key), inside, is_same=is_same)
        elif value.__class__ is list and self.items is not None:
            former = self._correlated(old)
            for i, inner in enumerate(value):
                self.items._walk(run, inner, former.get(self._key(inner)), f"{path}[{i}]", is_same=is_same)

    def _correlated(self, old: Any) -> Mapping[str, Any]:
        if self._keys is None or old.__class__ is not list:
            return {}
        return {self._key(element): element for element in old}

    def _key(self, element: Any) -> str:
        if self._keys is None or element.__class__ is not dict:
            return ""
        return repr([element.get(key) for key in self._keys])

    def _evaluate(self, run: _Run, value: Any, old: Any, path: str, *, is_same: bool) -> None:
        variables: dict[str, Any] = {"self": self._convert(value)}
        former = None if old is None else self._convert(old)
        for rule in self._rules:
            if rule.problem:
                run.add(INVALID, path, f"Invalid value: {go_value(self._type)}: rule compile error: {rule.problem}")
                continue
            if rule.program is None or (rule.uses_old and old is None and not rule.old_is_optional):
                continue
            if rule.uses_old:
                before = NONE if old is None else Optional(True, former)
                variables["oldSelf"] = before if rule.old_is_optional else former
            try:
                holds = run.evaluate(rule.program, variables)
            except CostExceeded as error:
                why = f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {rule.shown}"
                run.add(INVALID, path, f"Invalid value: {go_value(self._type)}: {why}")
                raise _Spent from None
            except EvaluationError as error:
                run.add(INVALID, path, f"Invalid value: {go_value(self._type)}: {_why(error, rule)}")
                continue
            if run.left < 0:
                why = "validation failed due to running out of cost budget, no further validation rules will be run"
                run.add(INVALID, path, f"Invalid value: {go_value(self._type)}: {why}")
                raise _Spent
            if holds is True or (is_same and not rule.uses_old):
                continue
            detail = _message(run, rule, variables) or rule.message.strip() or f"failed rule: {rule.shown}"
            where = f"{path}.{rule.field_path}" if path and rule.field_path else path or rule.field_path
            run.found.append(self._error(rule, where or "<nil>", value, detail))

    def _error(self, rule: Rule, where: str, value: Any, detail: str) -> FieldError:
        shown = "" if self._type in ("object", "array") else f"{go_value(value)}: "
        match rule.reason:
            case "FieldValueForbidden":
                return FieldError(FORBIDDEN, where, f"Forbidden: {detail}")
            case "FieldValueRequired":
                return FieldError(REQUIRED, where, f"Required value: {detail}")
            case "FieldValueDuplicate":
                return FieldError(DUPLICATE, where, f"Duplicate value: {shown[:-2]}" if shown else "Duplicate value")
        return FieldError(INVALID, where, f"Invalid value: {shown}{detail}")


class _Spent(Exception):
    """Nothing is left to spend on this object's rules."""


class _Run:
    """One check of one object."""

    def __init__(self) -> None:
        self.found: list[FieldError] = []
        self.left = BUDGET

    def evaluate(self, program: Program, variables: Mapping[str, Any]) -> Any:
        value = program.evaluate(variables)
        if program.meter is not None:
            self.left -= LIMIT - program.meter.left
        return value

    def add(self, reason: str, path: str, body: str) -> None:
        self.found.append(FieldError(reason, path or "<nil>", body))


def _why(error: EvaluationError, rule: Rule) -> str:
    text = str(error)
    if text.startswith("no such overload"):
        what = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{text}': {what}: {rule.shown}"
    return f"{text} evaluating rule: {rule.shown}"


def _message(run: _Run, rule: Rule, variables: Mapping[str, Any]) -> str:
    """What the rule's own expression says, "" if it fails to."""
    if rule.message_program is None:
        return ""
    try:
        text = run.evaluate(rule.message_program, variables)
    except (EvaluationError, KeyError):
        return ""
    text = text.strip() if isinstance(text, str) else ""
    return text if len(text.encode()) <= LONGEST_MESSAGE and not re.search(r"[\n]", text) else ""


def rules_of(schema: Json, *, is_root: bool = True) -> Rules | None:
    """The rules of a structural schema; None if it has none."""
    found = _tree(schema, is_root=is_root)
    return None if found.is_empty else found


def _tree(schema: Json, *, is_root: bool) -> Rules:
    own = compile_rules(schema, is_root=is_root)
    convert = converter(with_envelope(schema) if is_root else schema) if own else converter({})
    node = Rules(schema, own, convert)
    for name, inner in (schema.get("properties") or {}).items():
        below = _tree(inner, is_root=bool(inner.get("x-kubernetes-embedded-resource")))
        if not below.is_empty:
            node.properties[name] = below
    for name in ("items", "additionalProperties"):
        inner = schema.get(name)
        if isinstance(inner, dict):
            below = _tree(inner, is_root=bool(inner.get("x-kubernetes-embedded-resource")))
            if not below.is_empty and name == "items":
                node.items = below
            elif not below.is_empty:
                node.additional = below
    return node
