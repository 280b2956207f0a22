"""The embedded server as it is wired."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
