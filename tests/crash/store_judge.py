"""The judge of store crashes: knows only what writers and watchers outside were told, and holds the reopened store to
it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Told:
    """One change that somebody was told of. `token` is what the writer put into the object ("" for a removal)."""

    rv: int
    op: str  # ADDED | MODIFIED | DELETED
    key: str
    token: str


@dataclass(slots=True)
class Judge:
    """Feed it in order; `complaints` holds what should never have happened."""

    complaints: list[str] = field(default_factory=list)
    acknowledged: int = 0
    _told: dict[int, Told] = field(default_factory=dict)
    _last: dict[str, Told] = field(default_factory=dict)  # last acknowledged change of each key
    _open: dict[str, tuple[str, str]] = field(default_factory=dict)  # (op, token) sent and not answered
    _highest: int = 0

    def sent(self, key: str, op: str, token: str) -> None:
        """A writer is about to send a change."""
        self._open[key] = (op, token)

    def acked(self, told: Told) -> None:
        """A writer was told that its change is done."""
        self.acknowledged += 1
        self._open.pop(told.key, None)
        before = self._last.get(told.key)
        if before is not None and told.op == "ADDED" and before.op != "DELETED" and before.rv < told.rv:
            self.complaints.append(f"{told.key} was created at {told.rv} although it existed since {before.rv}")
        if before is None or before.rv < told.rv:
            self._last[told.key] = told
        self._check_number(told)

    def gone(self, key: str) -> None:
        """A writer was told that its removal is done (the answer to a removal bears no version)."""
        self.acknowledged += 1
        self._open.pop(key, None)
        before = self._last.get(key)
        self._last[key] = Told(before.rv if before else 0, "DELETED", key, "")

    def refused(self, key: str) -> None:
        """A writer was told for certain that its change is not done."""
        self._open.pop(key, None)

    def saw(self, told: Told) -> None:
        """A watcher was told of a change."""
        self._check_number(told)

    def _check_number(self, told: Told) -> None:
        first = self._told.setdefault(told.rv, told)
        if first != told:
            self.complaints.append(f"resourceVersion {told.rv} was sent twice: {first} and {told}")
        self._highest = max(self._highest, told.rv)

    def reopened(self, objects: Mapping[str, tuple[int, str]], revision: int) -> None:
        """The store was opened again and holds `objects`: key -> (rv, token)."""
        if revision < self._highest:
            self.complaints.append(f"the counter stands at {revision}, but {self._highest} was sent")
        for key in self._last.keys() | objects.keys() | self._open.keys():
            self._hold(key, self._last.get(key), objects.get(key), self._open.get(key))
        # From here on the store's word is the truth: what was in flight is decided.
        self._open.clear()
        self._last = {key: Told(rv, "MODIFIED", key, token) for key, (rv, token) in objects.items()}

    def _hold(self, key: str, last: Told | None, stored: tuple[int, str] | None, sent: tuple[str, str] | None) -> None:
        expected = None if last is None or last.op == "DELETED" else (last.rv, last.token)
        if stored == expected:
            return
        if sent is not None:
            op, token = sent
            if op == "DELETED" and stored is None:
                return
            if stored is not None and stored[1] == token and (last is None or stored[0] > last.rv):
                return
        self.complaints.append(f"{key}: acknowledged {last}, in flight {sent}, stored {stored}")

    def read(self, lines: Iterable[str]) -> None:
        """Take in a ledger file written by a child: `sent KEY OP TOKEN`, `ack RV OP KEY TOKEN`, `gone KEY`,
        `saw RV OP KEY TOKEN`. A last line cut off by the kill counts as not written."""
        for line in lines:
            if not line.endswith("\n"):
                return
            match line.rstrip("\n").split("\t"):
                case ["sent", key, op, token]:
                    self.sent(key, op, token)
                case ["ack", rv, op, key, token]:
                    self.acked(Told(int(rv), op, key, token))
                case ["saw", rv, op, key, token]:
                    self.saw(Told(int(rv), op, key, token))
                case ["gone", key]:
                    self.gone(key)
                case ["refused", key]:
                    self.refused(key)
