"""Coroutine tests with an `Api` of their own."""

from __future__ import annotations

import asyncio
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

    # Not functools.wraps: pytest would follow it and look for a fixture named `api`.
    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    run.__module__ = test.__module__
    return run
