"""A checked tree becomes closures: `run(variables) -> value`. Operators on known types call straight through.

Errors are exceptions; `&&`, `||`, `all` and `exists` absorb them as the language defines (false && error is false,
either way round). One call per node and element; nothing is looked up by name at run time but variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cmp_to_key
from typing import Any, Final

from roadstead.expr.cel.checker import Checked
from roadstead.expr.cel.cost import Meter, step_cost
from roadstead.expr.cel.declarations import Overload
from roadstead.expr.cel.errors import CostExceeded, EvaluationError, no_such_overload
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
from roadstead.expr.cel.types import DYN, NULL, Type, fits
from roadstead.expr.cel.values import (
    MISSING,
    NONE,
    DomainMap,
    Optional,
    TypeValue,
    compare,
    equal,
    find_key,
    kind_of,
)  # fmt: skip

Variables = Mapping[str, Any]
Run = Callable[[Variables], Any]


def plan(checked: Checked, meter: Meter | None = None) -> Run:
    """The function that evaluates the expression. With a meter every step is paid for (cost.py)."""
    return _Planner(checked, meter).of(checked.root)


_NO_LOGIC: Final = "no such overload"


def _absorbing(parts: list[Run], decisive: bool) -> Run:
    """`&&` (decisive: False) and `||` (True): the decisive value wins over errors wherever it stands."""

    def run(variables: Variables) -> bool:
        failure: EvaluationError | None = None
        for part in parts:
            try:
                value = part(variables)
            except CostExceeded:
                raise
            except EvaluationError as err:
                failure = failure or err
                continue
            if value is decisive:
                return bool(decisive)
            if value is not (not decisive):
                failure = failure or EvaluationError(_NO_LOGIC)
        if failure is not None:
            raise failure
        return not decisive

    return run


def select(operand: Any, field: str) -> Any:
    """`operand.field`; through an optional it gives an optional."""
    kind = type(operand)
    if kind is dict:
        try:
            return operand[field]
        except KeyError:
            raise EvaluationError(f"no such key: {field}") from None
    if kind is DomainMap:
        return operand.get(field, operand.default)
    if kind is Optional:
        return optional_select(operand, field)
    raise EvaluationError(f"unsupported type for field selection: {kind_of(operand)}; no such key: {field}")


def optional_select(operand: Any, field: Any) -> Optional:
    """`operand.?field` and `operand[?key]`: nothing where there is no such key."""
    if isinstance(operand, Optional):
        return optional_select(operand.value, field) if operand.present else NONE
    if isinstance(operand, DomainMap):
        return Optional(True, index(operand, field))
    if isinstance(operand, dict):
        found = find_key(operand, field)
        return NONE if found is MISSING else Optional(True, found)
    if isinstance(operand, list) and not isinstance(field, str):
        at = _position(field)
        return Optional(True, operand[at]) if 0 <= at < len(operand) else NONE
    if isinstance(operand, list):
        raise EvaluationError(_NO_LOGIC)
    return NONE


def has_field(operand: Any, field: str) -> bool:
    """`has(operand.field)`."""
    if isinstance(operand, Optional):
        return bool(operand.present) and has_field(operand.value, field)
    if isinstance(operand, DomainMap):
        return True  # its default is found like any other value
    if isinstance(operand, dict):
        return field in operand
    return False


def _position(key: Any) -> int:
    if isinstance(key, bool) or not isinstance(key, (int, float)) or key != int(key):
        raise EvaluationError(f"unsupported index type '{kind_of(key)}' in list")
    return int(key)


def index(operand: Any, key: Any) -> Any:
    """`operand[key]` of maps and lists; through an optional it gives an optional."""
    if isinstance(operand, dict):
        found = find_key(operand, key)
        if found is MISSING:
            if isinstance(operand, DomainMap):
                return operand.default
            raise EvaluationError(f"no such key: {key}")
        return found
    if isinstance(operand, list):
        at = _position(key)
        if 0 <= at < len(operand):
            return operand[at]
        raise EvaluationError(f"index out of bounds: {at}")
    if isinstance(operand, Optional):
        return optional_select(operand, key)
    raise EvaluationError(_NO_LOGIC)


def differs(left: Any, right: Any) -> bool:
    """`left != right`: also true where `==` has no overload for the two."""
    try:
        return not equal(left, right)
    except EvaluationError:
        return True


def contains(value: Any, container: Any) -> bool:
    """`value in container`."""
    if isinstance(container, dict):
        return find_key(container, value) is not MISSING
    if isinstance(container, list):
        return any(not differs(value, each) for each in container)
    raise EvaluationError(_NO_LOGIC)


_DIRECT: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "_==_": equal,
    "_!=_": differs,
    "_<_": lambda a, b: compare(a, b) < 0,
    "_<=_": lambda a, b: compare(a, b) <= 0,
    "_>_": lambda a, b: compare(a, b) > 0,
    "_>=_": lambda a, b: compare(a, b) >= 0,
    "_[_]": index,
    "_[?_]": optional_select,
    "_@in_": contains,
    "@in": contains,
}
"""Operators that look at the types of their operands themselves."""


_KEYS: Final = frozenset({"string", "int", "uint", "bool", "double"})
"""Types of map keys that can be looked up."""


class _Planner:
    def __init__(self, checked: Checked, meter: Meter | None) -> None:
        self.checked = checked
        self.meter = meter

    def of(self, node: Node) -> Run:
        run = self.build(node)
        meter = self.meter
        if meter is None or isinstance(node, Literal):
            return run

        price = step_cost(node)
        if not price:
            return run

        def metered(variables: Variables) -> Any:
            meter.spend(price)
            return run(variables)

        return metered

    def build(self, node: Node) -> Run:
        if node in self.checked.qualified:
            named = TypeValue(self.checked.qualified[node])
            return lambda _: named
        match node:
            case Literal():
                value = node.value
                return lambda _: value
            case Ident():
                name = node.name
                return lambda variables: variables[name]
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListNode():
                return self.list_literal(node)
            case MapNode():
                return self.map_literal(node)
            case Comprehension():
                return self.comprehension(node)
            case Bind():
                return self.bind(node)
            case OptionalMap():
                return self.optional_map(node)
        raise TypeError(node)

    def select(self, node: Select) -> Run:
        operand, field = self.of(node.operand), node.field
        if node.test:
            return lambda variables: has_field(operand(variables), field)
        if node.optional:
            return lambda variables: optional_select(operand(variables), field)
        return lambda variables: select(operand(variables), field)

    def call(self, node: Call) -> Run:
        parts = [self.of(part) for part in ([node.target] if node.target is not None else []) + node.args]
        if node.function in ("_&&_", "_||_"):
            return _absorbing(parts, node.function == "_||_")
        if node.function == "_?_:_":
            return _choice(*parts)
        if node.function in ("or", "orValue") and node.target is not None:
            return _fallback(parts[0], parts[1], node.function == "or")
        if node.function in _DIRECT:
            left, right = parts
            operator = _DIRECT[node.function]
            if self.meter is not None:
                operator = _measured(operator, self.meter, node.function)
            return lambda variables: operator(left(variables), right(variables))
        function, fitting = self.checked.overloads[node]
        run = function.run
        operands = ([node.target] if node.target is not None else []) + node.args
        known = len(fitting) == 1 and not any(_is_open(self.checked.type(operand)) for operand in operands)
        if not known:
            run = _guarded(node.function, fitting, function.run)
        if self.meter is not None:
            run = _measured(run, self.meter, node.function)
        if len(parts) == 1:
            only = parts[0]
            return lambda variables: run(only(variables))
        return lambda variables: run(*[part(variables) for part in parts])

    def list_literal(self, node: ListNode) -> Run:
        parts = [self.of(element) for element in node.elements]
        if not node.optional:
            return lambda variables: [part(variables) for part in parts]
        optional = node.optional

        def run(variables: Variables) -> list[Any]:
            found: list[Any] = []
            for at, part in enumerate(parts):
                value: Any = part(variables)
                if at not in optional:
                    found.append(value)
                elif _wants_optional(value).present:
                    found.append(value.value)
            return found

        return run

    def map_literal(self, node: MapNode) -> Run:
        parts = [(self.of(key), self.of(value)) for key, value in node.entries]
        optional = node.optional

        def run(variables: Variables) -> dict[Any, Any]:
            found: dict[Any, Any] = {}
            for at, (left, right) in enumerate(parts):
                key, value = left(variables), right(variables)
                if at in optional:
                    if not _wants_optional(value).present:
                        continue
                    value = value.value
                if kind_of(key) in _KEYS and find_key(found, key) is not MISSING:
                    raise EvaluationError(f"Failed with repeated key: {key}")
                try:
                    found[key] = value
                except TypeError:
                    raise EvaluationError(f"unsupported key type: {kind_of(key)}") from None
            return found

        return run

    def bind(self, node: Bind) -> Run:
        name, value, body = node.name, self.of(node.value), self.of(node.body)
        return lambda variables: body({**variables, name: value(variables)})

    def optional_map(self, node: OptionalMap) -> Run:
        operand, name, body, flat = self.of(node.operand), node.name, self.of(node.body), node.flat

        def run(variables: Variables) -> Optional:
            held = _wants_optional(operand(variables))
            if not held.present:
                return NONE
            value = body({**variables, name: held.value})
            return _wants_optional(value) if flat else Optional(True, value)

        return run

    def comprehension(self, node: Comprehension) -> Run:
        over, body = self.of(node.range), self.of(node.body)
        condition = self.of(node.condition) if node.condition is not None else None
        names, kind, meter = node.names, node.kind, self.meter

        def scopes(variables: Variables) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
            for key, value in _pairs(over(variables), len(names) == 2):
                scope = (
                    {**variables, names[0]: value} if len(names) == 1 else {**variables, names[0]: key, names[1]: value}
                )
                if meter is not None:
                    meter.spend(1)
                if condition is None or _wants_bool(condition(scope)):
                    yield key, value, scope

        match kind:
            case "all" | "exists":
                return _quantified(scopes, body, decisive=kind == "exists")
            case "existsOne":
                return lambda variables: sum(_wants_bool(body(scope)) for _, _, scope in scopes(variables)) == 1
            case "filter":
                return lambda variables: [value for _, value, scope in scopes(variables) if _wants_bool(body(scope))]
            case "map" | "transformList":
                return lambda variables: [body(scope) for _, _, scope in scopes(variables)]
            case "transformMap":
                return lambda variables: {key: body(scope) for key, _, scope in scopes(variables)}
            case "transformMapEntry":
                return lambda variables: _merged(body(scope) for _, _, scope in scopes(variables))
            case _:
                return lambda variables: _sorted_by([(body(scope), value) for _, value, scope in scopes(variables)])


def _quantified(
    scopes: Callable[[Variables], Iterator[tuple[Any, Any, dict[str, Any]]]], body: Run, *, decisive: bool
) -> Run:
    def run(variables: Variables) -> bool:
        failure: EvaluationError | None = None
        for _, _, scope in scopes(variables):
            try:
                value = _wants_bool(body(scope))
            except CostExceeded:
                raise
            except EvaluationError as err:
                failure = failure or err
                continue
            if value is decisive:
                return decisive
        if failure is not None:
            raise failure
        return not decisive

    return run


def _pairs(over: Any, two: bool) -> Iterator[tuple[Any, Any]]:
    if isinstance(over, list):
        return iter(enumerate(over))
    if isinstance(over, dict):
        return iter(over.items()) if two else iter((key, key) for key in over)
    raise EvaluationError(_NO_LOGIC)


def _merged(parts: Iterator[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for part in parts:
        if not isinstance(part, dict):
            raise EvaluationError(_NO_LOGIC)
        for key, value in part.items():
            if find_key(found, key) is not MISSING:
                raise EvaluationError(f"insert failed: key {key} already exists")
            found[key] = value
    return found


def _sorted_by(pairs: list[tuple[Any, Any]]) -> list[Any]:
    if pairs and any(kind_of(key) != kind_of(pairs[0][0]) for key, _ in pairs):
        raise EvaluationError("list elements must have the same type")

    def by_key(left: tuple[Any, Any], right: tuple[Any, Any]) -> int:
        return compare(left[0], right[0])

    return [value for _, value in sorted(pairs, key=cmp_to_key(by_key))]


def _choice(condition: Run, yes: Run, no: Run) -> Run:
    return lambda variables: yes(variables) if _wants_bool(condition(variables)) else no(variables)


def _fallback(operand: Run, other: Run, whole: bool) -> Run:
    """`x.or(y)` and `x.orValue(y)`: y is evaluated only if it is needed."""

    def run(variables: Variables) -> Any:
        held = _wants_optional(operand(variables))
        if held.present:
            return held if whole else held.value
        return _wants_optional(other(variables)) if whole else other(variables)

    return run


def _wants_bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise EvaluationError(_NO_LOGIC)


def _wants_optional(value: Any) -> Optional:
    if isinstance(value, Optional):
        return value
    raise EvaluationError(_NO_LOGIC)


def _is_open(of: Type) -> bool:
    """Can a value of this type turn out to be of another at run time?"""
    return of in (DYN, NULL) or any(_is_open(part) for part in of.params)


def _guarded(name: str, overloads: tuple[Overload, ...], run: Callable[..., Any]) -> Callable[..., Any]:
    """The function, after a look at the arguments: does any overload take them?"""

    def guarded(*args: Any) -> Any:
        kinds = [kind_of(arg) for arg in args]
        for overload in overloads:
            if all(fits(want, arg, kind) for want, arg, kind in zip(overload.args, args, kinds, strict=True)):
                return run(*args)
        raise no_such_overload(name, *kinds)

    return guarded


_PAIRWISE: Final = frozenset({"distinct", "sets.contains", "sets.equivalent", "sets.intersects"})
"""Functions that compare every element with every other."""


def _measured(run: Callable[..., Any], meter: Meter, name: str) -> Callable[..., Any]:
    def measured(*args: Any) -> Any:
        for arg in args:
            meter.traverse(arg)
        if name in _PAIRWISE:
            meter.spend(len(args[0]) * len(args[-1]))
        found = run(*args)
        meter.traverse(found)
        return found

    return measured
