"""Macros: calls that are syntax, not functions, because they bind names or look at an expression without evaluating it.

Standard macros of the language definition, `cel.bind`, `optMap`/`optFlatMap`, `sortBy`, and the two-variable
comprehensions.
"""

from __future__ import annotations

from typing import Final

from roadstead.expr.cel.errors import CompileError
from roadstead.expr.cel.tree import Bind, Call, Comprehension, Ident, Node, OptionalMap, Select

_ONE_VARIABLE: Final = {
    ("all", 2): "all", ("exists", 2): "exists", ("exists_one", 2): "existsOne", ("existsOne", 2): "existsOne",
    ("map", 2): "map", ("map", 3): "map", ("filter", 2): "filter", ("sortBy", 2): "sortBy",
}  # fmt: skip
_TWO_VARIABLES: Final = {
    ("all", 3): "all", ("exists", 3): "exists", ("existsOne", 3): "existsOne", ("exists_one", 3): "existsOne",
    ("transformList", 3): "transformList", ("transformList", 4): "transformList",
    ("transformMap", 3): "transformMap", ("transformMap", 4): "transformMap",
    ("transformMapEntry", 3): "transformMapEntry", ("transformMapEntry", 4): "transformMapEntry",
}  # fmt: skip


def expand(at: int, name: str, target: Node | None, args: list[Node]) -> Node:
    """The call, or what the macro of that name and number of arguments stands for. CompileError if it is used
    wrongly."""
    if target is None:
        return _has(at, args) if name == "has" and len(args) == 1 else Call(at, name, None, args)
    if name == "bind" and isinstance(target, Ident) and target.name == "cel" and len(args) == 3:
        return Bind(at, _variable(args[0]), args[1], args[2])
    if name in ("optMap", "optFlatMap") and len(args) == 2:
        return OptionalMap(at, target, _variable(args[0]), args[1], name == "optFlatMap")
    shape = (name, len(args))
    if shape in _TWO_VARIABLES:
        names = (_variable(args[0]), _variable(args[1]))
        if names[0] == names[1]:
            raise CompileError(f"duplicate variable name: {names[0]}", args[1].at)
        return Comprehension(at, _TWO_VARIABLES[shape], target, names, args[-1], args[2] if len(args) == 4 else None)
    if shape in _ONE_VARIABLE:
        condition = args[1] if len(args) == 3 else None
        return Comprehension(at, _ONE_VARIABLE[shape], target, (_variable(args[0]),), args[-1], condition)
    return Call(at, name, target, args)


def _variable(node: Node) -> str:
    if not isinstance(node, Ident):
        raise CompileError("argument must be a simple name", node.at)
    return node.name


def _has(at: int, args: list[Node]) -> Node:
    operand = args[0]
    if not isinstance(operand, Select) or operand.optional:
        raise CompileError("invalid argument to has() macro", at)
    return Select(at, operand.operand, operand.field, test=True)
