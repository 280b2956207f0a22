"""WATCH: order, selector transitions, initial events, bookmarks, endings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from roadstead.cluster.embedded import watching
from roadstead.cluster.embedded.history import Limits
from roadstead.cluster.embedded.requests import DeleteOptions, WatchOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Json
from tests.cluster.embedded.objects import (
    CONFIG_MAP,
    NAMESPACE,
    OPTIONS,
    POD,
    REGISTRY,
    config_map,
    pod,
    resources,
    take,
)
from tests.cluster.loop import in_loop


@in_loop
async def test_changes_since_a_version_in_order_and_then_live_ones() -> None:
    api = await resources()
    await api.create(CONFIG_MAP, "default", config_map("a"), OPTIONS)
    await api.create(POD, "default", pod(), OPTIONS)
    await api.create(CONFIG_MAP, "default", config_map("b"), OPTIONS)
    events = api.watch(CONFIG_MAP, "", WatchOptions(resource_version="2"))
    assert await take(events, 1) == [("ADDED", "b", "4")]
    coming = asyncio.ensure_future(take(events, 2))
    await asyncio.sleep(0.01)
    assert not coming.done()
    await api.patch(CONFIG_MAP, "default", "a", lambda obj: obj | {"data": {}}, OPTIONS)
    await api.delete(CONFIG_MAP, "default", "b", DeleteOptions())
    assert await coming == [("MODIFIED", "a", "5"), ("DELETED", "b", "6")]
    await events.aclose()


@in_loop
async def test_other_namespaces_and_names_are_left_out() -> None:
    api = await resources()
    await api.create(NAMESPACE, "", {"metadata": {"name": "other"}}, OPTIONS)
    for namespace, name in (("other", "a"), ("default", "b"), ("default", "a")):
        await api.create(CONFIG_MAP, namespace, config_map(name, namespace), OPTIONS)
    events = api.watch(CONFIG_MAP, "default", WatchOptions(resource_version="1"), name="a")
    assert await take(events, 1) == [("ADDED", "a", "5")]
    await events.aclose()


@pytest.mark.parametrize("selector", ["label", "field"])
@in_loop
async def test_selector_transitions(selector: str) -> None:
    api = await resources()
    options = WatchOptions(
        label_selector="on=yes" if selector == "label" else "",
        field_selector="status.phase=Running" if selector == "field" else "",
        resource_version="1",
    )
    events = api.watch(POD, "default", options)
    await api.create(POD, "default", pod(), OPTIONS)

    async def switch(on: bool, mark: str) -> None:
        def apply(obj: Json) -> Json:
            obj["metadata"]["labels"] = {"on": "yes" if on else "no"}
            obj["status"] = {"phase": "Running" if on else "Pending", "mark": mark}
            return obj

        await api.patch(POD, "default", "p", apply, OPTIONS, "status")

    await switch(True, "1")
    await switch(True, "2")
    await switch(False, "3")
    await switch(False, "4")
    await switch(True, "5")
    await api.delete(POD, "default", "p", DeleteOptions())
    seen = []
    for _ in range(5):
        type_, found, version = await anext(events)
        assert found is not None
        assert found.meta.resource_version == version
        seen.append((type_, version, found.decode()["status"]["mark"]))
    assert seen == [
        ("ADDED", "3", "1"),
        ("MODIFIED", "4", "2"),
        ("DELETED", "5", "2"),  # the content that still matched, the version of the change
        ("ADDED", "7", "5"),
        ("DELETED", "8", "5"),
    ]
    await events.aclose()


@pytest.mark.parametrize(
    ("options", "has_end"),
    [
        (WatchOptions(), False),
        (WatchOptions(resource_version="0"), False),
        (WatchOptions(bookmarks=True), True),
        (WatchOptions(resource_version="1", send_initial_events=True, resource_version_match="NotOlderThan"), False),
        (WatchOptions(bookmarks=True, send_initial_events=True, resource_version_match="NotOlderThan"), True),
    ],
)
@in_loop
async def test_initial_events_and_their_end(options: WatchOptions, has_end: bool) -> None:
    api = await resources()
    for name in ("b", "a"):
        await api.create(CONFIG_MAP, "default", config_map(name), OPTIONS)
    events = api.watch(CONFIG_MAP, "", options)
    assert await take(events, 2) == [("ADDED", "a", "3"), ("ADDED", "b", "2")]
    if has_end:
        assert await anext(events) == ("BOOKMARK", None, "3+initial-events-end")
    await api.create(CONFIG_MAP, "default", config_map("c"), OPTIONS)
    assert await take(events, 1) == [("ADDED", "c", "4")]
    await events.aclose()


@pytest.mark.parametrize(
    "options",
    [
        WatchOptions(send_initial_events=True),
        WatchOptions(resource_version_match="NotOlderThan"),
        WatchOptions(label_selector="a=(("),
        WatchOptions(resource_version="x"),
    ],
)
@in_loop
async def test_bad_requests_are_refused_before_anything_streams(options: WatchOptions) -> None:
    api = await resources()
    with pytest.raises(StatusError) as refused:
        api.watch(CONFIG_MAP, "", options)
    assert refused.value.code in (400, 422, 500)  # 500 for a version that is no number: the real server's choice


@in_loop
async def test_a_version_older_than_the_history_is_410() -> None:
    api = await resources(Store.in_memory(Limits(changes=2)))
    for index in range(5):
        await api.create(CONFIG_MAP, "default", config_map(f"n{index}"), OPTIONS)
    events = api.watch(CONFIG_MAP, "", WatchOptions(resource_version="2"))
    with pytest.raises(StatusError) as expired:
        await anext(events)
    assert (expired.value.code, expired.value.reason) == (410, "Expired")
    assert expired.value.message == "too old resource version: 2 (6)"


@in_loop
async def test_a_version_from_the_future_is_waited_for() -> None:
    api = await resources()
    events = api.watch(CONFIG_MAP, "", WatchOptions(resource_version="3"))
    coming = asyncio.ensure_future(take(events, 1))
    for name in ("a", "b", "c"):
        await api.create(CONFIG_MAP, "default", config_map(name), OPTIONS)
    assert await coming == [("ADDED", "c", "4")]
    await events.aclose()


@in_loop
async def test_bookmarks_carry_the_newest_version_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BOOKMARK_SECONDS", 0.01)
    api = await resources()
    events = api.watch(CONFIG_MAP, "", WatchOptions(resource_version="1", bookmarks=True))
    await api.create(POD, "default", pod(), OPTIONS)
    assert await anext(events) == ("BOOKMARK", None, "2")
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)
    assert await take(events, 1) == [("ADDED", "a", "3")]
    assert await anext(events) == ("BOOKMARK", None, "3")
    await events.aclose()


@in_loop
async def test_after_a_restart_selectors_hear_410_where_it_is_not_known_what_was_before(tmp_path: Path) -> None:
    store = Store.open(tmp_path, limits=Limits(changes=2))
    api = await resources(store)
    await api.create(CONFIG_MAP, "default", config_map("a", labels={"on": "yes"}), OPTIONS)
    await api.create(CONFIG_MAP, "default", config_map("b"), OPTIONS)
    await api.patch(
        CONFIG_MAP, "default", "a", lambda obj: obj | {"data": {}}, OPTIONS
    )  # its row of version 2 is erased
    await api.create(CONFIG_MAP, "default", config_map("c"), OPTIONS)
    await store.close()
    store = Store.open(tmp_path, limits=Limits(changes=2))
    api = Resources(store, REGISTRY)
    plain = api.watch(CONFIG_MAP, "", WatchOptions(resource_version="3"))
    assert await take(plain, 2) == [("MODIFIED", "a", "4"), ("ADDED", "c", "5")]
    selected = api.watch(CONFIG_MAP, "", WatchOptions(label_selector="on=yes", resource_version="3"))
    with pytest.raises(StatusError) as expired:
        await anext(selected)
    assert expired.value.code == 410
    await plain.aclose()
    await store.close()


@in_loop
async def test_a_watch_ends_at_its_timeout_after_a_last_bookmark() -> None:
    api = await resources()
    options = WatchOptions(resource_version="1", bookmarks=True, timeout_seconds=0)
    assert [event async for event in api.watch(CONFIG_MAP, "", options)] == []
    options = WatchOptions(resource_version="1", bookmarks=True, timeout_seconds=1)
    assert [event async for event in api.watch(CONFIG_MAP, "", options)] == [("BOOKMARK", None, "1")]


@in_loop
async def test_a_watch_ends_when_the_store_closes_and_when_its_consumer_is_too_slow() -> None:
    api = await resources(Store.in_memory(Limits(changes=10)))
    slow = api.watch(CONFIG_MAP, "", WatchOptions(resource_version="1"))
    await api.create(CONFIG_MAP, "default", config_map(), OPTIONS)
    assert await take(slow, 1) == [("ADDED", "a", "2")]
    for index in range(20):
        await api.create(CONFIG_MAP, "default", config_map(f"n{index}"), OPTIONS)
    assert [event async for event in slow] == []
    waiting = asyncio.ensure_future(anext(api.watch(CONFIG_MAP, "", WatchOptions(resource_version="22")), None))
    await asyncio.sleep(0.01)
    await api.store.close()
    assert await waiting is None
