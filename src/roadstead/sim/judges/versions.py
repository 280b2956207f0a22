"""resourceVersions are never used twice, what was acknowledged is on the disk, and a restart finds exactly that."""

from __future__ import annotations

from typing import ClassVar

from roadstead.kinds.object import Object
from roadstead.runtime.cluster import Delete, Outcome, Update, Write
from roadstead.sim.judges.base import Change, Judge, uid_of


class VersionsJudge(Judge):
    """See the module."""

    name: ClassVar[str] = "versions"

    def begin(self) -> None:
        self._newest = 0
        self._committed: dict[tuple[str, str], None] = {}
        self._gone: set[str] = set()

    def changed(self, change: Change) -> None:
        if change.rv <= self._newest:
            self.complain(f"resourceVersion {change.rv} was committed after {self._newest}")
        self._newest = max(self._newest, change.rv)
        if change.new is not None:
            if change.old is not None and uid_of(change.old) != uid_of(change.new):
                self.complain(f"{change.kind} {change.path} became another object without being deleted")
            self._committed[uid_of(change.new), str(change.rv)] = None
        else:
            self._gone.add(uid_of(change.either))
            self._committed[uid_of(change.either), str(change.rv)] = None

    def acknowledged(self, write: Write, outcome: Outcome) -> None:
        """A client is about to hear that its write was done."""
        if outcome.object is not None:
            self.shown(outcome.object, f"{type(write).__name__} of {write.ref.resource} {write.ref.name}")
        elif isinstance(write, Delete) and write.uid not in self._gone:
            self.complain(f"the deletion of {write.ref.name} was acknowledged, and it is on the disk")
        elif isinstance(write, Update) and write.value["metadata"]["uid"] not in self._gone:
            self.complain(f"an update that removes {write.ref.name} was acknowledged, and it is on the disk")

    def shown(self, obj: Object, how: str) -> None:
        """A client is about to see this version."""
        if obj.version not in self._committed:
            self.complain(f"{how} was answered with version {obj.version}, which is not on the disk")

    def restarted(self, kind: str, objects: dict[str, Object]) -> None:
        """The server came up with these objects of one kind, by path."""
        kept = {
            path: (uid_of(value), value["metadata"]["resourceVersion"]) for path, value in self.past.all(kind).items()
        }
        found = {path: obj.version for path, obj in objects.items()}
        if kept != found:
            odd = sorted(path for path in kept.keys() | found.keys() if kept.get(path) != found.get(path))
            self.complain(f"after a restart {kind} {', '.join(odd)} are not as they were committed")
