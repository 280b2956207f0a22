"""The controller contract, without I/O: `reconcile(key, read, now) -> Step`.

A controller looks at an informer view that may lag, and answers with the writes that bring the world closer to what the
object asks for. It keeps no state of its own that matters: kill the process after any write and the next reconcile
finishes the job. So a test, the simulator and production run the same lines, and crash injection "after write k, for
every k" is a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from roadstead.kinds.object import Object, Ref, Resource
from roadstead.runtime.cluster import Outcome, Write

Key: TypeAlias = tuple[str, str]
"""(namespace, name) of the object to reconcile; namespace "" for cluster-scoped ones."""

SECOND = 1_000_000_000
"""Times are integer nanoseconds since the epoch."""


Index: TypeAlias = Callable[[Object], Iterable[str]]
"""Values under which an object is found, for `Read.by_index`."""


@dataclass(frozen=True, slots=True)
class Note:
    """An Event to record about an object. Equal notes are counted, not repeated."""

    about: Object
    type: str  # Normal | Warning
    reason: str
    message: str


Stage: TypeAlias = tuple[Write, ...]
"""Writes that may be carried out together, in any order."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The server, asked now, has no object with this uid (with uid "": none at all) under this name."""

    ref: Ref
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Empty:
    """The server, asked now, has no object of this resource in this namespace."""

    resource: Resource
    namespace: str


@dataclass(frozen=True, slots=True)
class Present:
    """The server, asked now, has this very object, and nobody is deleting it; with `version`, in this very version."""

    ref: Ref
    uid: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Current:
    """The view is not behind: the server, asked now, has in this namespace, found under `value` by `index`, exactly the
    objects `seen`, as (uid, resourceVersion). `labels` narrows what the server has to send: all that `index` finds must
    match it."""

    resource: Resource
    namespace: str
    index: Index
    value: str
    seen: frozenset[tuple[str, str]]
    labels: str = ""


Confirmation: TypeAlias = Absent | Empty | Present | Current
"""What a view that lags cannot tell and what is no precondition of a write, because it is about another object."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now. Stages run one after another; the first write whose outcome is not DONE ends the step, and the
    key is reconciled again (at once on EXISTS, CONFLICT and MISSING, after a back-off on the rest).

    `again_at`: reconcile again at this time even if nothing changes. `notes` are recorded once all writes are done.
    `confirm`: checked with the server before the first write; if one does not hold, nothing is written and the key is
    reconciled again a little later.
    """

    stages: tuple[Stage, ...] = ()
    again_at: int | None = None
    notes: tuple[Note, ...] = ()
    confirm: tuple[Confirmation, ...] = ()

    @property
    def writes(self) -> tuple[Write, ...]:
        return tuple(write for stage in self.stages for write in stage)


NOTHING = Step()


def in_order(
    *writes: Write, again_at: int | None = None, notes: Sequence[Note] = (), confirm: Sequence[Confirmation] = ()
) -> Step:
    """A step whose writes run one after another."""
    return Step(tuple((write,) for write in writes), again_at, tuple(notes), tuple(confirm))


def together(*writes: Write, again_at: int | None = None, notes: Sequence[Note] = ()) -> Step:
    """A step whose writes may run at the same time."""
    return Step((writes,) if writes else (), again_at, tuple(notes))


class Read(Protocol):
    """An informer view. May lag behind the server, for each resource by a different amount; never invents anything.

    The runner promises: when a key is reconciled, the view already holds every write that earlier steps for this same
    key were told was DONE. So a controller needs no expectations of its own.
    """

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None: ...

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        """All objects, sorted by (namespace, name)."""
        ...

    def owned_by(self, resource: Resource, uid: str) -> Sequence[Object]:
        """Objects of this resource with an ownerReference to `uid`, sorted by (namespace, name). O(result)."""
        ...

    def by_index(self, resource: Resource, index: str, value: str) -> Sequence[Object]:
        """Objects found under `value` by an index that the controller declared in `indexes`. O(result)."""
        ...


KeysOf: TypeAlias = Callable[[Object, "Read"], Iterable[Key]]
"""Which keys to reconcile when an object changed (appeared, changed, vanished: then its last version is given)."""


class Controller(Protocol):
    """One controller. `watches` says which resources matter and whose keys their changes wake up."""

    name: ClassVar[str]
    watches: Mapping[Resource, KeysOf]
    indexes: Mapping[tuple[Resource, str], Index]

    def reconcile(self, key: Key, read: Read, now: int) -> Step: ...


def nobody(changed: Object, read: Read) -> Iterable[Key]:
    """KeysOf for resources that are only looked up."""
    del changed, read
    return ()


def same_key(changed: Object, read: Read) -> Iterable[Key]:
    """KeysOf for the reconciled resource itself."""
    del read
    return (changed.key,)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a Decider wants done. `subject` is the Decider's own (the command behind the step)."""

    subject: object
    step: Step


class Decider(Protocol):
    """The second contract, for the one who decides about everything at once (admission): it is told every change of its
    resources, and asked what to do when something changed or its time has come. Also without I/O.

    The runner calls `decide` again as long as it gives actions; all actions of one round are carried out (each step's
    stages in order, different actions side by side) and concluded before the next round.
    """

    name: ClassVar[str]
    resources: Sequence[Resource]

    def observe(self, resource: Resource, key: Key, current: Object | None) -> None:
        """An informer saw a change: `current` is the newest version it knows, None if the object is gone. Never
        blocks."""
        ...

    def decide(self, now: int) -> tuple[Sequence[Action], int | None]:
        """What to do now, and when to ask again even if nothing changes."""
        ...

    def concluded(self, action: Action, outcomes: Sequence[Outcome]) -> None:
        """An action is over: the outcomes of its writes in order, up to and including the first that was not DONE.

        An UNKNOWN outcome has been replaced by a fresh read: DONE if the write turned out to be there, else CONFLICT.
        """
        ...
