"""Writes that may not go any more when they are about to, and writes that end by a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from roadstead.cluster.remote import RemoteCluster
from roadstead.kinds.names import CONFIG_MAPS
from roadstead.runtime.cluster import Create, Outcome, Result

WRITE = Create(CONFIG_MAPS, {"metadata": {"name": "c", "namespace": "n"}, "data": {"a": "b"}})


async def _ask(directory: Path, permits: list[bool], seconds: float | None = None) -> tuple[Outcome, list[bytes]]:
    """One write to a server that answers nothing; `permits` are the answers to "may it go?", in order. All that
    arrived."""
    arrived: list[bytes] = []
    connected = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        while chunk := await reader.read(65536):
            arrived.append(chunk)
        writer.close()

    socket = directory / "s"
    server = await asyncio.start_unix_server(serve, socket)
    cluster = RemoteCluster(
        "http://localhost", uds=socket, may_send=lambda: permits.pop(0), write_timeout_seconds=seconds
    )
    try:
        outcome = await cluster.write(WRITE)
        await asyncio.wait_for(connected.wait(), 5)
        return outcome, arrived
    finally:
        await cluster.close()
        server.close()


def test_a_write_that_waited_for_its_connection_past_the_lease_is_not_sent(tmp_path: Path) -> None:
    outcome, arrived = asyncio.run(_ask(tmp_path, [False]))
    assert outcome.result is Result.THROTTLED
    assert arrived == []


def test_a_write_stopped_between_head_and_body_is_not_carried_out(tmp_path: Path) -> None:
    outcome, arrived = asyncio.run(_ask(tmp_path, [True, False]))
    assert outcome.result is Result.THROTTLED
    assert b'"data"' not in b"".join(arrived)


def test_a_write_ends_in_time_and_asks_the_server_for_the_same(tmp_path: Path) -> None:
    outcome, arrived = asyncio.run(_ask(tmp_path, [True, True], 0.2))
    assert outcome.result is Result.UNKNOWN
    assert outcome.message == "no answer within 0.2 s"
    assert b"POST /api/v1/namespaces/n/configmaps?timeout=200ms HTTP/1.1" in b"".join(arrived)
