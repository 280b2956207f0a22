"""Sets of paths: the algebra against sets of tuples, and FieldsV1 in and out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds.fields import paths
from roadstead.kinds.fields.light import covers, touches
from roadstead.kinds.fields.paths import NotFields, Path, Set

ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'k:{"port":80,"protocol":"TCP"}', 'v:"s"', "v:1"])
PATHS = st.sets(st.lists(ELEMENTS, min_size=1, max_size=3).map(tuple), max_size=8)


def begins(path: Path, with_one_of: set[Path]) -> bool:
    return any(path[: len(start)] == start for start in with_one_of)


@given(PATHS, PATHS)
def test_operations_are_those_of_sets(left: set[Path], right: set[Path]) -> None:
    one, two = Set.of(*left), Set.of(*right)
    assert set(one) == left
    assert set(one.union(two)) == left | right
    assert set(one.intersection(two)) == left & right
    assert set(one.difference(two)) == left - right
    assert set(one.outside(two)) == {path for path in left if not begins(path, right)}
    assert (one == two) == (left == right)
    assert all(path in one for path in left)
    assert not any(path in one for path in right - left)
    assert set(one) == left, "operands stay as they were"


@given(PATHS, PATHS)
def test_what_is_written_reads_back(left: set[Path], right: set[Path]) -> None:
    one, two = Set.of(*left), Set.of(*right)
    written = paths.encode(one)
    assert paths.decode(written) == one
    assert touches(written, two) == bool(left & right)
    assert covers(written, two) == (right <= left)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:containers", 'k:{"name":"a"}', "f:image"), '.containers[name="a"].image'),
        (("f:ports", paths.key({"protocol": "TCP", "port": 80})), '.ports[port=80,protocol="TCP"]'),
        (("f:finalizers", paths.value("a/b")), '.finalizers[="a/b"]'),
        (("f:flags", paths.value(True), "i:3"), ".flags[=true][3]"),
        (("f:none", paths.value(None)), ".none[=null]"),
    ],
)
def test_paths_are_shown_as_in_errors(path: Path, text: str) -> None:
    assert paths.shown(path) == text


def test_elements_are_written_as_go_writes_them() -> None:
    assert paths.key({"b": 1.0, "a": "<&>"}) == 'k:{"a":"\\u003c\\u0026\\u003e","b":1}'
    assert paths.decode({'k:{ "b" : 1, "a":"x" }': {}}) == Set.of(('k:{"a":"x","b":1}',))


def test_members_come_before_what_lies_below() -> None:
    found = Set.of(("f:b",), ("f:a", "f:z"), ('k:{"p":9}',), ('k:{"p":10}',), ("v:2",), ("v:10",), ('v:"a"',))
    assert list(found) == [
        ("f:b",),
        ('k:{"p":9}',),
        ('k:{"p":10}',),
        ("v:2",),
        ("v:10",),
        ('v:"a"',),
        ("f:a", "f:z"),
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ([], "must be an object"),
        ({"x": {}}, "2 characters"),
        ({"foo": {}}, "missing colon"),
        ({"x:foo": {}}, "unknown path element"),
        ({"k:[1]": {}}, "unknown path element"),
        ({"k:{": {}}, "k:{"),
        ({"i:one": {}}, "i:one"),
        ({"f:a": 1}, "must be an object"),
    ],
)
def test_what_is_no_fields(fields: object, why: str) -> None:
    with pytest.raises(NotFields, match=why.replace("[", r"\[")):
        paths.decode(fields)
