"""Types of every node before anything runs (the language definition, "Gradual type checking").

An expression that names what does not exist, or calls a function on types that it has no overload for, is a compile
error; what is `dyn` (device attributes are) is decided at run time. O(nodes x overloads).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from roadstead.expr.cel import types
from roadstead.expr.cel.declarations import Environment, Function, Overload
from roadstead.expr.cel.errors import CompileError
from roadstead.expr.cel.tree import (
    Bind,
    Call,
    Comprehension,
    Ident,
    ListNode,
    Literal,
    MapNode,
    Node,
    OptionalMap,
    Select,
)  # fmt: skip
from roadstead.expr.cel.types import BOOL, DYN, INT, STRING, Type
from roadstead.expr.cel.values import kind_of

RANGE_WRONG: Final = "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)"


@dataclass(slots=True)
class Checked:
    """A tree with its types, the overloads that each call may use, and calls whose receiver was a namespace."""

    root: Node
    types: dict[Node, Type]
    overloads: dict[Node, tuple[Function, tuple[Overload, ...]]]
    qualified: dict[Node, str] = field(default_factory=dict)
    """Select or Ident nodes that name a type, and which."""

    def type(self, node: Node) -> Type:
        return self.types[node]


def check(root: Node, environment: Environment) -> Checked:
    """Types for the whole tree. CompileError at the first thing that is wrong."""
    checker = _Checker(environment)
    checker.visit(root, {})
    final = {node: types.substitute(checker.solution, of, final=True) for node, of in checker.types.items()}
    return Checked(root, final, checker.overloads, checker.qualified)


Scope = dict[str, Type]


def dotted(node: Node | None) -> str:
    """`a.b.c` as text, empty if the node is anything else."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, Select) and not node.test and not node.optional:
        before = dotted(node.operand)
        return f"{before}.{node.field}" if before else ""
    return ""


class _Checker:
    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.solution: types.Solution = {}
        self.types: dict[Node, Type] = {}
        self.overloads: dict[Node, tuple[Function, tuple[Overload, ...]]] = {}
        self.qualified: dict[Node, str] = {}
        self.fresh = 0

    def new_parameter(self) -> Type:
        self.fresh += 1
        return Type(f"_var{self.fresh}", var=True)

    def visit(self, node: Node, scope: Scope) -> Type:
        found = self.infer(node, scope)
        self.types[node] = found
        return found

    def infer(self, node: Node, scope: Scope) -> Type:
        match node:
            case Literal():
                return Type(kind_of(node.value))
            case Ident():
                return self.ident(node, scope)
            case Select():
                return self.select(node, scope)
            case Call():
                return self.call(node, scope)
            case ListNode():
                return self.list_literal(node, scope)
            case MapNode():
                return self.map_literal(node, scope)
            case Comprehension():
                return self.comprehension(node, scope)
            case Bind():
                value = self.visit(node.value, scope)
                return self.visit(node.body, {**scope, node.name: value})
            case OptionalMap():
                return self.optional_map(node, scope)
        raise CompileError("unexpected node", node.at)

    # --- names

    def ident(self, node: Ident, scope: Scope) -> Type:
        if node.name in scope:
            return scope[node.name]
        if node.name in self.environment.variables:
            return self.environment.variables[node.name]
        if node.name in self.environment.types:
            self.qualified[node] = self.environment.types[node.name].name
            return types.type_of(self.environment.types[node.name])
        raise CompileError(f"undeclared reference to '{node.name}' (in container '')", node.at)

    def select(self, node: Select, scope: Scope) -> Type:
        name = dotted(node)
        if name and name.partition(".")[0] not in scope and name in self.environment.types:
            self.qualified[node] = self.environment.types[name].name
            return types.type_of(self.environment.types[name])
        operand = types.substitute(self.solution, self.visit(node.operand, scope))
        is_optional = operand.name == "optional_type"
        inner = operand.params[0] if is_optional else operand
        found = self.field(types.substitute(self.solution, inner), node)
        if node.test:
            return BOOL
        return types.optional_of(found) if node.optional or is_optional else found

    def field(self, operand: Type, node: Select) -> Type:
        if operand.name == "map":
            if not types.assignable(self.solution, operand.params[0], STRING):
                raise CompileError(f"type '{operand}' does not support field selection", node.at)
            return operand.params[1]
        if operand.name in self.environment.fields:
            fields = self.environment.fields[operand.name]
            if node.field not in fields:
                raise CompileError(f"undefined field '{node.field}'", node.at)
            return fields[node.field]
        if operand.var:
            types.assignable(self.solution, operand, DYN)
            return DYN
        if operand in (DYN, types.ERROR):
            return DYN
        raise CompileError(f"type '{operand}' does not support field selection", node.at)

    # --- calls

    def call(self, node: Call, scope: Scope) -> Type:
        if node.target is not None:
            name = f"{dotted(node.target)}.{node.function}"
            if name in self.environment.functions and name.partition(".")[0] not in scope:
                node.function, node.target = name, None
        function = self.environment.functions.get(node.function)
        if function is None:
            raise CompileError(f"undeclared reference to '{node.function}' (in container '')", node.at)
        operands = ([node.target] if node.target is not None else []) + node.args
        args = [self.visit(operand, scope) for operand in operands]
        if node.function in ("_&&_", "_||_"):
            return self.logical(node, args)
        found: Type | None = None
        fitting: list[Overload] = []
        for overload in function.overloads:
            if overload.member != (node.target is not None) or len(overload.args) != len(args):
                continue
            wanted, result = self.instantiate(overload)
            trial = dict(self.solution)
            if not all(types.assignable(trial, a, b) for a, b in zip(args, wanted, strict=True)):
                continue
            self.solution = trial
            fitting.append(overload)
            given = types.substitute(self.solution, result)
            if found is None:
                found = given
            elif found != DYN and given != found:
                found = DYN
        if found is None:
            raise CompileError(self.no_overload(node, args), node.at)
        self.overloads[node] = (function, tuple(fitting))
        return found

    def logical(self, node: Call, args: list[Type]) -> Type:
        for arg in args:
            if not types.assignable(self.solution, arg, BOOL):
                raise CompileError(self.no_overload(node, args), node.at)
        return BOOL

    def no_overload(self, node: Call, args: list[Type]) -> str:
        shown = [str(types.substitute(self.solution, arg, final=True)) for arg in args]
        applied = f"({', '.join(shown)})" if node.target is None else f"{shown[0]}.({', '.join(shown[1:])})"
        return f"found no matching overload for '{node.function}' applied to '{applied}'"

    def instantiate(self, overload: Overload) -> tuple[list[Type], Type]:
        """The overload with type parameters of its own."""
        own: types.Solution = {}

        def renew(of: Type) -> Type:
            if of.var:
                return own.setdefault(of, own.get(of) or self.new_parameter())
            return Type(of.name, tuple(map(renew, of.params))) if of.params else of

        return [renew(arg) for arg in overload.args], renew(overload.result)

    # --- literals and macros

    def unwrap(self, of: Type, at: int) -> Type:
        """The value's type of an optional element (`[?x]`)."""
        of = types.substitute(self.solution, of)
        if of.name == "optional_type":
            return of.params[0]
        if of == DYN or of.var:
            return DYN
        raise CompileError(f"expected type 'optional_type({of})' but found '{of}'", at)

    def list_literal(self, node: ListNode, scope: Scope) -> Type:
        joined: Type | None = None
        for at, element in enumerate(node.elements):
            of = self.visit(element, scope)
            joined = types.join(self.solution, joined, self.unwrap(of, element.at) if at in node.optional else of)
        return types.list_of(joined or self.new_parameter())

    def map_literal(self, node: MapNode, scope: Scope) -> Type:
        key: Type | None = None
        value: Type | None = None
        for at, (left, right) in enumerate(node.entries):
            key = types.join(self.solution, key, self.visit(left, scope))
            of = self.visit(right, scope)
            value = types.join(self.solution, value, self.unwrap(of, right.at) if at in node.optional else of)
        return types.map_of(key or self.new_parameter(), value or self.new_parameter())

    def comprehension(self, node: Comprehension, scope: Scope) -> Type:
        over = types.substitute(self.solution, self.visit(node.range, scope))
        one, two = self.elements(over, node)
        inner = (
            {**scope, node.names[0]: one} if len(node.names) == 1 else {**scope, node.names[0]: two, node.names[1]: one}
        )
        if node.condition is not None:
            self.wants_bool(node.condition, self.visit(node.condition, inner))
        body = self.visit(node.body, inner)
        match node.kind:
            case "all" | "exists" | "existsOne":
                self.wants_bool(node.body, body)
                return BOOL
            case "filter":
                self.wants_bool(node.body, body)
                return types.list_of(one)
            case "map" | "transformList":
                return types.list_of(body)
            case "transformMap":
                return types.map_of(two, body)
            case "transformMapEntry":
                body = types.substitute(self.solution, body)
                if body.name != "map" and body != DYN and not body.var:
                    raise CompileError(f"expected type 'map' but found '{body}'", node.body.at)
                return body if body.name == "map" else DYN
            case _:
                return self.sort_by(node, over, body)

    def sort_by(self, node: Comprehension, over: Type, key: Type) -> Type:
        key = types.substitute(self.solution, key)
        ordered = ("int", "uint", "double", "bool", "string", "bytes", types.TIMESTAMP.name, types.DURATION.name, "dyn")
        if (over.name != "list" and over != DYN) or (key.name not in ordered and not key.var):
            raise CompileError(f"found no matching overload for 'sortBy' applied to '{over}.({key})'", node.at)
        return over

    def elements(self, over: Type, node: Comprehension) -> tuple[Type, Type]:
        """(what one variable holds or the second of two, what the first of two holds)."""
        two = len(node.names) == 2
        if over.name == "list":
            return over.params[0], INT
        if over.name == "map":
            return (over.params[1], over.params[0]) if two else (over.params[0], over.params[0])
        if over in (DYN, types.ERROR) or over.var:
            types.assignable(self.solution, over, DYN)
            return DYN, DYN
        raise CompileError(RANGE_WRONG.format(over), node.range.at)

    def wants_bool(self, node: Node, of: Type) -> None:
        if not types.assignable(self.solution, of, BOOL):
            raise CompileError(f"found no matching overload: expected type 'bool' but found '{of}'", node.at)

    def optional_map(self, node: OptionalMap, scope: Scope) -> Type:
        operand = types.substitute(self.solution, self.visit(node.operand, scope))
        if operand.name != "optional_type" and operand != DYN and not operand.var:
            name = "optFlatMap" if node.flat else "optMap"
            raise CompileError(f"found no matching overload for '{name}' applied to '{operand}'", node.at)
        held = operand.params[0] if operand.name == "optional_type" else DYN
        body = types.substitute(self.solution, self.visit(node.body, {**scope, node.name: held}))
        if not node.flat:
            return types.optional_of(body)
        if body.name != "optional_type" and body != DYN and not body.var:
            raise CompileError(
                f"found no matching overload for 'optFlatMap': its body is '{body}', not an optional", node.at
            )
        return body
