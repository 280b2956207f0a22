"""The durable side of the store: one append-only table in SQLite, written by one thread in batches.

Each write is one row `(rv, op, key, api_version, value)`. The row with the highest rv of a key is its current state (or
its deletion), rows before it are the recent history that watches resume from. A row is erased once it is neither
current nor within the history kept; the store, which has everything in memory, says which (`dead`), so nothing is ever
searched here. There is no second table with the current values: it would double the bytes of every write and say
nothing more; the view `current` shows it to people.

A batch is one transaction of three statements, whatever its size: the rows travel as one JSON array of numbers and one
blob from which SQLite cuts the values. Row-by-row inserts would hand Python's interpreter lock back and forth at every
row.

Durability. `full`: a batch is on the disk before it is acknowledged (WAL, synchronous=FULL). `normal`: it survives the
death of the process but the last batches may be lost with the machine (synchronous=NORMAL); after an unclean stop the
counter skips ahead, so that a resourceVersion somebody saw is never given to another write.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import orjson

from roadstead.cluster.embedded.failures import CommitFailed, CorruptStore, DiskFull, NewerFormat, StoreError
from roadstead.cluster.embedded.lock import DirectoryLock

Durability: TypeAlias = Literal["full", "normal"]
Upgrader: TypeAlias = Callable[[str, str, bytes], tuple[str, bytes]]
"""(key, apiVersion, JSON) as stored -> (apiVersion, JSON) as stored now. Whether an object is older is told by its
resource and apiVersion alone. ValueError: never stored by this program or an older one."""

FORMAT: Final = 1
DATABASE_FILE: Final = "store.db"
SKIP_AFTER_UNCLEAN_STOP: Final = 1_000_000
_CHECKPOINT_PAGES: Final = (
    8_000  # 32 MB of WAL between checkpoints: each costs two fsyncs, rarely enough not to be seen
)

MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = MappingProxyType({})
"""Format -> the step to the next one. Empty: format 1 is the first."""

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE log (rv INTEGER PRIMARY KEY, op TEXT NOT NULL, key TEXT NOT NULL, api_version TEXT NOT NULL, value BLOB NOT NULL);
CREATE VIEW current AS
  SELECT key, max(rv) AS rv, api_version, value, op FROM log GROUP BY key HAVING op <> 'DELETED';
"""

_APPEND: Final = """
INSERT INTO log (rv, op, key, api_version, value)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
       substr(?2, json_extract(value, '$[4]'), json_extract(value, '$[5]'))
FROM json_each(?1)
"""


class Row(NamedTuple):
    """One change as stored. `op` is the watch event type: ADDED, MODIFIED or DELETED."""

    rv: int
    op: str
    key: str
    api_version: str
    value: bytes


Stored: TypeAlias = tuple[int, str, str, str, bytes]
"""A row as it is read: the fields of `Row`. Of a hundred thousand, to make Rows takes as long as to look at them."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a log holds when opened. `rows` in order of rv; rows up to `floor` are current state only, not history."""

    uid: str
    last_rv: int
    floor: int
    rows: Sequence[Stored]


class Log(Protocol):
    """Where the store keeps its writes."""

    in_thread: bool
    """Committing blocks for the disk: do it in a worker thread."""

    def load(self) -> Contents: ...

    def commit(self, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        """Append `rows` and erase the rows `dead`, all or nothing. Raises CommitFailed if nothing was written."""
        ...

    def close(self) -> None: ...


class MemoryLog:
    """Keeps nothing: for tests and simulations."""

    in_thread = False

    def load(self) -> Contents:
        return Contents(str(uuid.uuid4()), 0, 0, ())

    def commit(self, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        """Nothing to do: memory is the truth."""

    def close(self) -> None:
        """Nothing to give back."""


class SqliteLog:
    """A log in `directory`, which is made (0700) if missing and locked until `close`."""

    in_thread = True

    def __init__(self, directory: Path, durability: Durability = "full", upgrade: Upgrader | None = None) -> None:
        """`upgrade` brings loaded objects to the version that is stored now. Raises a StoreError (DirectoryInUse,
        NewerFormat, CorruptStore) with a message for people."""
        self.directory = directory
        self._upgrade = upgrade
        self.path = directory / DATABASE_FILE
        self.durability: Durability = durability
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(
                os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            )  # 0600 whatever the umask; WAL files inherit
        except OSError as error:
            raise StoreError(
                f"The data directory {directory} cannot be used: {error.strerror}. "
                "Check that it exists, that it is yours and that the disk has room, or use another directory."
            ) from error
        self._lock = self._take_lock(directory)
        try:
            self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._open()
        except sqlite3.Error as error:
            self._lock.release()
            raise self._explained(error) from error
        except BaseException:
            self._lock.release()
            raise

    def _take_lock(self, directory: Path) -> DirectoryLock:
        return DirectoryLock(directory)

    # --- opening

    def _open(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA busy_timeout=5000")
        (found,) = execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise NewerFormat(
                f"The data in {self.path} has format {found}; this version of roadstead reads up to format {FORMAT}. "
                "Use the version that wrote it (or a newer one), or another data directory."
            )
        execute("PRAGMA journal_mode=WAL")
        execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        execute("PRAGMA synchronous=FULL")
        is_empty = execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
        if is_empty:
            self._make()
        elif found < FORMAT:
            self._migrate(found)
        self._mark_open()
        execute(f"PRAGMA synchronous={'FULL' if self.durability == 'full' else 'NORMAL'}")

    def _make(self) -> None:
        script = f"BEGIN IMMEDIATE; {_SCHEMA}; PRAGMA user_version={FORMAT}; COMMIT;"
        self._connection.executescript(script)
        first = {"uid": str(uuid.uuid4()), "last_rv": "0", "floor": "0", "clean": "yes", "durability": self.durability}
        self._set_meta(first)

    def _migrate(self, found: int) -> None:
        steps = [MIGRATIONS.get(number) for number in range(found, FORMAT)]
        if None in steps:
            raise CorruptStore(
                f"The data in {self.path} has format {found}, which no version of roadstead wrote (the first is 1). "
                "Point to a roadstead data directory, or to an empty one."
            )
        self._back_up(f"format-{found}")
        self._connection.execute("BEGIN IMMEDIATE")
        for step in steps:
            if step is not None:
                step(self._connection)
        self._connection.execute(f"PRAGMA user_version={FORMAT}")
        self._connection.execute("COMMIT")

    def _back_up(self, before: str) -> Path:
        """A copy of the whole database beside it, for whoever must go back; one of an earlier start is not
        overwritten."""
        path = self.path.with_name(f"{DATABASE_FILE}.{before}.bak")
        number = 1
        while path.exists():
            number += 1
            path = self.path.with_name(f"{DATABASE_FILE}.{before}.{number}.bak")
        scratch = path.with_suffix(".tmp")
        scratch.unlink(missing_ok=True)
        with sqlite3.connect(scratch) as backup:
            os.chmod(scratch, 0o600)
            self._connection.backup(backup)
        backup.close()
        os.rename(scratch, path)
        return path

    def _mark_open(self) -> None:
        """Count ahead after an unclean stop in `normal`, and note that the next stop is unclean unless `close` says
        otherwise."""
        meta = self._meta()
        (newest,) = self._connection.execute("SELECT coalesce(max(rv), 0) FROM log").fetchone()
        last_rv = max(newest, int(meta["last_rv"]))
        if meta["clean"] != "yes" and meta["durability"] == "normal":
            last_rv += SKIP_AFTER_UNCLEAN_STOP
        self._set_meta({"last_rv": str(last_rv), "clean": "no", "durability": self.durability})

    def _meta(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT name, value FROM meta"))

    def _set_meta(self, values: Mapping[str, str]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for name, value in values.items():
            execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))
        execute("COMMIT")

    def _explained(self, error: sqlite3.Error) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or (
            isinstance(error, sqlite3.OperationalError) and "no such" in str(error)
        ):
            return CorruptStore(
                f"The database {self.path} is damaged or not a roadstead database ({error}). "
                f"Restore it from a backup, or move {self.directory} away to start empty."
            )
        return StoreError(
            f"The database {self.path} cannot be opened: {error}. Check the file's owner and the room on its disk."
        )

    # --- reading and writing

    def load(self) -> Contents:
        """Everything stored, in one scan. O(rows)."""
        try:
            meta = self._meta()
            fetched = self._connection.execute("SELECT rv, op, key, api_version, value FROM log ORDER BY rv").fetchall()
            rows = self._upgraded(fetched)
        except sqlite3.Error as error:
            raise self._explained(error) from error
        return Contents(meta["uid"], int(meta["last_rv"]), int(meta["floor"]), rows)

    def _upgraded(self, rows: list[Stored]) -> list[Stored]:
        """The rows with every object as it is stored now. Those that were older are rewritten, all or none, after a
        backup."""
        if self._upgrade is None:
            return rows
        older = []
        current: set[tuple[str, str]] = set()  # (group/plural, apiVersion) of which nothing is older
        for position, (rv, op, key, stored_as, raw) in enumerate(rows):
            kind = (key.partition(":")[0], stored_as)
            if kind in current:
                continue
            try:
                api_version, value = self._upgrade(key, stored_as, raw)
            except ValueError as error:
                raise NewerFormat(
                    f"The stored object {key} (resourceVersion {rv}) cannot be read: {error}. "
                    "Use the version that wrote it (or a newer one), or another data directory."
                ) from error
            if api_version != stored_as:
                rows[position] = (rv, op, key, api_version, value)
                older.append((api_version, value, rv))
            else:
                current.add(kind)
        if older:
            self._back_up("before-upgrade")
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("UPDATE log SET api_version = ?, value = ? WHERE rv = ?", older)
            self._connection.execute("COMMIT")
        return rows

    def commit(self, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        index: list[tuple[int, str, str, str, int, int]] = []
        offset = 1  # substr counts from 1
        for row in rows:
            size = len(row.value)
            index.append((row.rv, row.op, row.key, row.api_version, offset, size))
            offset += size
        values = b"".join([row.value for row in rows])
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            execute(_APPEND, (orjson.dumps(index).decode(), values))
            if dead:
                execute("DELETE FROM log WHERE rv IN (SELECT value FROM json_each(?))", (orjson.dumps(dead).decode(),))
                execute("UPDATE meta SET value = ? WHERE name = 'floor'", (str(floor),))
            execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise DiskFull(
                    f"The disk of {self.path} is full: {len(rows)} writes ({len(values)} bytes) were not stored. "
                    "Free space there and try again; reading still works."
                ) from error
            raise CommitFailed(
                f"{len(rows)} writes could not be stored in {self.path}: {error}. Check the disk and the server's log."
            ) from error

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Mark a clean stop and give the directory back."""
        try:
            (newest,) = self._connection.execute("SELECT coalesce(max(rv), 0) FROM log").fetchone()
            last_rv = max(newest, int(self._meta()["last_rv"]))
            self._connection.execute("PRAGMA synchronous=FULL")
            self._set_meta({"last_rv": str(last_rv), "clean": "yes"})
        except sqlite3.Error:
            pass  # a full disk, say: then this stop counts as unclean, which is safe
        finally:
            self._connection.close()
            self._lock.release()
