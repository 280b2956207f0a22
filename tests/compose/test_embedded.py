"""The embedded server as it is wired."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest

from roadstead.cluster.embedded.resources import Resources
from roadstead.compose import embedded


def test_the_server_expires_events_for_as_long_as_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def keep(resources: Resources) -> None:
        seen.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    monkeypatch.setattr(embedded, "keep_expiring", keep)

    async def serve() -> None:
        options = embedded.ServerOptions(tmp_path / "data", tmp_path / "pki", tmp_path / "api.sock")
        async with embedded.serving(options):
            await asyncio.sleep(0)
            assert seen == ["begun"]
        assert seen == ["begun", "ended"]

    asyncio.run(serve())


def test_the_whole_server_shows_its_numbers_and_is_ready(tmp_path: Path) -> None:
    async def serve() -> None:
        socket = tmp_path / "api.sock"
        async with (
            embedded.serving(embedded.ServerOptions(tmp_path / "data", tmp_path / "pki", socket)),
            httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(uds=str(socket)), base_url="http://localhost"
            ) as http,
        ):
            assert (await http.get("/readyz/informer-sync")).text == "ok"
            text = (await http.get("/metrics")).text
        for line in (
            'controller_runtime_max_concurrent_reconciles{controller="job"} 4.0',
            'workqueue_depth{controller="binder",name="binder"}',
            'roadstead_decider_rounds_total{decider="',
            "# TYPE kueue_pending_workloads gauge",
            'apiserver_storage_objects{resource="namespaces"}',
        ):
            assert line in text

    asyncio.run(serve())
