"""YAML to JSON values: what is limited, and that only the documents asked for are looked at. Scalars:
`test_manifest`."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.yaml_text import (
    DEPTH_LIMIT,
    NotJson,
    RefersToItself,
    TooManyValues,
    YamlError,
    read_all,
    read_first,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1: a\ntrue: b\n1.5: c\nnull: d", {"1": "a", "true": "b", "1.5": "c", "null": "d"}),
        ("yes: a\non: b", {"true": "b"}),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775808", -(2**63)),
        ("0x1ffffffffffffffff", "0x1ffffffffffffffff"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"a": {"x": 1, "true": 2}, "b": {"x": 1, "true": 3}}),
        ("b: {<<: [{p: 1}, {p: 2, q: 3}], r: 4}", {"b": {"p": 1, "q": 3, "r": 4}}),
        ("'<<': x", {"<<": "x"}),
        ("", None),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert read_first(text) == value


def test_the_first_document_is_read_without_the_others() -> None:
    assert read_first(b"a: 1\n---\nb: [\n") == {"a": 1}
    assert read_all("a: 1\n---\n---\nb: 2\n") == [{"a": 1}, None, {"b": 2}]


@pytest.mark.parametrize("text", ["[" * 500_000, "{a: " * 300_000, "- " * 300_000, "a: 1\n---\n" + "[" * 500_000])
def test_deep_nesting_is_refused_before_it_is_built(text: str) -> None:
    with pytest.raises(YamlError, match=f"exceeded max depth of {DEPTH_LIMIT}"):
        read_all(text)


def test_nesting_through_aliases_counts_too() -> None:
    text = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 300))])
    with pytest.raises(YamlError, match="exceeded max depth"):
        read_first(text)


def test_merges_of_merges_do_not_multiply() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{i}: {i}" for i in range(10)) + "}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 20)}]}}" for i in range(1, 20)]
    assert len(read_first("\n".join(lines))["a19"]) == 10


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("&a [*a]", RefersToItself),
        ("a: !!binary YQ==", NotJson),
        ("a: !!python/name:os.system", YamlError),
        ("a: {<<: 1}", YamlError),
        ("a: .NaN", YamlError),
        (b"a: \xff\xfe", YamlError),
        ("x: &x [" + "1," * 999 + "]\ny: [" + "*x," * 1001 + "]", TooManyValues),
    ],
)
def test_what_cannot_be_read(text: str | bytes, error: type[YamlError]) -> None:
    with pytest.raises(error):
        read_first(text)
