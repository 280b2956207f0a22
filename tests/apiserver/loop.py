"""Coroutine tests with an `Api` of their own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from tests.apiserver.harness import Api

DEADLINE_SECONDS = 30.0


def with_api(test: Callable[[Api], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a coroutine test in a fresh loop with a fresh application."""

    async def bounded() -> None:
        api = Api()
        await api.prepare()
        try:
            await asyncio.wait_for(test(api), DEADLINE_SECONDS)
        finally:
            await api.store.close()

    def run() -> None:
        asyncio.run(bounded())

    functools.update_wrapper(run, test, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    del run.__wrapped__  # pytest would look for a fixture named api
    return run
