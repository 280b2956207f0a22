"""What was refused, to whom, and what of it stands on the object already. Memory of the Decider: it may be lost at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from roadstead.controllers.admission.pending import IN_LINE, Told, code_of, is_obsolete, tell
from roadstead.core.plan import Verdicts
from roadstead.kinds.object import Object, Resource
from roadstead.runtime.step import Key

Subject: TypeAlias = tuple[Resource, Key]

TOLD_AT_ONCE: Final = 256
"""So many refusals are written in one round; the others follow in the next ones."""


class Refusals:
    """The last verdicts about each workload and bare pod that waits. Every operation is O(1), telling O(what is told)."""

    def __init__(self) -> None:
        self._verdicts: dict[Subject, Verdicts] = {}
        self._told: dict[Subject, str] = {}  # code last written to the object
        self._untold: dict[Subject, Verdicts] = {}  # still to be written

    def get(self, subject: Subject) -> Verdicts | None:
        """What the last evaluation refused, in full."""
        return self._verdicts.get(subject)

    def add(self, subject: Subject, verdicts: Verdicts) -> None:
        self._verdicts[subject] = verdicts
        self._untold[subject] = verdicts

    def drop(self, subject: Subject) -> None:
        """It is gone, or got what it had been refused."""
        for memory in (self._verdicts, self._told, self._untold):
            memory.pop(subject, None)

    def back_in_line(self, subject: Subject, workload: Object | None) -> None:
        """A workload that waits for its turn: what its condition says about a cause that has ended is to be replaced."""
        if workload is None or subject in self._untold or not is_obsolete(workload, self._verdicts.get(subject)):
            return
        self.add(subject, Verdicts(workload.key, workload.meta.uid, (IN_LINE,)))

    def to_tell(self, find: Callable[[Subject], Object | None], now: int) -> Iterator[tuple[Told, Object]]:
        """What is to be written now, with the object that it is written to: at most TOLD_AT_ONCE."""
        count = 0
        while self._untold and count < TOLD_AT_ONCE:
            subject = next(iter(self._untold))
            verdicts = self._untold.pop(subject)
            obj = find(subject)
            if obj is None or not verdicts.refusals:
                continue
            told = tell(subject[0], obj, verdicts, self._told.get(subject), now)
            if told is None:
                self._told[subject] = code_of(verdicts)
                continue
            count += 1
            yield told, obj

    def was_told(self, told: Told) -> None:
        self._told[(told.resource, told.key)] = told.code

    def tell_anew(self, subject: Subject) -> None:
        """Nobody knows any more what stands on the object."""
        self._told.pop(subject, None)
