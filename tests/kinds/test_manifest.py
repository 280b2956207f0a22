"""Manifests as kubectl reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds.manifest import ManifestError, load_all, read_manifests


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", True),
        ("on", True),
        ("y", True),
        ("Off", False),
        ("n", False),
        ("true", True),
        ("tRue", "tRue"),
        ('"yes"', "yes"),
        ("'1'", "1"),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("-5", -5),
        ("+1", 1),
        ("08", 8),  # no octal number: a float
        ("1e3", 1000),
        (".5", 0.5),
        ("1.", 1),
        ("1e300", 1e300),
        ("_1", "_1"),
        ("2001-01-01", "2001-01-01"),
        ("2001-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
        ("1:30", "1:30"),
        ("1.2.3", "1.2.3"),
        ("~", None),
        ("null", None),
        ("", None),
        ("=", "="),
        ("!!str 5", "5"),
        ("|\n  no", "no\n"),
    ],
)
def test_scalars(scalar: str, value: Any) -> None:
    (document,) = load_all(f"a: {scalar}\n")
    assert document == {"a": value}
    assert type(document["a"]) is type(value)


def test_keys_are_text_and_the_last_one_counts() -> None:
    assert load_all("1: a\ntrue: b\nyes: c\n") == [{"1": "a", "true": "c"}]
    assert load_all("a: 1\na: 2\n") == [{"a": 2}]


def test_anchors_and_merges() -> None:
    assert load_all("x: &x {p: 1}\nz: {<<: *x, q: 2}\n") == [{"x": {"p": 1}, "z": {"p": 1, "q": 2}}]


def test_documents_and_lists_become_objects() -> None:
    text = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod}
- {apiVersion: batch/v1, kind: Job}
---
# only a comment
---
{"apiVersion": "v1", "kind": "ConfigMap"}
"""
    assert [value["kind"] for value in read_manifests(text)] == ["Pod", "Job", "ConfigMap"]
    assert read_manifests("") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1,", "job.yaml, line 2, column 1: did not find expected node content; check indentation"),
        ("a: b: c", "job.yaml, line 1, column 5: mapping values are not allowed in this context"),
        ("a:\n\t- b", "job.yaml, line 2, column 1: found character that cannot start any token"),
        ("a: .inf", "job.yaml, line 1, column 4: .inf has no place in JSON"),
        ("- x", "document 1 of job.yaml is a list, not an object; it needs apiVersion, kind and metadata"),
        ("just words", "document 1 of job.yaml is text, not an object"),
        ("kind: Pod\n---\nkind: Job", "document 1 of job.yaml has no apiVersion; say what kind of object it is"),
        ("{}", "document 1 of job.yaml has no apiVersion and no kind"),
        ("&a [*a]", "job.yaml contains an alias that refers to itself"),
        ("a: &a {b: *a}", "job.yaml, line 1, column 4: found unconstructable recursive node"),
        ("{a: b}: c", "job.yaml, line 1, column 1: a key must be text, not a list or an object"),
        ("a: !!binary YQ==", "job.yaml holds a bytes"),
    ],
)
def test_errors_name_the_place_and_what_to_do(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as refused:
        read_manifests(text, "job.yaml")
    assert str(refused.value).startswith(message)


def test_bytes_that_are_not_utf8_are_named() -> None:
    with pytest.raises(ManifestError, match="is not UTF-8: byte 3 is 0xff"):
        read_manifests(b"a: \xff")


def test_a_small_text_does_not_become_a_huge_object() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 9):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    with pytest.raises(ManifestError, match="grows beyond 1,000,000 values"):
        load_all("\n".join(lines))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("abc-: {}[]'\"#&*!yn01._", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abn1", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_json_is_read_as_json(value: Any) -> None:
    assert load_all(json.dumps({"v": value})) == [{"v": value}]
