"""Functions, each with an example or an error: the language's own, the extensions', Kubernetes'."""

from __future__ import annotations

import pytest

from roadstead.expr.cel.device import compile_derived
from roadstead.expr.cel.errors import CompileError, EvaluationError


def value(text: str) -> object:
    return compile_derived(text).evaluate({})


TRUE = """
size("ä€") == 2 && size(b"ä") == 2 && [1].size() == 1 && {"a": 1}.size() == 1
"abc".contains("b") && "abc".startsWith("ab") && "abc".endsWith("bc")
"abc".matches("^a.c$") && matches("abc", "b")
int("-7") == -7 && int(2.9) == 2 && int(-2.9) == -2 && int(3u) == 3
uint("7") == 7u && uint(2.9) == 2u && double("1.5") == 1.5 && double(2) == 2.0
string(1.0) == "1" && string(1000000.0) == "1e+06" && string(0.00001) == "1e-05" && string(123456.5) == "123456.5"
string(true) == "true" && string(b"x") == "x" && bytes("x") == b"x"
bool("true") && !bool("0")
7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1 && 7 % -3 == 1
1.0 / 0.0 > 1e308 && -1.0 / 0.0 < -1e308
0x1F == 31 && 0x1Fu == 31u && 1e3 == 1000.0 && .5 == 0.5
"\\u00e4\\x41\\101\\n" == "äAA\\n" && r"\\n" == "\\\\n" && b"\\xff" == b"\\377"
duration("1h30m").getMinutes() == 90 && duration("1.5s").getMilliseconds() == 1500
string(duration("1.5s")) == "1.5s" && duration("-1s") < duration("0")
timestamp("2024-02-29T12:30:00Z").getMonth() == 1 && timestamp("2024-02-29T12:30:00Z").getDayOfMonth() == 28
timestamp("2024-02-29T12:30:00Z").getDayOfWeek() == 4 && timestamp("2024-02-29T12:30:00Z").getHours("+02:00") == 14
timestamp("2024-01-01T00:00:00+01:00") == timestamp("2023-12-31T23:00:00Z")
timestamp("2024-01-01T00:00:01Z") - timestamp("2024-01-01T00:00:00Z") == duration("1s")
string(timestamp("2024-01-01T00:00:00.5Z")) == "2024-01-01T00:00:00.5Z"
1 in [1, 2] && "a" in {"a": 1} && !(3 in [1, 2])
[1, 2] + [3] == [1, 2, 3] && "a" + "b" == "ab" && b"a" + b"b" == b"ab"
{"a": 1, "b": 2} == {"b": 2, "a": 1} && {1: "x"}[dyn(1u)] == "x"
"abc".charAt(1) == "b" && "abc".charAt(3) == "" && "hello".indexOf("l", 3) == 3 && "hello".lastIndexOf("l") == 3
"a-b-c".split("-") == ["a", "b", "c"] && "a-b-c".split("-", 2) == ["a", "b-c"] && "ab".split("") == ["a", "b"]
"a-b".split("-", 0) == [] && ["a", "b"].join("-") == "a-b" && ["a", "b"].join() == "ab"
"äBC".lowerAscii() == "äbc" && "äbc".upperAscii() == "äBC" && "\\t x \\n".trim() == "x"
"aaa".replace("a", "b", 2) == "bba" && "aaa".replace("a", "b") == "bbb" && "abc".substring(1, 2) == "b"
strings.quote("a\\"b") == "\\"a\\\\\\"b\\""
"%s %d %.2f %x %b %%".format(["a", 10, 1.0, 255, 5]) == "a 10 1.00 ff 101 %"
"%s".format([[1, 2]]) == "[1, 2]" && "%s".format([{"a": 1}]) == "{a: 1}"
"abc 123".find("[0-9]+") == "123" && "123 abc 456".findAll("[0-9]+") == ["123", "456"] && "1 2".findAll("[0-9]", 1) == ["1"]
[1, 2].isSorted() && ![2, 1].isSorted() && [1, 2].sum() == 3 && [1.5, 1.5].sum() == 3.0 && [3, 1].min() == 1 && [3, 1].max() == 3
[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(9) == -1
[1, 2, 3].slice(1, 3) == [2, 3] && [[1], [2]].flatten() == [1, 2] && [1, 1, 2].distinct() == [1, 2] && [1, 2].reverse() == [2, 1]
[3, 1].sort() == [1, 3] && lists.range(3) == [0, 1, 2] && [1, 2].first().value() == 1 && [1, 2].last().value() == 2
sets.contains([1, 2], [1]) && sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], [2])
optional.of(1).value() == 1 && !optional.none().hasValue() && optional.ofNonZeroValue(0).orValue(5) == 5
optional.none().or(optional.of(2)).value() == 2 && [?optional.none(), 1] == [1] && {?"a": optional.of(1)} == {"a": 1}
[1, 2].transformList(i, v, i * v) == [0, 2] && [1, 2].transformList(i, v, v > 1, v) == [2]
{"a": 1}.transformMap(k, v, v + 1) == {"a": 2} && ["x"].transformMapEntry(i, v, {v: i}) == {"x": 0}
[1, 2, 3].filter(x, x > 1) == [2, 3] && [1, 2].map(x, x > 1, x * 10) == [20] && {"a": 1}.map(k, k) == ["a"]
[1, 2].exists_one(x, x == 2) && [1, 2].existsOne(i, v, v == 2)
isQuantity("1.5Gi") && !isQuantity("1.5x") && quantity("1").add(quantity("500m")).compareTo(quantity("1.5")) == 0
quantity("3").sub(1).asInteger() == 2 && quantity("1.5").asApproximateFloat() == 1.5 && !quantity("1.5").isInteger()
sign(quantity("-2")) == -1 && quantity("1k").isGreaterThan(quantity("999")) && quantity("1").isLessThan(quantity("2"))
isSemver("1.2.3") && !isSemver("v1.2.3") && isSemver("v1.2", true) && semver("v01.02", true) == semver("1.2.0")
semver("1.0.0-alpha").isLessThan(semver("1.0.0-alpha.1")) && semver("1.0.0-2").isLessThan(semver("1.0.0-10"))
semver("1.0.0-9").isLessThan(semver("1.0.0-a")) && semver("1.0.0+a") == semver("1.0.0+b") && semver("1.2.3").patch() == 3
isIP("10.0.0.1") && !isIP("10.0.0.01") && !isIP("::ffff:1.2.3.4") && ip("::1").isLoopback() && ip("10.0.0.1").family() == 4
ip.isCanonical("2001:db8::1") && !ip.isCanonical("2001:DB8::1") && string(ip("127.0.0.1")) == "127.0.0.1"
cidr("10.0.0.0/8").containsIP("10.1.2.3") && cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16") && isCIDR("::/0") && !isCIDR("10.0.0.0")
cidr("10.1.2.3/8").masked() == cidr("10.0.0.0/8") && cidr("10.0.0.0/8").prefixLength() == 8 && cidr("10.1.0.0/16").ip() == ip("10.1.0.0")
url("https://h.example.com:80/p?a=1&a=2").getHostname() == "h.example.com" && url("https://h.example.com:80/p").getPort() == "80"
url("https://h.example.com/p?a=1").getQuery() == {"a": ["1"]} && isURL("/path") && !isURL("../path")
format.dns1123Label().validate("ok").hasValue() == false && format.named("dns1123Label").value().validate("NO").hasValue()
format.uuid().validate("123e4567-e89b-12d3-a456-426614174000") == optional.none() && format.named("nosuch") == optional.none()
"a" < "b" && b"a" < b"b" && false < true && 1 < 2.5 && 2u > 1 && !(1.0 / 0.0 < 1)
null == null && dyn(null) != 1 && type(null) == null_type
[1, 2, 3][1] == 2 && {"a": {"b": 1}}.a.b == 1 && {"a": 1}["a"] == 1
true ? true : false
--1 == 1 && !!true && -(1) == -1
"""


@pytest.mark.parametrize("text", TRUE.strip().splitlines())
def test_holds(text: str) -> None:
    assert value(text) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int('x' + '')", "type conversion error"),
        ("int('１' + '')", "type conversion error"),
        ("uint(0 - 1)", "overflow"),
        ("int(1e30 * 1.0)", "integer overflow"),
        ("9223372036854775807 * 2", "integer overflow"),
        ("1u - 2u", "unsigned integer overflow"),
        ("1 % 0", "modulus by zero"),
        ("[1][1]", "index out of bounds: 1"),
        ("'abc'.substring(4)", "index out of range: 4"),
        ("'abc'.substring(2, 1)", "invalid substring range"),
        ("'abc'.charAt(4)", "index out of range: 4"),
        ("{'a': 1}['b']", "no such key: b"),
        ("{'a': 1, 'a': 2}", "repeated key"),
        ("quantity('1.5').asInteger()", "cannot convert value to integer"),
        ("semver('1')", "No Major.Minor.Patch"),
        ("[].min()", "empty list"),
        ("[1, 2].slice(0, 3)", "list is length 2"),
        ("optional.none().value()", "dereference"),
        ("ip('1.2.3')", "parse error"),
        ("url('a b')", "parse error"),
        ("timestamp('2024-13-01T00:00:00Z' + '')", "type conversion error"),
        ("dyn('a') - dyn('b')", "no such overload"),
        ("dyn('a').reverse()", "no such overload: reverse"),
    ],
)
def test_fails_at_run_time(text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        value(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'a'.reverse()", "found no matching overload for 'reverse' applied to 'string.\\(\\)'"),
        ("quantity('1').sign()", "found no matching overload for 'sign'"),
        ("[1, 'a']", "expected type 'int' but found 'string'"),
        ("{'a': 1, 'b': 'x'}", "expected type 'int' but found 'string'"),
        ("1 + 1u", "found no matching overload for '_\\+_'"),
        ("'a'.map(x, x)", "cannot be range of a comprehension"),
        ("[1].all(x, x)", "expected type 'bool'"),
        ("[1].all(1, true)", "must be a simple name"),
        ("[1].all(a, a, true)", "duplicate variable"),
        ("has(1)", "invalid argument to has"),
        ("nosuch(1)", "undeclared reference to 'nosuch'"),
        ("x", "undeclared reference to 'x'"),
        ("'a'.b", "does not support field selection"),
        ("1 ? 2 : 3", "found no matching overload for '_\\?_:_'"),
        ("9223372036854775808", "invalid int literal"),
        ("'\\q'", "Syntax error"),
        ("'a", "Syntax error"),
        ("a b", "Syntax error"),
        ("1 +", "Syntax error"),
        ("in", "Syntax error"),
        ("int('x')", "program instantiation failed: type conversion error"),
        ("int(string('x'))", "program instantiation failed: type conversion error"),
        ("'%z'.format([1])", "unrecognized formatting clause"),
        ("'%d'.format([1, 2])", "too many arguments"),
    ],
)
def test_is_refused(text: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        compile_derived(text)
