"""The API server alone, durable, for the HTTP benchmark: `python -m benchmarks._http_server DIRECTORY`. Ends when stdin
closes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from benchmarks._api_server import serving


async def _serve(directory: Path) -> None:
    async with serving(directory):
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
