"""Selectors on devices: values, errors at compile time and at run time."""

from __future__ import annotations

import pytest

from roadstead.expr.cel.cost import LIMIT
from roadstead.expr.cel.device import compile_derived, compile_selector, selects, variables_of
from roadstead.expr.cel.errors import CompileError, EvaluationError
from roadstead.ingest.dra import device_of

DEVICE = device_of(
    {
        "name": "gpu-0",
        "attributes": {
            "i": {"int": 6},
            "b": {"bool": True},
            "s": {"string": "H100"},
            "v": {"version": "1.10.0-rc.1"},
            "l": {"strings": ["a", "b"]},
            "other.example.com/s": {"string": "x"},
        },
        "capacity": {"m": {"value": "80Gi"}},
        "allowMultipleAllocations": True,
    }
)
VARIABLES = variables_of("d.example.com", DEVICE)
OWN = 'device.attributes["d.example.com"]'


def says(text: str) -> object:
    """The verdict, or the kind of error: `compile` or `run`."""
    try:
        program = compile_selector(text.replace("$", OWN))
    except CompileError:
        return "compile"
    try:
        return selects(program, VARIABLES)
    except EvaluationError:
        return "run"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('device.driver == "d.example.com"', True),
        ("device.allowMultipleAllocations", True),
        ("$.i == 6 && $.b", True),
        ("$.i == 6.0", True),
        ("$.i == 6u", True),
        ('$.i == "6"', False),
        ('$.s.lowerAscii() == "h100"', True),
        ('device.attributes["other.example.com"].s == "x"', True),
        ('"nosuch" in device.attributes', False),
        ('device.attributes["nosuch"] == {}', True),
        ('size(device.attributes["nosuch"]) == 0', True),
        ('device.attributes["nosuch"].x == 1', "run"),
        ("has($.nosuch)", False),
        ("$.nosuch", "run"),
        ("$.nosuch || true", True),
        ("false && $.nosuch", False),
        ("$.nosuch && false", False),
        ("$.i || true", True),
        ("$.i || false", "run"),
        ("$.i", "run"),
        ("1", "compile"),
        ("device.nosuch", "compile"),
        ("nosuch", "compile"),
        ("true &&", "compile"),
        ("$.?nosuch.orValue(1) == 1", True),
        ('$[?"s"].hasValue()', True),
        ("$.?i.optMap(x, x + 1).value() == 7", True),
        ("cel.bind(a, $, a.i > 5 && a.b)", True),
        ('device.capacity["d.example.com"].m.compareTo(quantity("80Gi")) == 0', True),
        ('device.capacity["d.example.com"].m == quantity("81920Mi")', True),
        ('device.capacity["d.example.com"].m > quantity("1")', "compile"),
        ('$.v.isLessThan(semver("1.10.0")) && $.v.isGreaterThan(semver("1.9.9"))', True),
        ("$.v.major() == 1 && $.v.minor() == 10", True),
        ('$.l.exists(x, x == "b") && "a" in $.l && $.l.includes("a")', True),
        ('$.s.includes("H100")', True),
        ("$.i / 0 == 1", "run"),
        ("9223372036854775807 + 1 == 0", "run"),
        ("-9223372036854775808 < 0", True),
        ('$.s < "I"', True),
        ("$.s < $.i", "run"),
        ("[1, 2].map(x, x * 2) == [2, 4]", True),
        ("[1, $.i].exists(x, x == 6)", "compile"),
        ("[$.i, $.b].size() == 2", True),
        ('"%d %s".format([$.i, "x"]) == "6 x"', True),
        ('"%d".format(["x"]) == ""', "compile"),
        ('duration("1x") == duration("1s")', "compile"),
        ('$.s.matches("[")', "compile"),
        ("$.i.startsWith('x')", "run"),
        ("[[1], [2]].all(x, x.exists(y, y > 0))", True),
        ("[0, 1].exists(x, 1 / x > 0)", True),
        ("[0, 1].all(x, 1 / x > 5)", False),
        ("[0, 1].exists_one(x, 1 / x > 0)", "run"),
        ("{'a': 1}.all(k, v, k == 'a' && v == 1)", True),
        ("[3, 1, 2].sortBy(x, -x) == [3, 2, 1]", True),
        ("type($.i) == int && type($.s) == string", True),
        ("dyn(1) == 'x'", False),
        ("1 == 'x'", "compile"),
        ("quantity('1') == dyn('x')", "run"),
        ("dyn('x') == dyn(quantity('1'))", False),
        ("quantity('1') != dyn('x')", True),
        ("quantity('1') in [dyn('x')]", False),
        ("__not_reserved__", "compile"),
        ("package", "compile"),
        ("isSorted([1, 2])", "compile"),
    ],
)
def test_verdicts(text: str, expected: object) -> None:
    assert says(text) == expected


@pytest.mark.parametrize("attribute", [{"version": "v1"}, {"version": "1.2"}, {}])
def test_a_device_with_a_bad_attribute_is_no_subject_of_any_selector(attribute: dict[str, str]) -> None:
    with pytest.raises(EvaluationError, match="attribute bad"):
        variables_of("d", device_of({"name": "x", "attributes": {"bad": attribute}}))


def test_messages_name_the_place() -> None:
    with pytest.raises(CompileError, match=r"ERROR: <input>:2:10: undefined field 'nosuch'"):
        compile_selector("true &&\n   device.nosuch")
    with pytest.raises(CompileError, match="must evaluate to bool or the unknown type, not string"):
        compile_selector("device.driver")
    with pytest.raises(EvaluationError, match="CEL result of type int could not be converted to bool"):
        selects(compile_selector(f"{OWN}.i"), VARIABLES)


def test_derived_attributes_may_be_of_any_type() -> None:
    assert compile_derived(f"string({OWN}.i) + 'x'").evaluate(VARIABLES) == "6x"


def test_a_text_that_is_too_long_or_too_deep_is_refused() -> None:
    with pytest.raises(CompileError, match="at most 10240"):
        compile_selector("true" + " " * 10_240)
    with pytest.raises(CompileError, match="recursion limit"):
        compile_selector("(" * 200 + "true" + ")" * 200)
    assert says(" || ".join(["false"] * 1000 + ["true"])) is True


@pytest.mark.parametrize(
    "text",
    [
        "lists.range(1000).all(x, lists.range(1000).all(y, lists.range(1000).all(z, true)))",
        "cel.bind(a, 'xxxxxxxxxxxxxxxx', " + "cel.bind(a, a + a, " * 30 + "a == ''" + ")" * 31,
        "lists.range(100000).distinct().size() == 0",
        "lists.range(1000).all(x, lists.range(1000).all(y, lists.range(1000).all(z, true))) || true",
    ],
)
def test_a_run_may_not_cost_more_than_its_limit(text: str) -> None:
    with pytest.raises(EvaluationError, match="cost limit exceeded"):
        selects(compile_selector(text), VARIABLES)
    assert LIMIT == 1_000_000
