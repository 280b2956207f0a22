"""RemoteCluster against answers of every kind: what they mean for reads, writes and watches."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import CONFIG_MAPS, JOBS, NAMESPACES, PODS
from roadstead.kinds.object import Json, Ref
from roadstead.runtime.cluster import (
    Create,
    Delete,
    EventType,
    Expired,
    Result,
    Selector,
    Unavailable,
    Update,
    Write,
)
from tests.cluster.loop import in_loop
from tests.cluster.remote.server import Answer, answering, hang_up, reply, status, stream

VALUE: Json = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "5"},
    "somebody": {"elses": ["field"]},
}
CREATE = Create(CONFIG_MAPS, VALUE)
BINDING = Create(PODS, {"metadata": {"name": "p", "namespace": "n"}, "target": {"name": "x"}}, "binding")


@pytest.mark.parametrize(
    ("write", "answer", "result", "retry_after"),
    [
        pytest.param(CREATE, reply(409, status(409, "AlreadyExists")), Result.EXISTS, 0, id="taken"),
        pytest.param(CREATE, reply(409, status(409, "Conflict")), Result.CONFLICT, 0, id="conflict on create"),
        pytest.param(
            Update(CONFIG_MAPS, VALUE), reply(409, status(409, "Conflict")), Result.CONFLICT, 0, id="conflict"
        ),
        pytest.param(
            BINDING, reply(409, status(409, "AlreadyExists")), Result.CONFLICT, 0, id="a binding is not exists"
        ),
        pytest.param(CREATE, reply(404, status(404, "NotFound")), Result.MISSING, 0, id="missing"),
        pytest.param(CREATE, reply(400, status(400, "BadRequest")), Result.INVALID, 0, id="bad request"),
        pytest.param(CREATE, reply(403, status(403, "Forbidden")), Result.INVALID, 0, id="forbidden"),
        pytest.param(CREATE, reply(422, status(422, "Invalid")), Result.INVALID, 0, id="invalid"),
        pytest.param(CREATE, reply(401, status(401, "Unauthorized")), Result.THROTTLED, 5, id="unauthorized"),
        pytest.param(CREATE, reply(429, b"slow down", retry_after="7"), Result.THROTTLED, 7, id="throttled"),
        pytest.param(CREATE, reply(503, b"busy", retry_after="2"), Result.THROTTLED, 2, id="unavailable for a while"),
        pytest.param(CREATE, reply(503, status(503, retryAfterSeconds=3)), Result.THROTTLED, 3, id="said in the body"),
        pytest.param(CREATE, reply(503, b"bad gateway"), Result.UNKNOWN, 0, id="unavailable, no more said"),
        pytest.param(CREATE, reply(507, status(507, "InternalError")), Result.THROTTLED, 1, id="disk full"),
        pytest.param(CREATE, reply(500, status(500, "InternalError")), Result.UNKNOWN, 0, id="internal error"),
        pytest.param(CREATE, reply(504, status(504, "Timeout")), Result.UNKNOWN, 0, id="server timeout"),
        pytest.param(CREATE, hang_up, Result.UNKNOWN, 0, id="no answer"),
        pytest.param(CREATE, reply(201, b"{broken"), Result.UNKNOWN, 0, id="an answer nobody can read"),
    ],
)
@in_loop
async def test_outcomes(tmp_path: Path, write: Write, answer: Answer, result: Result, retry_after: float) -> None:
    async with answering(tmp_path, answer) as cluster:
        outcome = await cluster.write(write)
    assert (outcome.result, outcome.retry_after) == (result, retry_after)
    assert outcome.message


@in_loop
async def test_what_was_never_sent_was_not_carried_out(tmp_path: Path) -> None:
    cluster = RemoteCluster("http://localhost", uds=tmp_path / "nobody")
    assert (await cluster.write(CREATE)).result is Result.THROTTLED
    with pytest.raises(Unavailable):
        await cluster.get(Ref(CONFIG_MAPS, "n", "a"))
    await cluster.close()


@in_loop
async def test_a_server_that_does_not_answer_in_time_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    async with answering(tmp_path, stream(then="silence")) as cluster:
        cluster._client.timeout = 0.05
        assert (await cluster.write(CREATE)).result is Result.UNKNOWN


@pytest.mark.parametrize(
    ("write", "line"),
    [
        (CREATE, "POST /api/v1/namespaces/n/configmaps HTTP/1.1"),
        (Create(NAMESPACES, {"metadata": {"name": "x"}}), "POST /api/v1/namespaces HTTP/1.1"),
        (BINDING, "POST /api/v1/namespaces/n/pods/p/binding HTTP/1.1"),
        (Update(JOBS, VALUE, "status"), "PUT /apis/batch/v1/namespaces/n/jobs/a/status HTTP/1.1"),
        (Delete(Ref(JOBS, "n", "a b"), "u"), "DELETE /apis/batch/v1/namespaces/n/jobs/a%20b HTTP/1.1"),
    ],
)
@in_loop
async def test_paths(tmp_path: Path, write: Write, line: str) -> None:
    seen = []

    async def note(request: str, writer: object) -> None:
        seen.append(request)

    async with answering(tmp_path, note) as cluster:
        await cluster.write(write)
    assert seen == [line]


@in_loop
async def test_fields_that_nobody_knows_survive(tmp_path: Path) -> None:
    async with answering(tmp_path, reply(200, VALUE)) as cluster:
        found = await cluster.get(Ref(CONFIG_MAPS, "n", "a"))
        assert found is not None
        assert found.decode() == VALUE
        written = await cluster.write(Update(CONFIG_MAPS, found.decode()))
        assert written.object is not None
        assert written.object.decode() == VALUE


@pytest.mark.parametrize(
    "item",
    [{"metadata": {"name": "a"}, "x": 1}, {}, {"kind": "ConfigMap", "metadata": {"name": "a"}}, {"apiVersion": "v1"}],
)
@in_loop
async def test_list_items_get_the_type_that_servers_leave_out(tmp_path: Path, item: Json) -> None:
    body = {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": [item]}
    async with answering(tmp_path, reply(200, body)) as cluster:
        listing = await cluster.list(CONFIG_MAPS)
    assert listing.resource_version == "9"
    assert listing.items[0].decode() == {"apiVersion": "v1", "kind": "ConfigMap", **item}
    assert listing.items[0].kind == "ConfigMap"


def page(names: str, token: str = "") -> Json:
    items = [{"metadata": {"name": name}} for name in names]
    return {"kind": "ConfigMapList", "metadata": {"resourceVersion": "9", "continue": token}, "items": items}


@in_loop
async def test_pages_are_joined_and_begun_again_when_they_expire(tmp_path: Path) -> None:
    expired = reply(410, status(410, "Expired"))
    answers = [reply(200, page("ab", "t")), expired, reply(200, page("ab", "t")), reply(200, page("cd"))]
    async with answering(tmp_path, *answers) as cluster:
        listing = await cluster.list(CONFIG_MAPS)
    assert [found.meta.name for found in listing.items] == ["a", "b", "c", "d"]
    async with answering(tmp_path / "..", expired) as cluster:
        with pytest.raises(Unavailable, match="consistent list"):
            await cluster.list(CONFIG_MAPS)


@pytest.mark.parametrize(
    "answer", [reply(403, status(403)), reply(500), hang_up, reply(200, b"[]"), reply(200, b"{"), reply(401)]
)
@in_loop
async def test_reads_that_fail_are_unavailable(tmp_path: Path, answer: Answer) -> None:
    async with answering(tmp_path, answer) as cluster:
        with pytest.raises(Unavailable):
            await cluster.list(CONFIG_MAPS)
        with pytest.raises(Unavailable):
            await cluster.get(Ref(CONFIG_MAPS, "n", "a"))


@in_loop
async def test_a_missing_object_is_none(tmp_path: Path) -> None:
    async with answering(tmp_path, reply(404, status(404, "NotFound"))) as cluster:
        assert await cluster.get(Ref(CONFIG_MAPS, "n", "a")) is None


def line(type_: str, value: Json) -> bytes:
    return orjson.dumps({"type": type_, "object": value}) + b"\n"


@in_loop
async def test_a_watch_gives_events_however_they_are_cut(tmp_path: Path) -> None:
    bookmark = {"kind": "ConfigMap", "metadata": {"resourceVersion": "8"}}
    whole = line("ADDED", VALUE) + line("BOOKMARK", bookmark) + line("DELETED", VALUE)
    chunks = [whole[:7], whole[7:90], whole[90:]]
    async with answering(tmp_path, stream(*chunks)) as cluster:
        events = [event async for event in cluster.watch(CONFIG_MAPS, "3", "n", Selector("a=b", "metadata.name=a"))]
    assert [(event.type, event.resource_version) for event in events] == [
        (EventType.ADDED, "5"),
        (EventType.BOOKMARK, "8"),
        (EventType.DELETED, "5"),
    ]
    assert events[1].object is None
    assert events[2].object is not None
    assert events[2].object.decode() == VALUE


@in_loop
async def test_a_watch_asks_for_bookmarks_selectors_and_a_version(tmp_path: Path) -> None:
    seen = []

    async def note(request: str, writer: object) -> None:
        seen.append(request)

    async with answering(tmp_path, note) as cluster:
        with pytest.raises(Unavailable):
            _ = [event async for event in cluster.watch(JOBS, "3", "", Selector("a=b", "metadata.name=a"))]
    (request,) = seen
    assert request.startswith("GET /apis/batch/v1/jobs?")
    for part in ("labelSelector=a%3Db", "fieldSelector=metadata.name%3Da", "watch=true", "resourceVersion=3",
                 "allowWatchBookmarks=true", "timeoutSeconds="):  # fmt: skip
        assert part in request


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(stream(line("ERROR", status(410, "Expired"))), Expired, id="expired in the stream"),
        pytest.param(reply(410, status(410, "Expired")), Expired, id="expired as the answer"),
        pytest.param(stream(line("ERROR", status(500))), Unavailable, id="another error in the stream"),
        pytest.param(stream(line("ADDED", VALUE), then="break"), Unavailable, id="broken off"),
        pytest.param(stream(b'{"type":"ADDED","object":{"metad'), Unavailable, id="cut in the middle of a line"),
        pytest.param(stream(b"nonsense\n"), Unavailable, id="nonsense"),
        pytest.param(stream(line("UNHEARD-OF", VALUE)), Unavailable, id="a type nobody knows"),
        pytest.param(stream(line("ADDED", VALUE), then="silence"), Unavailable, id="silent for too long"),
        pytest.param(reply(403, status(403)), Unavailable, id="forbidden"),
        pytest.param(hang_up, Unavailable, id="no answer"),
    ],
)
@in_loop
async def test_watches_that_fail(tmp_path: Path, answer: Answer, error: type[Exception]) -> None:
    async with answering(tmp_path, answer, idle_seconds=0.2) as cluster:
        with pytest.raises(error):
            _ = [event async for event in cluster.watch(CONFIG_MAPS, "3")]


TERMINATING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("body", "is_left"),
    [
        pytest.param({"kind": "Status", "status": "Success"}, False, id="a status"),
        pytest.param({"kind": "Pod", "metadata": {"name": "p"}}, False, id="the last state"),
        pytest.param({"kind": "Pod", "metadata": TERMINATING | {"finalizers": ["x"]}}, True, id="finalizers"),
        pytest.param({"kind": "Pod", "metadata": TERMINATING | {"deletionGracePeriodSeconds": 30}}, True, id="grace"),
        pytest.param({"kind": "Pod", "metadata": TERMINATING | {"deletionGracePeriodSeconds": 0}}, False, id="over"),
    ],
)
@in_loop
async def test_what_a_delete_leaves(tmp_path: Path, body: Json, is_left: bool) -> None:
    async with answering(tmp_path, reply(200, body)) as cluster:
        outcome = await cluster.write(Delete(Ref(PODS, "n", "p"), "u"))
    assert outcome.is_done
    assert (outcome.object is not None) == is_left


@in_loop
async def test_a_token_file_is_read_and_its_absence_said(tmp_path: Path) -> None:
    path = tmp_path / "token"
    cluster = RemoteCluster("http://localhost", uds=tmp_path / "s", token_file=path)
    with pytest.raises(Unavailable, match=r"token.* cannot be read: No such file"):
        await cluster.get(Ref(CONFIG_MAPS, "n", "a"))
    assert (await cluster.write(CREATE)).result is Result.THROTTLED
    path.write_text("secret\n")
    assert cluster._headers() == {"authorization": "Bearer secret"}
    await cluster.close()
