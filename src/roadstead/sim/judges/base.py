"""What every judge is given: each committed change, with the state before and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import orjson

from roadstead.cluster.embedded.log import Row
from roadstead.kinds.names import WORKLOAD_ANNOTATION
from roadstead.kinds.object import Json


@dataclass(frozen=True, slots=True)
class Change:
    """One committed write. `kind` is the plural ("pods"), `path` namespace/name."""

    seconds: float
    rv: int
    kind: str
    path: str
    old: Json | None
    new: Json | None

    @property
    def either(self) -> Json:
        found = self.new or self.old
        assert found is not None
        return found


class Past:
    """The state that the committed rows add up to, whoever may believe otherwise."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Json]] = {}

    def take(self, row: Row, seconds: float) -> Change:
        """Add one row; gives the change that it makes."""
        head, _, path = row.key.partition(":")
        kind = head.rpartition("/")[2]
        objects = self._objects.setdefault(kind, {})
        old = objects.get(path)
        if row.op == "DELETED":
            objects.pop(path, None)
            return Change(seconds, row.rv, kind, path, old or orjson.loads(row.value), None)
        new: Json = orjson.loads(row.value)
        objects[path] = new
        return Change(seconds, row.rv, kind, path, old, new)

    def all(self, kind: str) -> Mapping[str, Json]:
        """Objects by path."""
        return self._objects.get(kind, {})

    def get(self, kind: str, path: str) -> Json | None:
        return self._objects.get(kind, {}).get(path)

    def owned_by(self, kind: str, uid: str) -> Iterator[Json]:
        for value in self.all(kind).values():
            if any(owner["uid"] == uid for owner in value["metadata"].get("ownerReferences") or ()):
                yield value


GRACE_SECONDS: Final = 40.0
"""Longer than any write takes from its decision to the disk where all hear each other: two time-outs, a stalled watch
and a late request."""


class Judge:
    """Subclasses say what must never happen. `complain` ends the run."""

    name: ClassVar[str]

    def __init__(self, past: Past, complain: Callable[[str, str], None]) -> None:
        self.past = past
        self._complain = complain
        self.cut_off: Callable[[float], float] = lambda since: 0.0
        """How many seconds since then the controllers heard nothing from the server, nor the server from them."""
        self.begin()

    def begin(self) -> None:
        """Make what this judge remembers."""

    def complain(self, what: str) -> None:
        self._complain(self.name, what)

    def could_be_unknown(self, since: float, now: float) -> bool:
        """May the controllers still act on what has not been true any more since then? Nobody can know what he was not
        told: time during which they were cut off does not count. (A cut lasts up to a minute, and afterwards the
        watches of different resources catch up one by one.)"""
        return now - since - self.cut_off(since) <= GRACE_SECONDS

    def changed(self, change: Change) -> None:
        """After every committed change; the state is already the one after it."""


# ---------------------------------------------------------------------- reading objects


def condition(value: Json, type: str) -> Json | None:
    """The condition of this type."""
    conditions: Sequence[Json] = (value.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == type), None)


def is_true(value: Json | None, type: str) -> bool:
    """The object is there and its condition is True."""
    found = condition(value, type) if value is not None else None
    return found is not None and found["status"] == "True"


def holds_quota(workload: Json | None) -> bool:
    return is_true(workload, "QuotaReserved") and not is_true(workload, "Finished")


def uid_of(value: Json) -> str:
    uid: str = value["metadata"]["uid"]
    return uid


def path_of(value: Json) -> str:
    meta = value["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else str(meta["name"])


def key_of(path: str) -> tuple[str, str]:
    """(namespace, name) of `namespace/name`."""
    namespace, _, name = path.partition("/")
    return namespace, name


def annotation(value: Json, name: str) -> str:
    found: str = (value["metadata"].get("annotations") or {}).get(name, "")
    return found


def workload_path(pod: Json) -> str:
    """Path of the Workload that a pod says it belongs to; "" for bare ones."""
    name = annotation(pod, WORKLOAD_ANNOTATION)
    return f"{pod['metadata']['namespace']}/{name}" if name else ""


def has_ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def node_of(pod: Json) -> str:
    found: str = (pod.get("spec") or {}).get("nodeName") or ""
    return found


def is_leaving(value: Json) -> bool:
    return bool(value["metadata"].get("deletionTimestamp"))


def controller_of(value: Json) -> Any:
    owners: Sequence[Json] = value["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)
