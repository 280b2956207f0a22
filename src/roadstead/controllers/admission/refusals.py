"""What was refused, to whom, and what of it stands on the object already. Memory of the Decider: it may be lost at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias

from msgspec.structs import replace

from roadstead.controllers.admission.pending import IN_LINE, Told, code_of, is_obsolete, tell
from roadstead.core.plan import Verdicts
from roadstead.kinds.object import Object, Resource
from roadstead.runtime.step import Key

Subject: TypeAlias = tuple[Resource, Key]
WaitingClassKey: TypeAlias = tuple[str, int]
"""(ClusterQueue, shape) of a class of workloads that share a verdict."""

TOLD_AT_ONCE: Final = 256
"""So many refusals are written in one round; the others follow in the next ones."""
MEMBERS_LOOKED_AT: Final = 128
"""So many members of parked classes are looked at in one round, after those who were evaluated themselves."""


class Refusals:
    """The last verdicts about each workload and bare pod that waits, and about each class that is parked as a whole: its members
    share one. Every operation is O(1), telling O(what is told); a class of which something else is said than before costs
    O(members)."""

    def __init__(self) -> None:
        self._verdicts: dict[Subject, Verdicts] = {}
        self._told: dict[Subject, str] = {}  # code last written to the object
        self._untold: dict[Subject, Verdicts] = {}  # still to be written
        self._classes: dict[WaitingClassKey, Verdicts] = {}  # of the member that was evaluated
        self._silent: dict[WaitingClassKey, dict[Subject, None]] = {}  # in line since their class was last parked
        self._lines: dict[Subject, WaitingClassKey] = {}  # where in `_silent` one is
        self._members: dict[Subject, WaitingClassKey] = {}  # to be told what their class is told

    def get(self, subject: Subject) -> Verdicts | None:
        """What the last evaluation refused, in full."""
        return self._verdicts.get(subject)

    def add(self, subject: Subject, verdicts: Verdicts) -> None:
        self._verdicts[subject] = verdicts
        self._untold[subject] = verdicts

    def drop(self, subject: Subject) -> None:
        """It is gone, or got what it had been refused."""
        for memory in (self._verdicts, self._told, self._untold, self._members):
            memory.pop(subject, None)
        self._leave_line(subject)

    def _leave_line(self, subject: Subject) -> None:
        waiting = self._lines.pop(subject, None)
        if waiting is not None:
            del self._silent[waiting][subject]
            if not self._silent[waiting]:
                del self._silent[waiting]

    # ------------------------------------------------------------------ classes

    def of_class(self, waiting: WaitingClassKey) -> Verdicts | None:
        """What the last evaluation of any member refused."""
        return self._classes.get(waiting)

    def in_line(self, waiting: WaitingClassKey, subject: Subject) -> None:
        """A workload came into the line of a class that is not parked: if that is, it shares the verdict."""
        if self._lines.get(subject) != waiting:
            self._leave_line(subject)
            self._lines[subject] = waiting
            self._silent.setdefault(waiting, {})[subject] = None

    def joined(self, waiting: WaitingClassKey, subject: Subject) -> None:
        """A workload came into a class that is parked."""
        if waiting in self._classes:
            self._members[subject] = waiting

    def parked(self, waiting: WaitingClassKey, verdicts: Verdicts, members: Callable[[], Iterable[Subject]]) -> None:
        """A class was parked for what was refused to one of its `members`, which are asked for when its code changed."""
        before = self._classes.get(waiting)
        self._classes[waiting] = verdicts
        silent = self._silent.pop(waiting, {})
        for subject in silent:
            del self._lines[subject]
        is_news = before is None or code_of(before) != code_of(verdicts)
        for subject in members() if is_news else silent:
            self._members[subject] = waiting

    @property
    def has_more(self) -> bool:
        """Members of classes are still to be told."""
        return bool(self._members)

    def back_in_line(self, subject: Subject, workload: Object | None) -> None:
        """A workload that waits for its turn: what its condition says about a cause that has ended is to be replaced."""
        if workload is None or subject in self._untold or not is_obsolete(workload, self._verdicts.get(subject)):
            return
        self.add(subject, Verdicts(workload.key, workload.meta.uid, (IN_LINE,)))

    def to_tell(
        self,
        find: Callable[[Subject], Object | None],
        now: int,
        parked_in: Callable[[Subject], WaitingClassKey | None] = lambda subject: None,
    ) -> Iterator[tuple[Told, Object]]:
        """What is to be written now, with the object that it is written to: at most TOLD_AT_ONCE, and MEMBERS_LOOKED_AT for their
        class. `parked_in`: the class in whose parked line a workload stands now."""
        self._tell_members(find, parked_in)
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

    def _tell_members(
        self, find: Callable[[Subject], Object | None], parked_in: Callable[[Subject], WaitingClassKey | None]
    ) -> None:
        if len(self._untold) >= TOLD_AT_ONCE:
            return  # whoever was evaluated comes first
        for subject in list(islice(self._members, MEMBERS_LOOKED_AT)):
            waiting = self._members.pop(subject)
            verdicts, obj = self._classes.get(waiting), find(subject)
            if verdicts is None or obj is None or parked_in(subject) != waiting or subject in self._untold:
                continue
            self.add(subject, replace(verdicts, workload=subject[1], uid=obj.meta.uid))

    def was_told(self, told: Told) -> None:
        self._told[(told.resource, told.key)] = told.code

    def tell_anew(self, subject: Subject) -> None:
        """Nobody knows any more what stands on the object."""
        self._told.pop(subject, None)
