"""Checks of a typed tree that the type checker does not make (cel-go's AST validators, as Kubernetes switches them on).

List and map literals have elements of one type (`[1, device.attributes["d"].x]` is refused: the attribute is dyn);
literals of durations, timestamps and patterns are well-formed, and literals can be converted where a conversion is
asked for; `format` gets the arguments that its text asks for.
"""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr.cel.checker import Checked
from roadstead.expr.cel.errors import CompileError, EvaluationError, no_such_overload
from roadstead.expr.cel.library import regex, times
from roadstead.expr.cel.library.strings import CLAUSE
from roadstead.expr.cel.tree import Call, ListNode, Literal, MapNode, Node, children
from roadstead.expr.cel.types import Type, fits
from roadstead.expr.cel.values import MISSING, kind_of

_LITERALS: Final = {"duration": times.parse_duration, "timestamp": times.parse_timestamp}
_SUITED: Final = {
    "s": (
        "string", "bool", "bytes", "int", "uint", "double", "map", "list", "type", "null_type",
        "google.protobuf.Duration", "google.protobuf.Timestamp",
    ),
    "d": ("int", "uint"), "f": ("double", "string"), "e": ("double", "string"), "b": ("int", "uint", "bool"),
    "o": ("int", "uint"), "x": ("int", "uint", "string", "bytes"), "X": ("int", "uint", "string", "bytes"),
}  # fmt: skip


def validate(checked: Checked) -> None:
    """CompileError at the first literal that is refused. O(nodes)."""
    _visit(checked.root, checked, exempt=False)


def _visit(node: Node, checked: Checked, *, exempt: bool) -> None:
    if not exempt:
        if isinstance(node, ListNode):
            _same_types(checked, node.elements, node.optional)
        elif isinstance(node, MapNode):
            _same_types(checked, [key for key, _ in node.entries], set())
            _same_types(checked, [value for _, value in node.entries], node.optional)
    if isinstance(node, Call):
        _literal_arguments(node, checked)
        _constant(node, checked)
        exempt = exempt or node.function == "format"
    for child in children(node):
        _visit(child, checked, exempt=exempt)


def _same_types(checked: Checked, nodes: list[Node], optional: set[int]) -> None:
    first: Type | None = None
    for at, node in enumerate(nodes):
        of = checked.type(node)
        if at in optional and of.params:
            of = of.params[0]
        if first is None:
            first = of
        elif of != first:
            raise CompileError(f"expected type '{first}' but found '{of}'", node.at)


_CONVERSIONS: Final = frozenset({"bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "uint"})


def _constant(node: Node, checked: Checked) -> Any:
    """A literal's value, or that of conversions of one, which are made when a program is (cel-go's optimizer); else
    MISSING."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Call) and node.target is None and node.function in _CONVERSIONS and len(node.args) == 1:
        value = _constant(node.args[0], checked)
        if value is not MISSING:
            try:
                function, overloads = checked.overloads[node]
                if not any(fits(overload.args[0], value, kind_of(value)) for overload in overloads):
                    raise no_such_overload(node.function, kind_of(value))
                return function.run(value)
            except EvaluationError as err:
                raise CompileError(f"program instantiation failed: {err}", node.at) from None
    return MISSING


def _literal_arguments(node: Call, checked: Checked) -> None:
    last = node.args[-1] if node.args else None
    text: Any = last.value if isinstance(last, Literal) else None
    try:
        if node.function in _LITERALS and isinstance(text, str):
            _LITERALS[node.function](text)
        elif node.function == "matches" and isinstance(text, str):
            regex.compiled(text)
    except EvaluationError as err:
        raise CompileError(f"invalid {node.function} argument: {err}", node.at) from None
    if node.function == "format" and isinstance(node.target, Literal) and isinstance(last, ListNode):
        _format_arguments(node.target, last, checked)


def _format_arguments(target: Literal, args: ListNode, checked: Checked) -> None:
    verbs = [match.group(2) for match in CLAUSE.finditer(str(target.value)) if match.group() != "%%"]
    if len(verbs) > len(args.elements):
        raise CompileError(f"index {len(args.elements)} out of range", args.at)
    for verb, element in zip(verbs, args.elements, strict=False):
        of = checked.type(element)
        if verb not in _SUITED:
            raise CompileError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"', target.at)
        if of.name not in (*_SUITED[verb], "dyn"):
            raise CompileError(f"error during formatting: {of} is no argument for %{verb}", element.at)
    if len(args.elements) > len(verbs):
        raise CompileError(
            f"too many arguments supplied to string.format (expected {len(verbs)}, got {len(args.elements)})", args.at
        )
