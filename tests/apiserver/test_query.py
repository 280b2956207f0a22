"""Options in queries and DeleteOptions bodies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.apiserver.query import (
    delete_options,
    flag,
    list_options,
    manager_of,
    parse_query,
    watch_options,
    write_options,
)
from roadstead.cluster.embedded.requests import SYSTEM
from roadstead.kinds.errors import StatusError


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (b"", False),
        (b"w", True),
        (b"w=", True),
        (b"w=true", True),
        (b"w=True", True),
        (b"w=1", True),
        (b"w=false", False),
        (b"w=0", False),
        (b"w=False", False),
    ],
)
def test_flags_are_lenient(query: bytes, value: bool) -> None:
    assert flag(parse_query(query), "w") is value


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            b"dryRun=x",
            422,
            'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["x"]: supported values: "All"',
        ),
        (
            b"fieldManager=a%01b",
            422,
            'fieldManager: Invalid value: "a\\x01b": invalid character U+0001 (at position 1)',
        ),
        (b"fieldManager=" + b"m" * 129, 422, "fieldManager: Too long: may not be more than 128 bytes"),
        (b"fieldValidation=strict", 422, 'fieldValidation: Unsupported value: "strict"'),
    ],
)
def test_write_options_refused(query: bytes, code: int, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        write_options(parse_query(query), "CreateOptions", SYSTEM, "test/1.0")
    assert refused.value.code == code
    assert message in refused.value.message


def test_write_options() -> None:
    options = write_options(parse_query(b"dryRun=All&fieldValidation=Strict"), "CreateOptions", SYSTEM, "tool/1.0 (x)")
    assert (options.dry_run, options.field_validation, options.field_manager) == (True, "Strict", "tool")
    assert write_options({}, "CreateOptions", SYSTEM, "").field_validation == "Warn"


def test_force_belongs_to_apply() -> None:
    with pytest.raises(StatusError, match="force: Forbidden: may not be specified for non-apply patch"):
        write_options(parse_query(b"force=true"), "PatchOptions", SYSTEM, "", is_patch=True)


def test_managers_are_printable_and_short() -> None:
    assert manager_of("kube\x00ctl/v1") == "kubectl"
    assert len(manager_of("x" * 500)) == 128


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (b"limit=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (b"sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
    ],
)
def test_list_options_refused(query: bytes, code: int, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        list_options(parse_query(query))
    assert refused.value.code == code
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"resourceVersionMatch=NotOlderThan", "forbidden for watch unless sendInitialEvents is provided"),
        (b"sendInitialEvents=true", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    ],
)
def test_watch_options_refused(query: bytes, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        watch_options(parse_query(query))
    assert refused.value.code == 422
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"propagationPolicy": "Bogus"}, 422, 'supported values: "Foreground", "Background", "Orphan", "nil"'),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422, "cannot be both set"),
        (
            {"gracePeriodSeconds": "x"},
            400,
            "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        ),
        ({"preconditions": []}, 400, "json: cannot unmarshal array"),
        ({"preconditions": {"uid": 5}}, 400, "json: cannot unmarshal number"),
        ({"dryRun": ["Some"]}, 422, 'dryRun: Unsupported value: ["Some"]'),
        ([], 400, "json: cannot unmarshal array into Go value of type v1.DeleteOptions"),
        (5, 400, "json: cannot unmarshal number"),
    ],
)
def test_delete_options_refused(body: object, code: int, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        delete_options({}, body, SYSTEM)
    assert refused.value.code == code
    assert message in refused.value.message


def test_delete_options_come_from_the_body_else_from_the_query() -> None:
    query = parse_query(b"gracePeriodSeconds=7&propagationPolicy=Foreground")
    assert delete_options(query, None, SYSTEM).grace_seconds == 7
    assert delete_options(query, None, SYSTEM).propagation == "Foreground"
    assert delete_options(query, {}, SYSTEM).grace_seconds is None
    assert delete_options({}, {"orphanDependents": True}, SYSTEM).propagation == "Orphan"
    assert delete_options({}, {"preconditions": {"uid": "u", "resourceVersion": "3"}}, SYSTEM).uid == "u"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["preconditions", "dryRun", "uid", "gracePeriodSeconds"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(json_values)
def test_any_delete_options_are_read_or_refused(body: object) -> None:
    code = 400
    try:
        delete_options({}, body, SYSTEM)
    except StatusError as refused:
        code = refused.code
    assert code in (400, 422)
