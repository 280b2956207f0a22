"""Watches: what streams, in which form, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib

from tests.apiserver.harness import CONFIG_MAPS, Api, config_map
from tests.apiserver.loop import with_api

LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PARTIAL = {"accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}


def lease(name: str) -> dict[str, object]:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": {}}


@with_api
async def test_changes_arrive_as_lines(api: Api) -> None:
    first = (await api.ask("POST", CONFIG_MAPS, config_map("a", k="1"))).json
    version = first["metadata"]["resourceVersion"]
    async with api.stream(f"{CONFIG_MAPS}?watch=1&resourceVersion={version}") as stream:
        await api.ask("PATCH", f"{CONFIG_MAPS}/a", {"data": {"k": "2"}}, content_type="application/merge-patch+json")
        await api.ask("DELETE", f"{CONFIG_MAPS}/a")
        modified, deleted = await stream.line(), await stream.line()
    assert stream.status == 200
    assert (modified["type"], modified["object"]["data"]) == ("MODIFIED", {"k": "2"})
    assert deleted["type"] == "DELETED"
    assert int(deleted["object"]["metadata"]["resourceVersion"]) > int(
        modified["object"]["metadata"]["resourceVersion"]
    )


@with_api
async def test_headers_are_sent_before_anything_happens(api: Api) -> None:
    async with api.stream(f"{CONFIG_MAPS}?watch=true&resourceVersion=1") as stream:
        while stream.status == 0:
            await asyncio.sleep(0)
    assert stream.status == 200


@with_api
async def test_selectors_turn_changes_into_comings_and_goings(api: Api) -> None:
    created = (await api.ask("POST", CONFIG_MAPS, config_map("a"))).json["metadata"]["resourceVersion"]
    path = f"{CONFIG_MAPS}?watch=true&resourceVersion={created}&labelSelector=on%3Dyes"
    async with api.stream(path) as stream:
        for value in ("yes", "no"):
            patch = {"metadata": {"labels": {"on": value}}}
            await api.ask("PATCH", f"{CONFIG_MAPS}/a", patch, content_type="application/merge-patch+json")
        assert [(await stream.line())["type"] for _ in range(2)] == ["ADDED", "DELETED"]


@with_api
async def test_a_named_object_can_be_watched(api: Api) -> None:
    async with api.stream(f"{CONFIG_MAPS}/b?watch=true&resourceVersion=1") as stream:
        for name in ("a", "b"):
            await api.ask("POST", CONFIG_MAPS, config_map(name))
        assert (await stream.line())["object"]["metadata"]["name"] == "b"


@with_api
async def test_tables_carry_their_columns_once(api: Api) -> None:
    await api.ask("POST", CONFIG_MAPS, config_map("a"))
    async with (
        api.stream(f"{CONFIG_MAPS}?watch=true", TABLE) as stream,
        api.stream(f"{CONFIG_MAPS}?watch=true", TABLE) as late,
    ):
        first = await stream.line()
        await api.ask("POST", CONFIG_MAPS, config_map("b"))
        second = await stream.line()
        assert [(await late.line())["object"]["columnDefinitions"] is None for _ in range(2)] == [False, True]
    assert first["object"]["columnDefinitions"][0]["name"] == "Name"
    assert second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][0] == "b"


@with_api
async def test_metadata_only(api: Api) -> None:
    await api.ask("POST", CONFIG_MAPS, config_map("a", k="v"))
    async with api.stream(f"{CONFIG_MAPS}?watch=true", PARTIAL) as stream:
        event = await stream.line()
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in event["object"]


@with_api
async def test_a_list_that_streams_says_where_it_ends(api: Api) -> None:
    await api.ask("POST", LEASES, lease("a"))
    query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with api.stream(f"{LEASES}?{query}") as stream:
        added, end = await stream.line(), await stream.line()
    assert added["type"] == "ADDED"
    assert end["type"] == "BOOKMARK"
    version = end["object"]["metadata"].pop("resourceVersion")
    assert int(version) >= int(added["object"]["metadata"]["resourceVersion"])
    assert end["object"] == {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"annotations": {"k8s.io/initial-events-end": "true"}},
        "spec": {},
    }


@with_api
async def test_a_time_limit_ends_with_a_bookmark(api: Api) -> None:
    async with api.stream(f"{LEASES}?watch=true&resourceVersion=1&timeoutSeconds=1&allowWatchBookmarks=true") as stream:
        assert (await stream.line())["type"] == "BOOKMARK"
        assert await stream.line() is None


@with_api
async def test_a_stopping_server_ends_streams(api: Api) -> None:
    async with api.stream(f"{CONFIG_MAPS}?watch=true&resourceVersion=1") as stream:
        while stream.status == 0:
            await asyncio.sleep(0)
        api.objects.stop()
        assert await stream.line() is None


@with_api
async def test_what_is_wrong_is_said_before_the_stream_begins(api: Api) -> None:
    for query, status in (
        ("resourceVersion=bogus", 500),
        ("labelSelector=a%20b", 400),
        ("fieldSelector=bogus%3D1", 400),
        ("timeoutSeconds=x", 400),
        ("sendInitialEvents=true", 422),
    ):
        answer = await api.ask("GET", f"{CONFIG_MAPS}?watch=true&{query}")
        assert (query, answer.status) == (query, status)
        assert answer.json["kind"] == "Status"


@with_api
async def test_history_that_is_gone_is_said_in_the_stream(api: Api) -> None:
    for name in ("a", "b"):
        await api.ask("POST", CONFIG_MAPS, config_map(name))
    feed = api.store._history.feed(api.resources.registry.by_kind("v1", "ConfigMap").resource)  # type: ignore[union-attr]
    feed.drop_oldest()
    async with api.stream(f"{CONFIG_MAPS}?watch=true&resourceVersion=1") as stream:
        event = await stream.line()
        assert await stream.line() is None
    assert stream.status == 200
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


@with_api
async def test_many_watchers_see_the_same_events(api: Api) -> None:
    async with contextlib.AsyncExitStack() as stack:
        path = f"{CONFIG_MAPS}?watch=true&resourceVersion=1"
        streams = [await stack.enter_async_context(api.stream(path, TABLE)) for _ in range(50)]
        for number in range(5):
            await api.ask("POST", CONFIG_MAPS, config_map(f"c{number}"))
        for stream in streams:
            seen = [(await stream.line())["object"]["rows"][0]["cells"][0] for _ in range(5)]
            assert seen == [f"c{number}" for number in range(5)]
