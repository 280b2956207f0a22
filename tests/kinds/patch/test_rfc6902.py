"""JSON patch: the RFC's examples, and where the real server is laxer."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Json
from roadstead.kinds.patch import json_patch


@pytest.mark.parametrize(
    ("before", "operations", "after"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["a", "c"]}, [{"op": "add", "path": "/foo/1", "value": "b"}], {"foo": ["a", "b", "c"]}),
        ({"foo": ["a"]}, [{"op": "add", "path": "/foo/-", "value": ["b"]}], {"foo": ["a", ["b"]]}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ({"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/1"}], {"a": [1, 3]}),
        ({"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/-1"}], {"a": [1, 2]}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": 2}], {"a": 2}),
        ({"a": {}}, [{"op": "replace", "path": "/a/b", "value": 2}], {"a": {"b": 2}}),  # laxer than the RFC
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
        ({"a": {"b": 1}, "c": {}}, [{"op": "move", "from": "/a/b", "path": "/c/d"}], {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
        ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
        ({"a": {}}, [{"op": "copy", "from": "/a/b", "path": "/a/c"}], {"a": {"c": None}}),
        ({"a/b": 1, "m~n": 2}, [{"op": "test", "path": "/a~1b", "value": 1}, {"op": "remove", "path": "/m~0n"}], {"a/b": 1}),
        ({"a": 1}, [{"op": "test", "path": "/b", "value": None}], {"a": 1}),
        ({"a": 1}, [{"op": "add", "path": "/b"}], {"a": 1, "b": None}),
    ],
)  # fmt: skip
def test_what_operations_do(before: Json, operations: list[Json], after: Json) -> None:
    untouched = copy.deepcopy((before, operations))
    assert json_patch(before, operations) == after
    assert (before, operations) == untouched, "neither argument is changed"


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/nope/x", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "", "value": []},
        {"op": "add", "path": "a", "value": 1},
        {"op": "remove", "path": "/nope"},
        {"op": "remove", "path": "/list/3"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "/list/3", "value": 1},
        {"op": "replace", "path": "/scalar/x", "value": 1},
        {"op": "move", "from": "/nope", "path": "/x"},
        {"op": "copy", "path": "/x"},
        {"op": "test", "path": "/scalar", "value": 2},
        {"op": "test", "path": "/scalar", "value": True},  # 1 is not true
        {"op": "test", "path": "/nope/x", "value": None},
        {"op": "explode", "path": "/scalar"},
        {"path": "/scalar"},
        {"op": "remove", "path": 5},
    ],
)
def test_what_does_not_apply_is_a_422_without_details(operation: Any) -> None:
    before: Json = {"list": [1, 2, 3], "scalar": 1}
    with pytest.raises(StatusError) as refused:
        json_patch(before, [{"op": "add", "path": "/first", "value": 1}, operation])
    assert refused.value.status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid",
        "details": {},
        "code": 422,
    }
    assert before == {"list": [1, 2, 3], "scalar": 1}, "nothing is half applied"
