"""Decisions whose answer was lost: not there when asked, and perhaps still on their way.

A request that the server carries out late finds its preconditions as they were, as long as nobody has changed the object. Meanwhile
the place that it takes must not be given to anybody else. So such a decision stays assumed, and its object is changed by a write of
no other meaning: from then on the late request meets another resourceVersion. Whatever the next version of the object is, it ends
the doubt: either it is what the request made, or the request comes too late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from roadstead.controllers.admission import writes
from roadstead.core.plan import Admit, BindPod
from roadstead.kinds.names import WORKLOADS
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.times import format_time
from roadstead.runtime.cluster import Outcome, Result, Update
from roadstead.runtime.step import SECOND, Key, Step, in_order

AGAIN: Final = SECOND
"""The write that ends a doubt is tried so often."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Change an object for the sake of being changed. Subject of an Action."""

    resource: Resource
    key: Key


@dataclass(frozen=True, slots=True)
class Doubt:
    """`version`: of the object as it was decided on. `next_at`: when to try to end the doubt."""

    command: Admit | BindPod
    version: tuple[str, str]
    next_at: int


class Doubts:
    """Open doubts by the object they are about."""

    def __init__(self) -> None:
        self._open: dict[tuple[Resource, Key], Doubt] = {}

    def __contains__(self, subject: tuple[Resource, Key]) -> bool:
        return subject in self._open

    def begin(
        self, subject: tuple[Resource, Key], command: Admit | BindPod, version: tuple[str, str], now: int
    ) -> None:
        self._open[subject] = Doubt(command, version, now)

    def ended_by(self, subject: tuple[Resource, Key], current: Object | None) -> Admit | BindPod | None:
        """The command that was in doubt, if this is another version of its object than the one decided on."""
        doubt = self._open.get(subject)
        if doubt is None or (current is not None and current.version == doubt.version):
            return None
        del self._open[subject]
        return doubt.command

    def due(self, now: int) -> Iterator[Fence]:
        """What is to be changed now; it is due again a little later."""
        for (resource, key), doubt in list(self._open.items()):
            if doubt.next_at <= now:
                self._open[resource, key] = replace(doubt, next_at=now + AGAIN)
                yield Fence(resource, key)

    @property
    def next_time(self) -> int | None:
        return min((doubt.next_at for doubt in self._open.values()), default=None)


def is_doubtful(outcomes: Sequence[Outcome], decided_on: tuple[str, str]) -> bool:
    """The last write got no answer, and when asked the server still had the version that it was to replace."""
    last = outcomes[-1] if outcomes else None
    return (
        last is not None
        and last.result is Result.CONFLICT
        and last.object is not None
        and last.object.version == decided_on
    )


def fence(resource: Resource, obj: Object, now: int) -> Step:
    """The write that changes it: what it says is true, and new each time."""
    message = f"A decision got no answer at {format_time(now)} and is not counted on; it is made anew."
    if resource == WORKLOADS:
        value = writes.still_pending(obj, "Pending", message, now)
    else:
        value = writes.unschedulable(obj, message, now)
    return in_order(Update(resource, value, "status")) if value is not None else Step()
