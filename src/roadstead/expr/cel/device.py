"""The `device` variable of resource.k8s.io selectors (dynamic-resource-allocation `cel/compile.go`; KEP-4381, 5491,
5075).

`device.driver`, `device.allowMultipleAllocations`, `device.attributes[domain][name]`, `device.capacity[domain][name]`.
Names without a domain are found under the driver's; an unknown domain is an empty map, an unknown name an error.
Expressions are compiled as stored ones are: with everything known (list attributes and `includes`, whatever gates are
on).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from roadstead.expr.cel.declarations import Environment, Library, build
from roadstead.expr.cel.errors import CompileError, EvaluationError
from roadstead.expr.cel.library.collections import K8S_LISTS, LISTS, OPTIONALS, SETS
from roadstead.expr.cel.library.kubernetes import IP, NAMED_FORMATS, QUANTITY, SEMVER, URL, semver
from roadstead.expr.cel.library.regex import REGEX
from roadstead.expr.cel.library.standard import STANDARD
from roadstead.expr.cel.library.strings import STRINGS
from roadstead.expr.cel.program import Program, compile_text
from roadstead.expr.cel.types import BOOL, DYN, STRING, Type, map_of, parse_type
from roadstead.expr.cel.values import NUMBERS, DomainMap, equal, kind_of
from roadstead.expr.quantity import Quantity
from roadstead.model.dra import Attribute, Device

MAX_LIST: Final = 48
"""Elements of a list attribute that `includes` looks at."""


def _same(left: Any, right: Any) -> bool:
    """Equality that is false between types, also where `==` has no overload."""
    kinds = {kind_of(left), kind_of(right)}
    return (len(kinds) == 1 or kinds <= NUMBERS) and equal(left, right)


def _includes(value: Any, wanted: Any) -> bool:
    """A scalar includes what it equals, a list what is in it."""
    if not isinstance(value, list):
        return _same(value, wanted)
    if len(value) > MAX_LIST:
        raise EvaluationError(f"list has {len(value)} elements, includes takes at most {MAX_LIST}")
    return any(_same(each, wanted) for each in value)


INCLUDES: Final = Library("includes: dyn.(dyn) -> bool", {"includes": _includes})
DEVICE: Final = Type("kubernetes.DRADevice")
_TYPES: Final = (
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
)


def _environment() -> Environment:
    functions = build(
        (
            STANDARD,
            STRINGS,
            REGEX,
            K8S_LISTS,
            LISTS,
            SETS,
            OPTIONALS,
            QUANTITY,
            SEMVER,
            IP,
            URL,
            NAMED_FORMATS,
            INCLUDES,
        )
    )
    named = {name: Type(name) for name in _TYPES}
    for short in ("Quantity", "Semver", "IP", "CIDR", "URL", "Format", "timestamp", "duration"):
        named[parse_type(short).name] = parse_type(short)
    fields = {
        "driver": STRING,
        "allowMultipleAllocations": BOOL,
        "attributes": map_of(STRING, map_of(STRING, DYN)),
        "capacity": map_of(STRING, map_of(STRING, parse_type("Quantity"))),
    }
    return Environment(functions, {"device": DEVICE}, {DEVICE.name: fields}, named)


ENVIRONMENT: Final = _environment()


@lru_cache(maxsize=4096)
def compile_selector(text: str) -> Program:
    """A selector's program: its result must be a bool, or unknown until it runs. CompileError otherwise. Kept by
    text."""
    program = compile_text(text, ENVIRONMENT)
    if program.type not in (BOOL, DYN):
        raise CompileError(f"must evaluate to bool or the unknown type, not {program.type}")
    return program


@lru_cache(maxsize=1024)
def compile_derived(text: str) -> Program:
    """The program of a derived attribute (KEP-6080): any type that an attribute can have. Kept by text."""
    return compile_text(text, ENVIRONMENT)


def selects(program: Program, variables: dict[str, Any]) -> bool:
    """Does the selector take the device? EvaluationError if it fails or gives something else than a bool."""
    value = program.evaluate(variables)
    if value is True or value is False:
        return bool(value)
    raise EvaluationError(f"CEL result of type {kind_of(value)} could not be converted to bool")


def variables_of(driver: str, device: Device) -> dict[str, Any]:
    """The variables for one device. EvaluationError if an attribute has no value or a bad version: no selector runs on
    it then."""
    attributes: dict[str, dict[str, Any]] = {}
    for name, attribute in device.attributes:
        domain, slash, local = name.rpartition("/")
        attributes.setdefault(domain if slash else driver, {})[local] = attribute_value(name, attribute)
    capacity: dict[str, dict[str, Any]] = {}
    for name, offered in device.capacity:
        domain, slash, local = name.rpartition("/")
        capacity.setdefault(domain if slash else driver, {})[local] = Quantity(
            offered.value.nano, offered.value.notation
        )
    return {
        "device": {
            "driver": driver,
            "allowMultipleAllocations": device.shareable,
            "attributes": DomainMap(attributes, {}),
            "capacity": DomainMap(capacity, {}),
        }
    }


def attribute_value(name: str, attribute: Attribute) -> Any:
    """An attribute as a CEL value."""
    if not attribute.kind:
        raise EvaluationError(f"attribute {name}: unsupported attribute value")
    values: list[Any] = list(attribute.values)
    if attribute.kind == "version":
        try:
            values = [semver(text) for text in values]
        except EvaluationError as err:
            raise EvaluationError(f"attribute {name}: parse semantic version: {err}") from None
    return values if attribute.is_list else values[0]
