"""An asyncio event loop in virtual time: when nothing is ready it jumps to the next timer. No threads, no I/O, no
waiting.

A whole day without events costs nothing, and the order of everything that happens is fixed by the program alone. Times
are exact to the nanosecond for the first month.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple, Unpack

from roadstead.runtime.step import SECOND

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_STILL: Final = 50_000
"""Rounds of the loop at one moment. In good order there are hundreds."""
SHORTEST: Final = 1e-6
"""Seconds that count as time passing."""

START: Final = 1_800_000_000 * SECOND
"""When simulated time begins, in nanoseconds since the epoch: 2027-01-15T08:00:00Z."""


class HasFileno(Protocol):
    """Whatever the operating system knows by a descriptor."""

    def fileno(self) -> int: ...


class Deadlock(Exception):
    """Everybody waits for something that will never happen."""


class _NullSelector:
    """Stands where a real loop waits for the operating system: here time passes instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._still = 0  # rounds since time last moved

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set: every task waits for another")
        self._still = 0 if timeout > SHORTEST else self._still + 1
        if self._still == MOST_STILL:
            self._loop.on_standstill()
        self._loop.pass_time(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. `time()` begins at 0 and moves only from timer to timer.

    What production gives to a worker thread runs in the loop itself, `thread_delay(executor)` virtual seconds later
    (None stands for the default executor). File descriptors can be registered and are never ready: nothing outside
    exists.
    """

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0
        self._clock_resolution = 1e-9
        self._selector = _NullSelector(self)
        self.on_standstill: Callable[[], None] = lambda: None
        """Called when very much has happened and no time has passed: somebody keeps calling himself at once."""
        self.thread_delay: Callable[[Executor | None], float] = lambda executor: 0.0

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._virtual

    def pass_time(self, seconds: float) -> None:
        self._virtual += seconds

    def now(self) -> int:
        """Virtual time as nanoseconds since the epoch: makes the loop a `runtime.clock.Clock`."""
        return START + round(self._virtual * SECOND)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        self.call_later(self.thread_delay(executor), _run_into, future, func, args)
        return future

    def add_reader(self, fd: int | HasFileno, callback: Callable[[Unpack[Ts]], Any], *args: *Ts) -> None:
        """Nothing outside exists, so nothing will ever be heard."""

    def remove_reader(self, fd: int | HasFileno) -> bool:
        return False

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""


def _run_into(future: asyncio.Future[T], func: Callable[[Unpack[Ts]], T], args: tuple[*Ts]) -> None:
    try:
        result = func(*args)
    except Exception as error:
        if not future.done():
            future.set_exception(error)
        return
    if not future.done():
        future.set_result(result)
