"""The Cluster port: all that controllers and agents need from an API server, ours or a real one.

What the port promises, and every adapter must keep (tests/contracts/test_cluster.py):

* Resource versions are opaque and compared for equality only. Order is promised within one resource, never across kinds.
* Several writes are never atomic together: whatever must be atomic lives in one object.
* Every write carries preconditions. `Create` succeeds only if the name is free. `Update` replaces the whole object and carries
  uid and resourceVersion in its metadata. `Delete` carries a uid, and may carry a resourceVersion.
* A write answers with exactly one `Outcome`; it never raises for what a server may say. `UNKNOWN` means that the request may or
  may not have been carried out: read before acting again. A real server answers 500 also to some requests that are merely wrong
  (a resourceVersion that is no number or comes with a Create, a Binding without a target); over HTTP these are UNKNOWN, too.
* A namespaced object has a namespace and no other has one: without, a Create is INVALID; with, a write is MISSING.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from roadstead.kinds.object import Json, Object, Ref, Resource


@dataclass(frozen=True, slots=True)
class Create:
    """Create `value` in a collection, or (with `subresource`, e.g. "binding") on the object it names.

    serviceaccounts/token answers with the TokenRequest, its token in `status`; nothing of it is stored.
    """

    resource: Resource
    value: Json
    subresource: str = ""

    @property
    def ref(self) -> Ref:
        metadata = self.value["metadata"]
        return Ref(self.resource, metadata.get("namespace", ""), metadata.get("name", ""))


@dataclass(frozen=True, slots=True)
class Update:
    """Replace an object, or with `subresource="status"` its status. `value` is the whole decoded object as read,
    edited; its metadata.uid and metadata.resourceVersion are the precondition."""

    resource: Resource
    value: Json
    subresource: str = ""

    @property
    def ref(self) -> Ref:
        metadata = self.value["metadata"]
        return Ref(self.resource, metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object with this uid. `propagation`: Background | Foreground | Orphan | "" (the kind's default)."""

    ref: Ref
    uid: str
    resource_version: str = ""
    propagation: str = "Background"
    grace_seconds: int | None = None

    @property
    def resource(self) -> Resource:
        return self.ref.resource


Write: TypeAlias = Create | Update | Delete


class Result(StrEnum):
    DONE = "done"
    EXISTS = "exists"  # Create: the name is taken
    CONFLICT = "conflict"  # a precondition does not hold (any more)
    MISSING = "missing"  # the object, or its namespace, does not exist
    INVALID = "invalid"  # the request as written is refused (400, 403, 405, 413, 415, 422); trying again is of no use
    THROTTLED = "throttled"  # not carried out; try again after `retry_after` seconds
    UNKNOWN = "unknown"  # may or may not have been carried out


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write. `object` is the stored object after it (DONE): None if the write removed it, as a Delete
    does unless finalizers or grace hold it, and an Update that takes the last finalizer of a terminating object. Also
    None where the answer does not hold the object (pods/binding over HTTP). What an Update that removes changes besides
    is lost: watches show the state before it."""

    result: Result
    object: Object | None = None
    message: str = ""
    retry_after: float = 0.0

    @property
    def is_done(self) -> bool:
        return self.result is Result.DONE


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change. For BOOKMARK `object` is None; `resource_version` is always the version to resume from. A removal may
    show as a MODIFIED first: real servers set a pod's grace to 0, then remove it."""

    type: EventType
    object: Object | None
    resource_version: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A consistent list of one resource and the version from which a watch continues it."""

    items: tuple[Object, ...]
    resource_version: str


class Expired(Exception):
    """The version to watch from is older than the history kept (410): list again."""


class Unavailable(Exception):
    """The server could not be asked (down, refused, timed out, broken answer). Reading again later is safe."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Server-side narrowing, as the API's strings; empty selects everything."""

    labels: str = ""
    fields: str = ""


EVERYTHING = Selector()


class Cluster(Protocol):
    """Reads raise `Unavailable` (and `watch` also `Expired`); writes answer with an Outcome."""

    async def get(self, ref: Ref) -> Object | None:
        """The newest version, or None if there is none. Sees every write acknowledged before the call."""
        ...

    async def list(self, resource: Resource, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        """All objects ("" = every namespace). Sees every write acknowledged before the call."""
        ...

    def watch(
        self, resource: Resource, since: str, namespace: str = "", selector: Selector = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        """Every change after version `since`, in order, none left out; ends when the server closes the stream (watch
        again from the last version seen)."""
        ...

    async def write(self, write: Write) -> Outcome: ...


@dataclass(slots=True)
class Refused(Exception):
    """For callers outside controllers who want an exception: a write that was not DONE."""

    outcome: Outcome
    write: Write | None = field(default=None)

    def __str__(self) -> str:
        return f"{self.outcome.result}: {self.outcome.message}"
