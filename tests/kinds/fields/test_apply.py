"""Ownership: recorded sessions of a real server judged step by step, rules one by one, and the quick way against the
long one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds.errors import StatusError
from roadstead.kinds.facts import facts
from roadstead.kinds.fields import apply, managers
from roadstead.kinds.fields.apply import LAST_APPLIED, Place, applied, updated, without_entries
from roadstead.kinds.fields.paths import Set
from roadstead.kinds.fields.typed import empty_object, object_type
from roadstead.kinds.object import Json
from tests.kinds.fields.values import BUILT_IN, CUSTOM, NAMES, OBJECTS, thing

RECORDED = Path(__file__).parents[2] / "data" / "api" / "ssa.jsonl.gz"
NOW = 1_700_000_000 * 10**9
SECOND = 10**9
STATUS, SPEC, BUT_STATUS = Set.of(("f:status",)), Set.of(("f:spec",)), Set.of(("f:spec",), ("f:metadata",))


def entries(obj: Json | list[Json] | None) -> list[Json]:
    found = obj["metadata"].get("managedFields") if isinstance(obj, dict) else obj
    return sorted(({**entry, "time": ""} for entry in found or []), key=lambda entry: json.dumps(entry, sort_keys=True))


def place_of(api_version: str, kind: str, subresource: str, definition: Json | None) -> Place | None:
    if definition is not None and api_version.startswith("${u}"):
        version = definition["spec"]["versions"][0]
        schema, is_custom = version["schema"]["openAPIV3Schema"], True
        has_status = "status" in (version.get("subresources") or {})
    else:
        name = facts().kinds.get(f"{api_version}/{kind}")
        if name is None:
            return None
        schema, is_custom = facts().schemas[name], False
        has_status = "status" in schema["properties"]
    found = object_type(schema, is_custom=is_custom)
    own = (BUT_STATUS if is_custom else SPEC) if subresource else STATUS if has_status else Set()
    return Place(
        api_version,
        kind,
        subresource,
        lambda version: found,
        lambda version, where: own,
        {} if is_custom else empty_object(schema),
        is_custom,
    )


def sessions() -> Iterator[Json]:
    with gzip.open(RECORDED) as lines:
        for line in lines:
            yield json.loads(line)


@pytest.mark.parametrize("session", list(sessions()), ids=lambda session: session["id"])
def test_owners_are_those_of_a_recorded_server(session: Json) -> None:
    definition: Json | None = None
    store: dict[str, Json] = {}
    for step in session["steps"]:
        request, response = step.get("request"), step.get("response", {})
        if request is None or response.get("json") is None:
            definition = (
                (request or {}).get("json")
                if "customresourcedefinitions" in (request or {}).get("path", "")
                else definition
            )
            continue
        path, _, query = request["path"].partition("?")
        options = dict(part.split("=", 1) for part in query.split("&") if part)
        subresource = "status" if path.endswith("/status") else ""
        where = path.removesuffix("/status")
        if request["method"] == "POST":
            where += "/" + response["json"]["metadata"].get("name", "")
        answer, live = response["json"], store.get(where)
        if step.get("mf") and request["method"] == "PATCH":
            _judge(step, request, answer, live, options, subresource, definition)
        if response["status"] < 300 and answer.get("kind") != "Status":
            store[where] = answer


def _judge(
    step: Json, request: Json, answer: Json, live: Json | None, options: Json, subresource: str, definition: Json | None
) -> None:
    status = step["response"]["status"]
    body: Json = request["json"]
    about = live or body
    place = place_of(about["apiVersion"], about["kind"], subresource, definition)
    manager = options.get("fieldManager", "oracle")
    if place is None or status in (404, 422) or (live is not None and "managedFields" not in live["metadata"]):
        return
    if "apply" not in request["headers"]["Content-Type"]:
        if status == 200 and live is not None:
            assert entries(updated(place, live, without_entries(answer), None, manager, NOW)) == entries(answer)
        return
    force = options.get("force") == "true"
    if status < 300:
        assert entries(applied(place, live, body, manager, NOW, force=force)[1]) == entries(answer)
        return
    with pytest.raises(StatusError) as refused:
        applied(place, live, body, manager, NOW, force=force)
    causes = [(cause["field"], cause["message"]) for cause in answer.get("details", {}).get("causes", ())]
    found = [(cause["field"], cause["message"]) for cause in refused.value.details.get("causes", ())]
    assert (refused.value.code, sorted(found)) == (status, sorted(causes))
    assert refused.value.message == answer["message"]


def after(place: Place, live: Json | None, config: Json, manager: str, now: int = NOW, *, force: bool = False) -> Json:
    made, owners = applied(place, live, config, manager, now, force=force)
    made = {**made, "metadata": dict(made["metadata"])}
    if owners:
        made["metadata"]["managedFields"] = owners
    return made


def test_both_own_what_both_say_and_it_goes_with_the_last() -> None:
    live = after(CUSTOM, None, thing({"size": 1, "mode": "a"}), "one")
    live = after(CUSTOM, live, thing({"size": 1}), "two")
    live = after(CUSTOM, live, thing({}), "one")
    assert live["spec"] == {"size": 1}
    live = after(CUSTOM, live, thing({"mode": "b"}), "two")
    assert live["spec"] == {"mode": "b"}


def test_conflicts_name_everybody_and_force_takes() -> None:
    live = after(CUSTOM, None, thing({"size": 1, "mode": "a"}), "one")
    with pytest.raises(StatusError) as refused:
        after(CUSTOM, live, thing({"size": 2, "mode": "b"}), "two")
    assert refused.value.message == 'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.mode\n- .spec.size'
    assert refused.value.code == 409
    taken = after(CUSTOM, live, thing({"size": 2}), "two", force=True)
    assert {entry["manager"]: entry["fieldsV1"] for entry in entries(taken)} == {
        "one": {"f:spec": {"f:mode": {}}},
        "two": {"f:spec": {"f:size": {}}},
    }


def test_updates_take_and_are_named_with_their_version() -> None:
    live = after(CUSTOM, None, thing({"size": 1}), "one")
    changed = thing({"size": 2})
    owners = updated(CUSTOM, live, changed, None, "editor", NOW)
    assert [(entry["manager"], entry["operation"]) for entry in owners or ()] == [("editor", "Update")]
    changed["metadata"]["managedFields"] = owners
    with pytest.raises(StatusError, match=r'conflict with "editor" using v1: \.spec\.size'):
        after(CUSTOM, changed, thing({"size": 1}), "one")


def test_what_was_never_applied_to_belongs_to_whoever_was_before() -> None:
    assert updated(CUSTOM, thing({"size": 1}), thing({"size": 2}), None, "me", NOW) is None
    with pytest.raises(StatusError, match=r'conflict with "before-first-apply" using v1: \.spec\.size'):
        after(CUSTOM, thing({"size": 1}), thing({"size": 2}), "one")


def test_nothing_changed_is_no_new_time() -> None:
    live = after(CUSTOM, None, thing({"size": 1}), "one")
    again = after(CUSTOM, live, thing({"size": 1}), "one", NOW + SECOND)
    assert again == live
    assert (
        after(CUSTOM, live, thing({"size": 2}), "one", NOW + SECOND)["metadata"]["managedFields"][0]["time"]
        != (live["metadata"]["managedFields"][0]["time"])
    )


@pytest.mark.parametrize("sent", [[], [{}]])
def test_owners_are_forgotten_on_demand(sent: list[Json]) -> None:
    live = after(CUSTOM, None, thing({"size": 1}), "one")
    assert updated(CUSTOM, live, thing({"size": 1}), sent, "me", NOW) is None


@pytest.mark.parametrize(
    "sent",
    [
        [{"manager": "x", "operation": "Steal", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}],
        [{"manager": "x", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {}}],
        [{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {}}],
        [{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"?": {}}}],
    ],
)
def test_entries_that_nobody_could_have_written_change_nothing(sent: list[Json]) -> None:
    live = after(CUSTOM, None, thing({"size": 1}), "one")
    assert entries(updated(CUSTOM, live, thing({"size": 1}), sent, "me", NOW)) == entries(live)


def test_owners_of_versions_that_are_gone_are_forgotten() -> None:
    live = after(CUSTOM, None, thing({"size": 1}), "one")
    live["metadata"]["managedFields"][0]["apiVersion"] = "v0"
    assert after(CUSTOM, live, thing({"size": 2}), "two")["spec"] == {"size": 2}


def test_many_writers_become_one_of_old() -> None:
    live = thing({"limits": {}})
    owners = updated(CUSTOM, None, thing({"limits": {}}), None, "u0", NOW)
    for number in range(1, 15):
        live["metadata"]["managedFields"] = owners
        changed = thing({"limits": {f"k{index}": "1" for index in range(number)}})
        owners = updated(CUSTOM, live, changed, None, f"u{number}", NOW + number * SECOND)
        live = changed
    assert owners is not None
    assert len(owners) == managers.UPDATERS
    assert "ancient-changes" in {entry["manager"] for entry in owners}


def test_kubectl_takes_over_from_its_own_client_side() -> None:
    last = json.dumps(thing({"size": 1, "mode": "a"}))
    live = thing({"size": 1, "mode": "a"}, annotations={LAST_APPLIED: last})
    live["metadata"]["managedFields"] = updated(
        CUSTOM, None, without_entries(live), None, "kubectl-client-side-apply", NOW
    )
    with pytest.raises(StatusError, match="kubectl-client-side-apply"):
        after(CUSTOM, live, thing({"size": 2}), "other")
    made = after(CUSTOM, live, thing({"size": 2}), "kubectl")
    assert made["spec"]["size"] == 2
    assert json.loads(made["metadata"]["annotations"][LAST_APPLIED])["spec"] == {"size": 2}


@pytest.mark.parametrize(
    ("config", "code", "message"),
    [
        ({**thing({}), "kind": "Other"}, 400, "invalid object type: /v1, Kind=Other"),
        ({"kind": "Thing"}, 400, "invalid object type: /, Kind=Thing"),
        (thing({}, managedFields=[]), 400, "metadata.managedFields must be nil"),
        (
            thing({"nope": 1}, namespace="n"),
            500,
            "failed to create typed patch object (n/t; /v1, Kind=Thing): .spec.nope: field not declared in schema",
        ),
    ],
)
def test_configurations_that_are_refused(config: Json, code: int, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        after(CUSTOM, None, config, "me")
    assert (refused.value.code, refused.value.message) == (code, message)


def test_fractions_and_quantities_are_no_objects_of_the_kind() -> None:
    refusal = apply.not_convertible(
        thing({}), "json: cannot unmarshal number 1.5 into Go struct field X.y of type int64"
    )
    assert refusal.message.endswith(
        "unable to convert unstructured object to /v1, Kind=Thing: cannot convert float64 to int64"
    )
    assert (refusal.code, refusal.reason) == (500, "")


STEPS = st.lists(st.tuples(st.sampled_from(["apply", "update"]), NAMES, OBJECTS), min_size=1, max_size=5)


@given(STEPS)
def test_the_quick_way_agrees_with_the_long_one(steps: list[tuple[str, str, Json]]) -> None:
    """Built-in kinds pass on the entries that a write does not touch; custom ones look at all of them."""
    live: Json | None = None
    for number, (what, who, obj) in enumerate(steps):
        now = NOW + number * SECOND
        if what == "apply":
            live = after(BUILT_IN, live, obj, who, now, force=True)
            continue
        quick, long = (updated(place, live, obj, None, who, now) for place in (BUILT_IN, CUSTOM))
        assert quick == long
        live = {**obj, "metadata": {**obj["metadata"], **({"managedFields": quick} if quick else {})}}


@given(STEPS)
def test_who_applied_has_what_was_applied(steps: list[tuple[str, str, Json]]) -> None:
    live: Json | None = None
    for what, who, obj in steps:
        if what == "apply":
            live = after(CUSTOM, live, obj, who, force=True)
            again = after(CUSTOM, live, obj, who)
            assert again == live, "applied again it changes nothing and conflicts with nobody"
    owned: Any = {entry["manager"]: entry["fieldsV1"] for entry in entries(live)} if live else {}
    assert all(owned.values()), "nobody owns nothing"


def test_status_and_the_rest_are_owned_apart() -> None:
    whole = replace(CUSTOM, reset=lambda version, where: BUT_STATUS if where else STATUS)
    status = replace(whole, subresource="status")
    live = after(whole, None, {**thing({"size": 1}), "status": {"ready": 1}}, "one")
    assert entries(live)[0]["fieldsV1"] == {"f:spec": {"f:size": {}}}
    live = after(status, live, {**thing({"size": 5}), "status": {"ready": 2}}, "one")
    assert [(entry.get("subresource"), entry["fieldsV1"]) for entry in live["metadata"]["managedFields"]] == [
        (None, {"f:spec": {"f:size": {}}}),
        ("status", {"f:status": {"f:ready": {}}}),
    ]
