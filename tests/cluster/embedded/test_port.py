"""The Cluster port in process: what only this adapter can show. (The contract suite has the rest.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.cluster.embedded.failures import CommitFailed, DiskFull
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, PODS
from roadstead.kinds.object import Ref, Resource
from roadstead.runtime.cluster import Create, Delete, EventType, Outcome, Result, Selector, Unavailable, Update, Write
from tests.cluster.embedded.objects import config_map, pod, resources
from tests.cluster.embedded.test_store import SlowLog
from tests.cluster.loop import in_loop


async def slow_cluster() -> tuple[SlowLog, EmbeddedCluster, Resources]:
    log = SlowLog()
    log.go.release()
    api = await resources(Store(log))
    return log, EmbeddedCluster(api), api


@pytest.mark.parametrize(
    ("error", "result", "words"),
    [
        (DiskFull("The disk is full."), Result.THROTTLED, "The disk is full."),
        (CommitFailed("It failed."), Result.UNKNOWN, "It failed."),
    ],
)
@in_loop
async def test_a_commit_that_fails(error: Exception, result: Result, words: str) -> None:
    log, cluster, api = await slow_cluster()
    log.error = error
    log.go.release()
    outcome = await cluster.write(Create(CONFIG_MAPS, config_map()))
    assert outcome.result is result
    assert words in outcome.message
    assert await cluster.get(Ref(CONFIG_MAPS, "default", "a")) is None
    log.go.release()
    assert (await cluster.write(Create(CONFIG_MAPS, config_map()))).is_done
    await api.store.close()


@in_loop
async def test_a_full_disk_leaves_reading_as_it_was_and_writing_for_later(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    api = await resources(store)
    cluster = EmbeddedCluster(api)
    assert (await cluster.write(Create(CONFIG_MAPS, config_map("kept")))).is_done
    connection = store._log._connection  # type: ignore[attr-defined]  # a SqliteLog
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    big = config_map("big")
    big["data"]["filler"] = "x" * 200_000
    outcome = await cluster.write(Create(CONFIG_MAPS, big))
    assert outcome.result is Result.THROTTLED
    assert "is full: 1 writes" in outcome.message
    assert [found.meta.name for found in (await cluster.list(CONFIG_MAPS)).items] == ["kept"]
    connection.execute("PRAGMA max_page_count=1000000")
    assert (await cluster.write(Create(CONFIG_MAPS, big))).is_done
    await store.close()
    store = Store.open(tmp_path)
    assert [found.meta.name for found in store.list(CONFIG_MAPS)] == ["big", "kept"]
    await store.close()


@in_loop
async def test_what_is_no_json_is_invalid() -> None:
    cluster = EmbeddedCluster(await resources())
    value = config_map()
    value["data"]["big"] = 2**70
    assert (await cluster.write(Create(CONFIG_MAPS, value))).result is Result.INVALID


@in_loop
async def test_a_store_that_closes_throttles_writers() -> None:
    api = await resources()
    cluster = EmbeddedCluster(api)
    await api.store.close()
    outcome = await cluster.write(Create(CONFIG_MAPS, config_map()))
    assert (outcome.result, outcome.retry_after) == (Result.THROTTLED, 1)


UNSERVED = Resource("example.com", "v1", "things")
NAMED = {"metadata": {"name": "a", "namespace": "default"}}


@pytest.mark.parametrize(
    "write",
    [
        Create(UNSERVED, NAMED),
        Delete(Ref(UNSERVED, "default", "a"), "u"),
        Create(PODS, NAMED, "eviction"),
        Update(PODS, NAMED, "resize"),
    ],
)
@in_loop
async def test_what_is_not_served_is_missing(write: Write) -> None:
    outcome = await EmbeddedCluster(await resources()).write(write)
    assert outcome.result is Result.MISSING


@in_loop
async def test_reads_of_what_is_not_served_or_makes_no_sense() -> None:
    cluster = EmbeddedCluster(await resources())
    assert await cluster.get(Ref(UNSERVED, "default", "a")) is None
    with pytest.raises(Unavailable):
        await cluster.list(UNSERVED)
    with pytest.raises(Unavailable):
        await cluster.list(CONFIG_MAPS, selector=Selector(labels="a=(("))


@in_loop
async def test_a_watch_from_the_beginning_gives_a_version_without_marks() -> None:
    cluster = EmbeddedCluster(await resources())
    await cluster.write(Create(CONFIG_MAPS, config_map()))
    events = cluster.watch(CONFIG_MAPS, "0")
    first, second = await anext(events), await anext(events)
    assert (first.type, first.resource_version) == (EventType.ADDED, "2")
    assert (second.type, second.object, second.resource_version) == (EventType.BOOKMARK, None, "2")


@in_loop
async def test_a_binding_answers_with_the_bound_pod() -> None:
    cluster = EmbeddedCluster(await resources())
    await cluster.write(Create(PODS, pod(namespace="default")))
    value = {"metadata": {"name": "p", "namespace": "default"}, "target": {"name": "n1"}}
    outcome: Outcome = await cluster.write(Create(PODS, value, "binding"))
    assert outcome.object is not None
    assert outcome.object.decode()["spec"]["nodeName"] == "n1"
