"""Standing for election: the I/O beside `leader.py`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

from roadstead.kinds.names import LEASES
from roadstead.kinds.object import Ref
from roadstead.kinds.times import SECOND
from roadstead.runtime.clock import Clock, WallClock
from roadstead.runtime.cluster import Cluster, Outcome, Result, Unavailable
from roadstead.runtime.leader import Election, Wait

log = logging.getLogger(__name__)

RELEASE_SECONDS: Final = 3.0
"""A leader that ends does not wait longer for its lease to be given back: it ends by itself anyway."""


def boottime() -> int:
    """Nanoseconds on a clock that also runs while this process is stopped and while the machine sleeps
    (clock_gettime(2))."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class LeaseRefused(Exception):
    """The lease can neither be read nor made as things are: its namespace is missing, or the right to write it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.result}: {outcome.message}")
        self.outcome = outcome


class Elector:
    """Stands for election on a cluster. One task at a time."""

    def __init__(
        self, cluster: Cluster, election: Election, *, now: Callable[[], int] = boottime, wall: Clock | None = None
    ) -> None:
        """`cluster` is not guarded: renewing is what may always be tried."""
        self._cluster = cluster
        self._election = election
        self._now = now
        self._wall = wall or WallClock()
        self._ref = Ref(LEASES, election.namespace, election.name)
        self._allowed_at: int | None = None
        self.holder = ""
        """Who leads, as far as is known."""

    def may_write(self) -> bool:
        """True while this process surely leads. Asked right before each write: one that was allowed may be on its
        way."""
        now = self._now()
        if not self._election.may_write(now):
            return False
        self._allowed_at = now
        return True

    async def acquire(self) -> None:
        """Return once this process leads. Waits as long as another does, or while the server is away. Raises
        LeaseRefused."""
        while True:
            await self._try()
            if self._election.may_write(self._now()):
                return
            await asyncio.sleep(self._election.terms.retry_period / SECOND)

    async def keep(self) -> str:
        """Renew for as long as it goes; returns why this process does not lead any more."""
        terms = self._election.terms
        while True:
            await asyncio.sleep(terms.retry_period / SECOND)
            age = self._election.age(self._now())
            if age is not None and age < terms.renew_deadline:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout((terms.renew_deadline - age) / SECOND):
                        try:
                            await self._try()
                        except LeaseRefused as error:
                            log.warning("cannot renew the lease: %s", error)
                age = self._election.age(self._now())
            if age is None:
                return f"{self.holder or 'nobody'} holds the lease now"
            if age >= terms.renew_deadline:
                self._election.stand_down()
                return f"not renewed for {age / SECOND:.1f} s; the deadline is {terms.renew_deadline / SECOND:g} s"

    async def release(self) -> None:
        """Give the lease back, if it is ours, so that another need not wait for its end: once the last write that was
        allowed has landed. Best effort; call it when nothing writes any more."""
        self._election.stand_down()
        if self._allowed_at is not None:
            left = self._allowed_at + self._election.terms.landing - self._now()
            await asyncio.sleep(max(0, left) / SECOND)
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                lease = await self._cluster.get(self._ref)
                write = self._election.released(lease, self._wall.now()) if lease is not None else None
                if write is not None:
                    await self._cluster.write(write)
        except (Unavailable, TimeoutError) as error:
            log.info("the lease was not given back (%s); it ends by itself", error)

    async def _try(self) -> None:
        """Look at the lease once, and write it if it is time to."""
        try:
            lease = await self._cluster.get(self._ref)
        except Unavailable as error:
            log.info("cannot read the lease: %s", error)
            return
        now = self._now()
        action = self._election.observe(lease, now, self._wall.now())
        if isinstance(action, Wait):
            if self.holder != action.holder:
                log.info("%s leads; waiting", action.holder)
            self.holder = action.holder
            return
        outcome = await self._cluster.write(action.write)
        if outcome.is_done and outcome.object is not None:
            self._election.wrote(outcome.object, now)
            self.holder = self._election.identity
        elif outcome.result is Result.INVALID or (outcome.result is Result.MISSING and lease is None):
            raise LeaseRefused(outcome)
        else:
            log.info("cannot write the lease: %s: %s", outcome.result, outcome.message)
