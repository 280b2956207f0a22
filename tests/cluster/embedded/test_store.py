"""The store: versions, the two views, restarts, history, failure of the disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.cluster.embedded.failures import CommitFailed, DiskFull, StoreError
from roadstead.cluster.embedded.history import Lagging, Limits
from roadstead.cluster.embedded.log import MemoryLog, Row
from roadstead.cluster.embedded.store import Store, TooOld
from roadstead.kinds.names import CONFIG_MAPS
from roadstead.kinds.object import Object
from tests.cluster.embedded.objects import config_map, put
from tests.cluster.loop import in_loop


class SlowLog(MemoryLog):
    """Commits when told to, or fails."""

    in_thread = True

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.committed: list[Row] = []
        self.error: Exception | None = None

    def commit(self, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        assert self.go.acquire(timeout=10)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.committed += rows


def names(found: Sequence[Object]) -> list[str]:
    return [f"{item.meta.namespace}/{item.meta.name}" for item in found]


@in_loop
async def test_every_change_gets_the_next_version_over_all_objects() -> None:
    store = Store.in_memory()
    a = await put(store, config_map("a"))
    b = await put(store, config_map("b"))
    a2 = await put(store, a.decode(), a)
    removal = store.remove(CONFIG_MAPS, b.decode(), b)
    await removal.committed
    assert [x.meta.resource_version for x in (a, b, a2, removal.object)] == ["1", "2", "3", "4"]
    assert store.revision == 4


@in_loop
async def test_readers_see_a_write_only_when_it_is_on_the_disk() -> None:
    log = SlowLog()
    store = Store(log)
    subscription = store.subscribe(CONFIG_MAPS, 0)
    pending = store.put(CONFIG_MAPS, config_map("a"), None)
    await asyncio.sleep(0.01)
    assert store.get(CONFIG_MAPS, "default", "a") is None
    assert store.list(CONFIG_MAPS) == ()
    assert not subscription.take()
    assert not pending.committed.done()
    assert store.head(CONFIG_MAPS, "default", "a") is pending.object
    log.go.release()
    await pending.committed
    assert store.get(CONFIG_MAPS, "default", "a") is pending.object
    assert [change.object for change in subscription.take()] == [pending.object]
    await store.close()


@in_loop
async def test_writes_gather_while_a_batch_is_on_its_way_and_may_build_upon_it() -> None:
    log = SlowLog()
    store = Store(log)
    first = store.put(CONFIG_MAPS, config_map("a"), None)
    await asyncio.sleep(0)
    second = store.put(CONFIG_MAPS, config_map("a", labels={"x": "2"}), first.object)
    third = store.put(CONFIG_MAPS, config_map("a", labels={"x": "3"}), second.object)
    log.go.release()
    await first.committed
    assert store.get(CONFIG_MAPS, "default", "a") is first.object
    assert store.head(CONFIG_MAPS, "default", "a") is third.object
    log.go.release()
    await third.committed
    assert store.get(CONFIG_MAPS, "default", "a") is third.object
    assert [row.rv for row in log.committed] == [1, 2, 3]
    await store.close()


@in_loop
async def test_when_a_batch_fails_it_and_what_was_built_upon_it_is_refused_and_versions_are_not_reused() -> None:
    log = SlowLog()
    store = Store(log)
    kept = store.put(CONFIG_MAPS, config_map("kept"), None)
    log.go.release()
    await kept.committed
    log.error = DiskFull("no space")
    lost = store.put(CONFIG_MAPS, config_map("lost"), None)
    await asyncio.sleep(0)
    upon = store.put(CONFIG_MAPS, config_map("lost", labels={"x": "y"}), lost.object)
    log.go.release()
    for pending in (lost, upon):
        with pytest.raises(CommitFailed):
            await pending.committed
    assert store.head(CONFIG_MAPS, "default", "lost") is None
    assert store.get(CONFIG_MAPS, "default", "kept") is kept.object
    log.go.release()
    again = store.put(CONFIG_MAPS, config_map("lost"), None)
    await again.committed
    assert int(again.object.meta.resource_version) > int(upon.object.meta.resource_version)
    assert [row.key for row in log.committed] == ["/configmaps:default/kept", "/configmaps:default/lost"]
    await store.close()


@in_loop
async def test_settled_waits_for_what_is_on_its_way_and_tells_of_its_failure() -> None:
    log = SlowLog()
    store = Store(log)
    await store.settled()  # nothing on its way
    log.error = DiskFull("no space")
    pending = store.put(CONFIG_MAPS, config_map(), None)
    waiting = asyncio.ensure_future(store.settled())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    log.go.release()
    with pytest.raises(CommitFailed):
        await waiting
    assert isinstance(pending.committed.exception(), DiskFull)
    await store.close()


@in_loop
async def test_a_write_must_replace_the_head() -> None:
    store = Store.in_memory()
    a = await put(store, config_map("a"))
    with pytest.raises(AssertionError, match="but the head is"):
        store.put(CONFIG_MAPS, config_map("a"), None)
    await put(store, a.decode(), a)
    with pytest.raises(AssertionError, match="but the head is"):
        store.remove(CONFIG_MAPS, a.decode(), a)


@in_loop
async def test_lists_are_in_byte_order_of_namespace_slash_name() -> None:
    store = Store.in_memory()
    for namespace, name in (("a", "z"), ("a-b", "a"), ("a", "a.b"), ("a", "a-b"), ("b", "a"), ("a0", "a")):
        await put(store, config_map(name, namespace))
    # "-" sorts before "/", and "0" after it
    assert names(store.list(CONFIG_MAPS)) == ["a-b/a", "a/a-b", "a/a.b", "a/z", "a0/a", "b/a"]
    assert names(store.list(CONFIG_MAPS, "a")) == ["a/a-b", "a/a.b", "a/z"]
    assert store.list(CONFIG_MAPS, "none") == []


@in_loop
async def test_dependents_are_found_by_owner() -> None:
    store = Store.in_memory()

    def owned(name: str, *owners: str) -> dict[str, object]:
        references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": uid, "uid": uid} for uid in owners]
        return config_map(name, ownerReferences=references)

    a = await put(store, owned("a", "u1", "u2"))
    await put(store, owned("b", "u1"))
    assert names(store.dependents("u1")) == ["default/a", "default/b"]
    await put(store, owned("a", "u2"), a)
    assert names(store.dependents("u1")) == ["default/b"]
    assert names(store.dependents("u2")) == ["default/a"]
    b = store.get(CONFIG_MAPS, "default", "b")
    assert b is not None
    await store.remove(CONFIG_MAPS, b.decode(), b).committed
    assert store.dependents("u1") == []


@in_loop
async def test_a_slow_watcher_falls_off_the_history_and_holds_nobody_up() -> None:
    store = Store.in_memory(Limits(changes=10))
    slow, quick = store.subscribe(CONFIG_MAPS, 0), store.subscribe(CONFIG_MAPS, 0)
    seen = []
    for index in range(30):
        await put(store, config_map(f"n{index}"))
        seen += [change.rv for change in quick.take()]
    assert seen == list(range(1, 31))
    with pytest.raises(Lagging):
        slow.take()
    with pytest.raises(TooOld):
        store.subscribe(CONFIG_MAPS, 5)
    assert [change.rv for change in store.subscribe(CONFIG_MAPS, 25).take()] == [26, 27, 28, 29, 30]


@pytest.mark.parametrize("limits", [Limits(bytes=2000), Limits(age_seconds=100.0)], ids=["bytes", "age"])
@in_loop
async def test_history_is_bounded_by_bytes_and_by_age(limits: Limits) -> None:
    now = [0.0]
    store = Store(MemoryLog(), limits, monotonic=lambda: now[0])
    for index in range(40):
        now[0] += 10.0
        await put(store, config_map(f"n{index:02}"))
    oldest = store.subscribe(CONFIG_MAPS, 39).take()
    assert len(oldest) == 1
    with pytest.raises(TooOld):
        store.subscribe(CONFIG_MAPS, 1)


@in_loop
async def test_a_restart_brings_back_objects_counter_and_history(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    uid = store.uid
    a = await put(store, config_map("a"))
    a2 = await put(store, config_map("a", labels={"x": "y"}), a)
    b = await put(store, config_map("b"))
    await store.remove(CONFIG_MAPS, b.decode(), b).committed
    await store.close()
    store = Store.open(tmp_path)
    assert store.uid == uid
    assert store.revision == 4
    assert [found.raw for found in store.list(CONFIG_MAPS)] == [a2.raw]
    changes = store.subscribe(CONFIG_MAPS, 1).take()
    assert [(change.rv, change.type) for change in changes] == [(2, "MODIFIED"), (3, "ADDED"), (4, "DELETED")]
    assert changes[0].previous is not None
    assert changes[0].previous.raw == a.raw
    assert names(store.list_at(CONFIG_MAPS, "", 3)) == ["default/a", "default/b"]
    new = await put(store, config_map("c"))
    assert new.meta.resource_version == "5"
    await store.close()


@in_loop
async def test_superseded_rows_beyond_the_history_are_erased_from_the_disk(tmp_path: Path) -> None:
    store = Store.open(tmp_path, limits=Limits(changes=5))
    static = await put(store, config_map("static"))
    current = await put(store, config_map("hot"))
    gone = await put(store, config_map("gone"))
    await store.remove(CONFIG_MAPS, gone.decode(), gone).committed
    for _ in range(50):
        current = await put(store, current.decode(), current)
    await store.close()
    store = Store.open(tmp_path)
    rows = store._log.load().rows
    # the static object, the five newest changes, and what was trimmed with the last batch
    assert len(rows) <= 1 + 5 + 2
    assert rows[0][0] == int(static.meta.resource_version)
    assert names(store.list(CONFIG_MAPS)) == ["default/hot", "default/static"]
    with pytest.raises(TooOld):
        store.subscribe(CONFIG_MAPS, 10)
    await store.close()


@in_loop
async def test_a_store_with_more_than_its_history_holds_opens_with_the_newest_changes(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    current = await put(store, config_map("hot"))
    for _ in range(5):
        current = await put(store, current.decode(), current)
    gone = await put(store, config_map("gone"))
    await store.remove(CONFIG_MAPS, gone.decode(), gone).committed
    for name in "abc":
        await put(store, config_map(name))
    await store.close()
    for limits, kept in ((Limits(changes=3), 3), (Limits(bytes=1), 1)):
        store = Store.open(tmp_path, limits=limits)
        assert names(store.list(CONFIG_MAPS)) == ["default/a", "default/b", "default/c", "default/hot"]
        changes = store.subscribe(CONFIG_MAPS, store.revision - kept).take()
        assert [change.rv for change in changes] == list(range(store.revision - kept + 1, store.revision + 1))
        with pytest.raises(TooOld):
            store.subscribe(CONFIG_MAPS, store.revision - kept - 1)
        await store.close()
    store = Store.open(tmp_path, limits=Limits(changes=3))
    await put(store, config_map("d"))  # takes with it what is neither current nor history
    await store.close()
    store = Store.open(tmp_path)
    rows = store._log.load().rows
    assert [key for _, _, key, *_ in rows] == [f"/configmaps:default/{name}" for name in ("hot", "a", "b", "c", "d")]
    await store.close()


@in_loop
async def test_a_closed_store_ends_watches_and_refuses_writes() -> None:
    store = Store.in_memory()
    subscription = store.subscribe(CONFIG_MAPS, 0)
    waiting = asyncio.ensure_future(subscription.wait())
    await asyncio.sleep(0)
    await store.close()
    await waiting
    assert subscription.is_closed
    with pytest.raises(StoreError, match="is closed"):
        store.put(CONFIG_MAPS, config_map(), None)
    await store.close()


@in_loop
async def test_closing_finishes_the_writes_accepted(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    pending = [store.put(CONFIG_MAPS, config_map(f"n{index}"), None) for index in range(20)]
    await store.close()
    assert all(one.committed.done() and one.committed.exception() is None for one in pending)
    store = Store.open(tmp_path)
    assert store.count(CONFIG_MAPS) == 20
    await store.close()


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "settle"]), st.sampled_from(["a/x", "a/y", "b/x"])), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_any_version_can_be_listed_as_it_was(operations: list[tuple[str, str]]) -> None:
    @in_loop
    async def run() -> None:
        store = Store.in_memory()
        model: dict[str, str] = {}
        then: dict[int, dict[str, str]] = {0: {}}
        for verb, path in operations:
            namespace, name = path.split("/")
            head = store.head(CONFIG_MAPS, namespace, name)
            if verb == "settle":
                await store.settled()
                continue
            if verb == "put":
                pending = store.put(CONFIG_MAPS, config_map(name, namespace), head)
                model[path] = pending.object.meta.resource_version
            elif head is not None:
                pending = store.remove(CONFIG_MAPS, head.decode(), head)
                del model[path]
            else:
                continue
            then[int(pending.object.meta.resource_version)] = dict(model)
        await store.settled()
        for rv, expected in then.items():
            listed = store.list_at(CONFIG_MAPS, "", rv)
            assert [(f"{x.meta.namespace}/{x.meta.name}", x.meta.resource_version) for x in listed] == sorted(
                expected.items()
            )
            in_a = store.list_at(CONFIG_MAPS, "a", rv)
            assert [f"a/{x.meta.name}" for x in in_a] == sorted(path for path in expected if path.startswith("a/"))
            replayed = dict(expected)
            for change in store.subscribe(CONFIG_MAPS, rv).take():
                path = f"{change.object.meta.namespace}/{change.object.meta.name}"
                if change.type == "DELETED":
                    del replayed[path]
                else:
                    replayed[path] = change.object.meta.resource_version
            assert replayed == model

    run()
