"""Processes that can be killed at any line and started again: the controllers, and each node agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from roadstead.sim.loop import VirtualLoop


class Life:
    """One life of a process, from start to kill. Who asks anything of the world on its behalf first calls `go_on`."""

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self._loop = loop
        self.name = name
        self.is_over = False
        self.writes = 0
        """Writes that it has sent so far."""

    async def go_on(self) -> None:
        """Returns at once while the process lives; a dead one does nothing any more, so then it never returns."""
        while self.is_over:
            await self._loop.create_future()


Body = Callable[[Life], Coroutine[Any, Any, None]]


class Process:
    """`body` is what the process does for all its life; it ends only by being killed."""

    def __init__(
        self, loop: VirtualLoop, name: str, body: Body, died: Callable[[str, BaseException | None], None]
    ) -> None:
        """`died(name, error)` is called when it ended by itself, which a process of ours never should."""
        self._loop = loop
        self.name = name
        self._body = body
        self._died = died
        self.life = Life(loop, name)
        self.life.is_over = True
        self._task: asyncio.Task[None] | None = None
        self.starts = 0

    @property
    def is_up(self) -> bool:
        return not self.life.is_over

    async def start(self) -> None:
        """Start it, once its earlier life has given back what it held. Nothing happens if it runs."""
        if self.is_up:
            return
        if self._task is not None:
            await asyncio.wait((self._task,))
        self.life = Life(self._loop, self.name)
        self.starts += 1
        self._task = self._loop.create_task(self._run(self.life))

    def kill(self) -> None:
        """As by SIGKILL: no request leaves it any more, from this line on."""
        if self._task is not None and self.is_up:
            self.life.is_over = True
            self._task.cancel()

    async def _run(self, life: Life) -> None:
        error: BaseException | None = None
        try:
            await self._body(life)
        except asyncio.CancelledError:
            if life.is_over:
                return
            raise
        except BaseException as failure:
            error = failure
        if not life.is_over:
            life.is_over = True
            self._died(self.name, error)
