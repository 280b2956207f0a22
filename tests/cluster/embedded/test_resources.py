"""Create, update, patch: server-owned metadata, preconditions, no-ops, generation, the order of the pipeline."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.cluster.embedded.requests import User, WriteOptions
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import StatusError, access_denied
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES, PODS
from roadstead.kinds.object import Json
from tests.cluster.embedded.objects import (
    CONFIG_MAP,
    JOB,
    LEASE,
    NAMESPACE,
    NOW_TEXT,
    OPTIONS,
    POD,
    config_map,
    pod,
    resources,
)
from tests.cluster.embedded.test_store import SlowLog
from tests.cluster.loop import in_loop

DRY = WriteOptions(dry_run=True)


async def refused(awaitable: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        await awaitable
    return caught.value


@in_loop
async def test_create_stamps_what_belongs_to_the_server() -> None:
    api = await resources(new_uid=lambda: "u-1")
    sent = pod(
        uid="mine",
        creationTimestamp=None,
        generation=7,
        selfLink="/x",
        managedFields=[{}],
        deletionTimestamp="2020-01-01T00:00:00Z",
    )
    sent["status"] = {"phase": "Running"}
    written = await api.create(POD, "default", sent, OPTIONS)
    assert written.created
    assert written.object.decode() == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "default",
            "uid": "u-1",
            "creationTimestamp": NOW_TEXT,
            "generation": 1,
            "resourceVersion": "2",
        },
        "spec": {},
        "status": {"phase": "Pending"},
    }
    assert (await api.get(POD, "default", "p")).raw == written.object.raw
    assert api.current_rv() == "2"


@pytest.mark.parametrize(
    ("sent", "namespace", "code", "message"),
    [
        (
            [],
            "default",
            400,
            "the object provided is unrecognized (must be of type ConfigMap): got list, need an object",
        ),
        ({"metadata": []}, "default", 400, "metadata must be an object, not list"),
        (
            {"apiVersion": "v2", "metadata": {"name": "a"}},
            "default",
            400,
            "the API version in the data (v2) does not match the expected API version (v1)",
        ),
        ({"kind": "Secret", "metadata": {"name": "a"}}, "default", 400, "cannot be handled as a ConfigMap"),
        (
            config_map("a", "other"),
            "default",
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (config_map("a", "nowhere"), "nowhere", 404, 'namespaces "nowhere" not found'),
        (
            config_map("a", resourceVersion="3"),
            "default",
            500,
            "resourceVersion should not be set on objects to be created",
        ),
        (config_map("taken"), "default", 409, 'configmaps "taken" already exists'),
    ],
)
@in_loop
async def test_creates_that_are_refused(sent: Any, namespace: str, code: int, message: str) -> None:
    api = await resources()
    await api.create(CONFIG_MAP, "default", config_map("taken"), OPTIONS)
    error = await refused(api.create(CONFIG_MAP, namespace, sent, OPTIONS))
    assert error.code == code
    assert message in error.message
    assert api.current_rv() == "2"


@in_loop
async def test_generated_names_avoid_those_taken_and_give_up_after_eight() -> None:
    suffixes = iter(["aaaaa", "aaaaa", "bbbbb"] + ["aaaaa"] * 8)
    api = await resources(name_suffix=lambda: next(suffixes))
    base = "x" * 70

    async def create() -> str:
        sent = config_map("")
        del sent["metadata"]["name"]
        sent["metadata"]["generateName"] = base
        return (await api.create(CONFIG_MAP, "default", sent, OPTIONS)).object.meta.name

    assert await create() == "x" * 58 + "aaaaa"
    assert await create() == "x" * 58 + "bbbbb"
    error = await refused(create())
    assert (error.code, error.reason, error.details["retryAfterSeconds"]) == (409, "AlreadyExists", 1)
    assert "was not able to generate a unique name" in error.message


@in_loop
async def test_a_terminating_namespace_takes_nothing_new_and_says_why_in_a_cause() -> None:
    api = await resources()
    await api.create(NAMESPACE, "", {"metadata": {"name": "going"}}, OPTIONS)
    from roadstead.cluster.embedded.requests import DeleteOptions

    marked = await api.delete(NAMESPACE, "", "going", DeleteOptions())
    assert marked.object.decode()["status"]["phase"] == "Terminating"
    error = await refused(api.create(CONFIG_MAP, "going", config_map("a", "going"), OPTIONS))
    assert (error.code, error.reason) == (403, "Forbidden")
    assert error.message == (
        'configmaps "a" is forbidden: unable to create new content in namespace going because it is being terminated'
    )
    assert error.details["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace going is being terminated",
            "field": "metadata.namespace",
        }
    ]


@in_loop
async def test_an_update_replaces_everything_but_what_belongs_to_the_server() -> None:
    api = await resources()
    first = (await api.create(CONFIG_MAP, "default", config_map(labels={"a": "b"}), OPTIONS)).object
    sent = {
        "metadata": {"name": "a", "creationTimestamp": "1999-01-01T00:00:00Z", "uid": first.meta.uid},
        "data": {"k": "2"},
    }
    second = (await api.update(CONFIG_MAP, "default", "a", sent, OPTIONS)).object
    assert second.decode() == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "a",
            "namespace": "default",
            "uid": first.meta.uid,
            "creationTimestamp": NOW_TEXT,
            "resourceVersion": "3",
        },
        "data": {"k": "2"},
    }


@pytest.mark.parametrize(
    ("metadata", "code", "message"),
    [
        ({}, 400, "the name of the object (a based on URL) was undeterminable: name must be provided"),
        (
            {"name": "a", "deletionTimestamp": "2001-01-01T00:00:00Z", "deletionGracePeriodSeconds": 3},
            422,
            'metadata.deletionTimestamp: Invalid value: "2001-01-01T00:00:00Z": field is immutable, '
            "metadata.deletionGracePeriodSeconds: Invalid value: 3: field is immutable",
        ),
        ({"name": "a", "resourceVersion": "x"}, 500, 'strconv.ParseUint: parsing "x": invalid syntax'),
        ({"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        (
            {"name": "a", "resourceVersion": "1"},
            409,
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
            "please apply your changes to the latest version and try again",
        ),
        ({"name": "a", "uid": "other"}, 409, "Precondition failed: UID in precondition: other, UID in object meta: u"),
    ],
)
@in_loop
async def test_updates_that_are_refused(metadata: Json, code: int, message: str) -> None:
    api = await resources(new_uid=lambda: "u")
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)
    error = await refused(api.update(CONFIG_MAP, "default", "a", {"metadata": metadata}, OPTIONS))
    assert error.code == code
    assert message in error.message


@in_loop
async def test_a_generation_that_nobody_keeps_is_the_clients() -> None:
    api = await resources()
    created = await api.create(CONFIG_MAP, "default", config_map(generation=7), OPTIONS)
    assert created.object.meta.generation == 7


@in_loop
async def test_an_update_that_changes_nothing_gives_no_version_and_no_event() -> None:
    api = await resources()
    first = (await api.create(JOB, "default", {"metadata": {"name": "j"}}, OPTIONS)).object
    same = {"metadata": {"name": "j", "generation": 9}, "spec": {"parallelism": 1}}
    again = await api.update(JOB, "default", "j", same, OPTIONS)
    assert again.object is first
    assert api.current_rv() == first.meta.resource_version
    patched = await api.patch(JOB, "default", "j", lambda obj: obj, OPTIONS)
    assert patched.object is first


@in_loop
async def test_generation_counts_changes_of_the_spec_and_nothing_else() -> None:
    api = await resources()
    await api.create(JOB, "default", {"metadata": {"name": "j"}}, OPTIONS)

    async def after(subresource: str, edit: Any) -> int:
        def apply(obj: Json) -> Json:
            edit(obj)
            return obj

        return (await api.patch(JOB, "default", "j", apply, OPTIONS, subresource)).object.meta.generation

    assert await after("", lambda obj: obj["metadata"].update(labels={"a": "b"})) == 1
    assert await after("status", lambda obj: obj.update(status={"active": 1})) == 1
    assert await after("", lambda obj: obj["spec"].update(parallelism=2)) == 2
    assert await after("", lambda obj: obj["metadata"].update(generation=77, annotations={"x": "y"})) == 2


@in_loop
async def test_status_and_the_rest_are_written_through_their_own_endpoints() -> None:
    api = await resources()
    await api.create(JOB, "default", {"metadata": {"name": "j"}}, OPTIONS)
    both: Json = {"metadata": {"name": "j"}, "spec": {"parallelism": 5}, "status": {"active": 5}}
    main = (await api.update(JOB, "default", "j", dict(both), OPTIONS)).object.decode()
    assert (main["spec"], main.get("status")) == ({"parallelism": 5}, None)
    both = {"metadata": {"name": "j"}, "spec": {"parallelism": 6}, "status": {"active": 5}}
    status = (await api.update(JOB, "default", "j", dict(both), OPTIONS, "status")).object.decode()
    assert (status["spec"], status.get("status")) == ({"parallelism": 5}, {"active": 5})
    without = (await api.update(JOB, "default", "j", {"metadata": {"name": "j"}}, OPTIONS)).object.decode()
    assert without["status"] == {"active": 5}


@in_loop
async def test_a_version_that_a_patch_sets_is_a_precondition() -> None:
    api = await resources()
    first = (await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)).object

    def at(version: str) -> Any:
        def apply(obj: Json) -> Json:
            obj["metadata"]["resourceVersion"] = version
            obj["data"]["n"] = version
            return obj

        return apply

    written = await api.patch(CONFIG_MAP, "default", "a", at(first.meta.resource_version), OPTIONS)
    assert written.object.decode()["data"]["n"] == first.meta.resource_version
    error = await refused(api.patch(CONFIG_MAP, "default", "a", at("1"), OPTIONS))
    assert (error.code, error.reason) == (409, "Conflict")
    error = await refused(api.patch(CONFIG_MAP, "default", "none", at("1"), OPTIONS))
    assert error.code == 404


@in_loop
async def test_patches_of_one_object_at_the_same_time_all_count() -> None:
    api = await resources()
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)

    def add(obj: Json) -> Json:
        obj["data"]["count"] = str(int(obj["data"].get("count", "0")) + 1)
        return obj

    await asyncio.gather(*(api.patch(CONFIG_MAP, "default", "a", add, OPTIONS) for _ in range(50)))
    assert (await api.get(CONFIG_MAP, "default", "a")).decode()["data"]["count"] == "50"


@in_loop
async def test_put_creates_leases_and_needs_their_version_later() -> None:
    api = await resources()
    sent: Json = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}}
    assert (await api.update(LEASE, "default", "l", dict(sent), OPTIONS)).created
    error = await refused(
        api.update(LEASE, "default", "l", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "you"}}, OPTIONS)
    )
    assert error.code == 422
    assert error.message == (
        'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update'
    )
    missing = await refused(api.update(CONFIG_MAP, "default", "none", config_map("none"), OPTIONS))
    assert missing.code == 404


@in_loop
async def test_dry_runs_go_all_the_way_and_store_nothing() -> None:
    api = await resources()
    created = await api.create(CONFIG_MAP, "default", config_map(), DRY)
    assert created.object.meta.uid
    assert (await refused(api.get(CONFIG_MAP, "default", "a"))).code == 404
    error = await refused(api.create(JOB, "default", {"metadata": {"name": "j"}, "spec": {"parallelism": -1}}, DRY))
    assert error.code == 422
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)
    before = api.current_rv()
    changed = await api.update(CONFIG_MAP, "default", "a", {"metadata": {"name": "a"}}, DRY)
    assert "data" not in changed.object.decode()
    assert api.current_rv() == before


@in_loop
async def test_unknown_fields_come_back_as_warnings() -> None:
    api = await resources()
    sent = config_map() | {"unknown": 1}
    written = await api.create(CONFIG_MAP, "default", sent, WriteOptions(field_validation="Warn"))
    assert written.warnings == ['unknown field "unknown"']


class Recorder:
    """Notes what admission sees, labels new pods, refuses a name."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, str]] = []

    def admit(self, request: AdmissionRequest) -> None:
        self.seen.append((request.operation, request.name, request.subresource, request.user.name))
        if request.name == "bad":
            raise access_denied(request.kind.resource, request.name, "not today")
        if request.operation == "CREATE" and request.object is not None:
            assert request.lookup(NAMESPACES, "", request.namespace) is not None
            request.object["metadata"].setdefault("labels", {})["seen"] = "yes"


@in_loop
async def test_every_write_passes_the_admission_chain() -> None:
    recorder = Recorder()
    api = await resources(admission=[])
    api._admission = (recorder,)
    options = WriteOptions(User("ann"))
    created = await api.create(POD, "default", pod(), options)
    assert created.object.meta.labels == {"seen": "yes"}
    await api.patch(POD, "default", "p", lambda obj: obj | {"status": {"phase": "Running"}}, options, "status")
    await api.bind("default", "p", {"target": {"name": "n"}}, options)
    from roadstead.cluster.embedded.requests import DeleteOptions

    await api.delete(POD, "default", "p", DeleteOptions(User("bob")))
    assert recorder.seen == [
        ("CREATE", "p", "", "ann"),
        ("UPDATE", "p", "status", "ann"),
        ("CREATE", "p", "binding", "ann"),
        ("DELETE", "p", "", "bob"),
    ]
    assert (await refused(api.create(POD, "default", pod("bad"), options))).code == 403
    assert api.store.get(PODS, "default", "bad") is None


@in_loop
async def test_a_refusal_that_rests_on_a_write_on_its_way_waits_for_it() -> None:
    log = SlowLog()
    log.go.release()
    api = await resources(Store(log))
    creating = asyncio.ensure_future(api.create(CONFIG_MAP, "default", config_map(), OPTIONS))
    await asyncio.sleep(0.01)
    again = asyncio.ensure_future(api.create(CONFIG_MAP, "default", config_map(), OPTIONS))
    same = asyncio.ensure_future(api.patch(CONFIG_MAP, "default", "a", lambda obj: obj, OPTIONS))
    await asyncio.sleep(0.01)
    assert not again.done()
    assert not same.done()
    log.go.release()
    await creating
    assert (await refused(again)).reason == "AlreadyExists"
    assert (await same).object is api.store.get(CONFIG_MAPS, "default", "a")
    await api.store.close()
