"""Watchers: one connection each, and groups of those that want the same. How they are served is in `channel.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from roadstead.cluster.embedded.history import Change
from roadstead.cluster.embedded.watching import Event, Watch


class Outlet(Protocol):
    """The sending side of one connection."""

    @property
    def is_paused(self) -> bool:
        """More than enough is waiting to be sent."""
        ...

    def write(self, framed: bytes) -> None:
        """Send a part of the body that is framed already (HTTP/1.1 chunks). Never waits."""
        ...

    def listen(self, on_writable: Callable[[], None] | None, on_lost: Callable[[], None] | None) -> None:
        """Whom to call when `is_paused` turns False, and when the client is gone; None for nobody."""
        ...


Line: TypeAlias = Callable[[Event, bool], bytes]
"""(event, whether it is the first that this watcher gets) -> one line of the stream."""


def framed(body: bytes) -> bytes:
    """`body` as one HTTP/1.1 chunk."""
    return b"%x\r\n%b\r\n" % (len(body), body)


class Member:
    """One watcher. `done` is set when its stream is to end."""

    __slots__ = ("done", "group", "is_first", "outlet", "seen", "timers")

    def __init__(self, group: Group, outlet: Outlet, seen: int, *, is_first: bool) -> None:
        self.group = group
        self.outlet = outlet
        self.seen = seen
        """Version up to which it got everything; kept only while it is apart."""
        self.is_first = is_first
        """It has got no object yet, and its form says something extra with the first."""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.timers: list[asyncio.TimerHandle] = []

    @property
    def has_ended(self) -> bool:
        """Nothing more may be written to it: it is to come back and ask for what it has missed."""
        return self.done.done()

    def end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Group:
    """Watchers who want the same."""

    __slots__ = ("apart", "bookmark_timer", "key", "level", "line", "watch")

    def __init__(self, key: object, watch: Watch, line: Line) -> None:
        self.key = key
        self.watch = watch
        self.line = line
        self.level: dict[Member, None] = {}
        self.apart: dict[Member, None] = {}
        self.bookmark_timer: asyncio.TimerHandle | None = None

    def lines(self, changes: Sequence[Change], *, is_first: bool = False) -> list[bytes]:
        """What the group sees of these changes. Raises StatusError 410."""
        found = []
        for change in changes:
            event = self.watch.event(change)
            if event is not None:
                found.append(self.line(event, is_first))
                is_first = False
        return found
