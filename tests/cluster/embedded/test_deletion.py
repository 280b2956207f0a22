"""DELETE: marks, grace, finalizers, propagation, removal together with the write that allows it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roadstead.cluster.embedded.requests import DeleteOptions, ListOptions, WatchOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time
from tests.cluster.embedded.objects import (
    CONFIG_MAP,
    JOB,
    NAMESPACE,
    NOW,
    NOW_TEXT,
    OPTIONS,
    POD,
    config_map,
    pod,
    resources,
    take,
)
from tests.cluster.embedded.test_resources import refused
from tests.cluster.loop import in_loop

PLAIN = DeleteOptions()


def after(seconds: int) -> str:
    return format_time(NOW + seconds * 1_000_000_000)


async def running_pod(api: Resources, **spec: Any) -> None:
    await api.create(POD, "default", {"metadata": {"name": "p"}, "spec": {"nodeName": "n1", **spec}}, OPTIONS)


@in_loop
async def test_without_anything_to_wait_for_the_object_goes_at_once() -> None:
    api = await resources()
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)
    deleted = await api.delete(CONFIG_MAP, "default", "a", PLAIN)
    assert deleted.removed
    assert deleted.object.meta.resource_version == "3"  # the deletion's own
    assert (await refused(api.get(CONFIG_MAP, "default", "a"))).code == 404
    assert (await refused(api.delete(CONFIG_MAP, "default", "a", PLAIN))).code == 404
    events = api.watch(CONFIG_MAP, "default", WatchOptions(resource_version="1"))
    assert await take(events, 2) == [("ADDED", "a", "2"), ("DELETED", "a", "3")]
    await events.aclose()


@in_loop
async def test_finalizers_hold_it_and_the_write_that_removes_the_last_removes_it() -> None:
    api = await resources()
    await api.create(JOB, "default", {"metadata": {"name": "j", "finalizers": ["a.b/c"]}}, OPTIONS)
    marked = await api.delete(JOB, "default", "j", DeleteOptions(propagation="Background"))
    assert not marked.removed
    meta = marked.object.meta
    assert (meta.deletion_timestamp, meta.deletion_grace_period_seconds, meta.generation) == (NOW_TEXT, 0, 2)
    again = await api.delete(JOB, "default", "j", DeleteOptions(propagation="Background"))
    assert again.object is marked.object

    def touch(obj: Json) -> Json:
        obj["metadata"]["labels"] = {"still": "writable"}
        obj["metadata"]["deletionTimestamp"] = None
        return obj

    touched = await api.patch(JOB, "default", "j", touch, OPTIONS)
    assert touched.object.meta.deletion_timestamp == NOW_TEXT

    def release(obj: Json) -> Json:
        del obj["metadata"]["finalizers"]
        return obj

    gone = await api.patch(JOB, "default", "j", release, OPTIONS)
    assert gone.removed
    # the answer shows what was asked for at the version before; watchers get what was stored, at the version of the
    # removal
    assert gone.object.meta.finalizers == ()
    assert gone.object.meta.resource_version == touched.object.meta.resource_version
    events = api.watch(JOB, "default", WatchOptions(resource_version="1"))
    assert [event[0] for event in await take(events, 3)] == ["ADDED", "MODIFIED", "MODIFIED"]
    type_, last, version = await anext(events)
    assert last is not None
    assert (type_, last.meta.finalizers, last.meta.resource_version, version) == ("DELETED", ("a.b/c",), "5", "5")
    await events.aclose()


@pytest.mark.parametrize(
    ("pod_spec", "asked", "grace"),
    [
        pytest.param({}, None, 30, id="default"),
        pytest.param({"terminationGracePeriodSeconds": 7}, None, 7, id="the pod's own"),
        pytest.param({"terminationGracePeriodSeconds": 0}, None, 0, id="the pod's own zero"),
        pytest.param({}, 5, 5, id="the request's"),
        pytest.param({}, -3, 1, id="negative is one"),
        pytest.param({}, 0, 0, id="now"),
        pytest.param({"nodeName": ""}, None, 0, id="never started"),
    ],
)
@in_loop
async def test_grace_of_pods(pod_spec: Json, asked: int | None, grace: int) -> None:
    api = await resources()
    await running_pod(api, **pod_spec)
    deleted = await api.delete(POD, "default", "p", DeleteOptions(grace_seconds=asked))
    assert deleted.removed == (grace == 0)
    meta = deleted.object.meta  # pods are marked also when they go at once
    assert (meta.deletion_timestamp, meta.deletion_grace_period_seconds) == (after(grace), grace)
    assert meta.generation == 2


@in_loop
async def test_a_grace_period_may_only_become_shorter_and_zero_ends_it() -> None:
    api = await resources()
    await running_pod(api)
    await api.delete(POD, "default", "p", PLAIN)
    longer = await api.delete(POD, "default", "p", DeleteOptions(grace_seconds=60))
    assert longer.object.meta.deletion_grace_period_seconds == 30
    unsaid = await api.delete(POD, "default", "p", PLAIN)
    assert unsaid.object is longer.object
    shorter = await api.delete(POD, "default", "p", DeleteOptions(grace_seconds=3))
    assert (shorter.object.meta.deletion_timestamp, shorter.object.meta.deletion_grace_period_seconds) == (after(3), 3)
    assert (await api.delete(POD, "default", "p", DeleteOptions(grace_seconds=0))).removed


@in_loop
async def test_finished_pods_have_no_grace_but_their_finalizers_count() -> None:
    api = await resources()
    await api.create(POD, "default", pod(node="n", finalizers=["x.y/z"]), OPTIONS)
    await api.patch(POD, "default", "p", lambda obj: obj | {"status": {"phase": "Failed"}}, OPTIONS, "status")
    marked = await api.delete(POD, "default", "p", PLAIN)
    assert not marked.removed
    assert marked.object.meta.deletion_grace_period_seconds == 0


@pytest.mark.parametrize(
    ("before", "asked", "expected"),
    [
        ([], "Background", None),
        ([], "", ["orphan"]),  # the default of jobs
        ([], "Foreground", ["foregroundDeletion"]),
        (["x.y/z"], "Foreground", ["x.y/z", "foregroundDeletion"]),
        (["orphan"], "Foreground", ["foregroundDeletion"]),
        (["foregroundDeletion"], "", ["foregroundDeletion"]),
        (["orphan", "x.y/z"], "Background", ["x.y/z"]),
    ],
)
@in_loop
async def test_propagation_policies_are_finalizers(before: list[str], asked: str, expected: list[str] | None) -> None:
    api = await resources()
    await api.create(JOB, "default", {"metadata": {"name": "j", "finalizers": before}}, OPTIONS)
    deleted = await api.delete(JOB, "default", "j", DeleteOptions(propagation=asked))
    assert deleted.removed == (expected is None)
    if expected is not None:
        assert list(deleted.object.meta.finalizers) == expected


@pytest.mark.parametrize(("asked", "count"), [("", 1), ("Orphan", 0), ("Background", 0)])
@in_loop
async def test_deleting_a_job_without_a_word_about_its_pods_warns(asked: str, count: int) -> None:
    api = await resources()
    await api.create(JOB, "default", {"metadata": {"name": "j"}}, OPTIONS)
    deleted = await api.delete(JOB, "default", "j", DeleteOptions(propagation=asked))
    assert len(deleted.warnings) == count
    assert all("child pods are preserved by default" in text for text in deleted.warnings)


@in_loop
async def test_a_later_policy_replaces_an_earlier_one() -> None:
    api = await resources()
    await api.create(JOB, "default", {"metadata": {"name": "j"}}, OPTIONS)
    await api.delete(JOB, "default", "j", DeleteOptions(propagation="Foreground"))
    assert (await api.delete(JOB, "default", "j", DeleteOptions(propagation="Background"))).removed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            DeleteOptions(uid="x"),
            'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (x) does not match the UID in record (u)',
        ),
        (DeleteOptions(resource_version="1"), "the ResourceVersion in the precondition (1) does not match"),
    ],
)
@in_loop
async def test_preconditions(options: DeleteOptions, message: str) -> None:
    api = await resources(new_uid=lambda: "u")
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)
    error = await refused(api.delete(CONFIG_MAP, "default", "a", options))
    assert (error.code, error.reason) == (409, "Conflict")
    assert message in error.message


@in_loop
async def test_namespaces_go_when_their_own_finalizers_are_gone() -> None:
    api = await resources()
    assert "this namespace may not be deleted" in (await refused(api.delete(NAMESPACE, "", "default", PLAIN))).message
    await api.create(NAMESPACE, "", {"metadata": {"name": "x"}}, OPTIONS)
    marked = await api.delete(NAMESPACE, "", "x", PLAIN)
    assert not marked.removed
    assert marked.object.meta.deletion_grace_period_seconds is None
    value = marked.object.decode()
    value["spec"] = {}
    value["status"] = {"phase": "nonsense"}
    finalized = await api.update(NAMESPACE, "", "x", value, OPTIONS, "finalize")
    assert finalized.removed
    assert finalized.object.decode()["status"]["phase"] == "Terminating"


@in_loop
async def test_a_terminating_name_is_still_taken() -> None:
    api = await resources()
    await api.create(CONFIG_MAP, "default", config_map(finalizers=["x.y/z"]), OPTIONS)
    await api.delete(CONFIG_MAP, "default", "a", PLAIN)
    error = await refused(api.create(CONFIG_MAP, "default", config_map(), OPTIONS))
    assert error.message == 'object is being deleted: configmaps "a" already exists'


@in_loop
async def test_collections_are_deleted_one_by_one_and_given_as_they_were() -> None:
    api = await resources()
    for index in range(5):
        labels = {"parity": "even" if index % 2 == 0 else "odd"}
        await api.create(CONFIG_MAP, "default", config_map(f"n{index}", labels=labels), OPTIONS)
    page = await api.delete_collection(CONFIG_MAP, "default", ListOptions(label_selector="parity=even"), PLAIN)
    assert [found.meta.name for found in page.items] == ["n0", "n2", "n4"]
    left = await api.list(CONFIG_MAP, "default", ListOptions())
    assert [found.meta.name for found in left.items] == ["n1", "n3"]


@in_loop
async def test_dry_run_deletes_nothing() -> None:
    api = await resources()
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)
    assert (await api.delete(CONFIG_MAP, "default", "a", DeleteOptions(dry_run=True))).removed
    assert (await api.get(CONFIG_MAP, "default", "a")).meta.name == "a"


@in_loop
async def test_of_two_deletes_at_once_one_removes() -> None:
    api = await resources()
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)
    found = await asyncio.gather(
        *(api.delete(CONFIG_MAP, "default", "a", PLAIN) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in found) == ["StatusError", "Written"]
    assert all(one.code == 404 for one in found if isinstance(one, StatusError))
