"""The data directory: what survives, what is refused, and how it says so."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from roadstead.cluster.embedded import log as logs
from roadstead.cluster.embedded.failures import CorruptStore, DirectoryInUse, DiskFull, NewerFormat, StoreError
from roadstead.cluster.embedded.log import SKIP_AFTER_UNCLEAN_STOP, Row, SqliteLog
from roadstead.cluster.embedded.store import Store

ROW = Row(
    1, "ADDED", "/configmaps:default/a", "v1", b'{"metadata":{"name":"a","namespace":"default","resourceVersion":"1"}}'
)


def row(rv: int, op: str = "ADDED", name: str = "a") -> Row:
    value = b'{"metadata":{"name":"%s","namespace":"default","resourceVersion":"%d"}}' % (name.encode(), rv)
    return Row(rv, op, f"/configmaps:default/{name}", "v1", value)


def crash(log: SqliteLog) -> None:
    """Let go of the directory as a killed process does: without a word."""
    log._connection.close()
    log._lock.release()


def test_rows_come_back_in_order_with_every_byte(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    rows = [row(1), Row(2, "ADDED", "apps/x:ü/'\"", "apps/v1", bytes(range(256))), row(3, "DELETED")]
    log.commit(rows[:1], [], 0)
    log.commit(rows[1:], [], 0)
    log.close()
    again = SqliteLog(tmp_path)
    assert again.load().rows == rows
    again.close()


def test_dead_rows_are_erased_and_the_floor_moves_with_them(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    log.commit([row(1), row(2, "MODIFIED"), row(3, "MODIFIED")], [], 0)
    log.commit([row(4, "MODIFIED")], [1, 2], 2)
    contents = log.load()
    assert [rv for rv, *_ in contents.rows] == [3, 4]
    assert contents.floor == 2
    log.close()


def test_the_directory_and_its_files_are_private(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "data"
    before = os.umask(0)
    try:
        log = SqliteLog(directory)
    finally:
        os.umask(before)
    log.commit([row(1)], [], 0)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {
        "store.db": 0o600,
        "store.db-wal": 0o600,
        "store.db-shm": 0o600,
        "store.lock": 0o600,
    }
    log.close()


def test_a_second_opener_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    with pytest.raises(DirectoryInUse) as refused:
        SqliteLog(tmp_path)
    assert str(tmp_path) in str(refused.value)
    assert f"process {os.getpid()} holds its lock" in str(refused.value)
    log.close()
    SqliteLog(tmp_path).close()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    SqliteLog(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("PRAGMA user_version=7")
    connection.close()
    with pytest.raises(
        NewerFormat, match=r"has format 7; this version of roadstead reads up to format 1\. Use the version"
    ):
        SqliteLog(tmp_path)
    connection = sqlite3.connect(tmp_path / "store.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (7,)
    connection.close()


def test_an_older_format_is_migrated_after_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SqliteLog(tmp_path)
    log.commit([row(1)], [], 0)
    log.close()
    monkeypatch.setattr(logs, "FORMAT", 2)
    monkeypatch.setattr(logs, "MIGRATIONS", {1: lambda c: c.execute("UPDATE log SET key = key || '-new'")})
    log = SqliteLog(tmp_path)
    assert [key for _, _, key, *_ in log.load().rows] == ["/configmaps:default/a-new"]
    log.close()
    backup = sqlite3.connect(tmp_path / "store.db.format-1.bak")
    assert backup.execute("SELECT key FROM log").fetchall() == [("/configmaps:default/a",)]
    backup.close()


def test_older_objects_are_rewritten_once_after_a_backup(tmp_path: Path) -> None:
    def upgrade(key: str, api_version: str, raw: bytes) -> tuple[str, bytes]:
        return ("v2", raw + b" ") if api_version == "v1" else (api_version, raw)

    log = SqliteLog(tmp_path)
    log.commit([row(1), row(2)], [], 0)
    log.close()
    for _ in range(2):
        log = SqliteLog(tmp_path, upgrade=upgrade)
        assert [(api_version, value) for *_, api_version, value in log.load().rows] == [
            ("v2", row(number).value + b" ") for number in (1, 2)
        ]
        log.close()
    (path,) = tmp_path.glob("*.bak")
    backup = sqlite3.connect(path)
    assert backup.execute("SELECT DISTINCT api_version FROM log").fetchall() == [("v1",)]
    backup.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_object_of_a_newer_version_is_named_and_nothing_is_changed(tmp_path: Path) -> None:
    def upgrade(key: str, api_version: str, raw: bytes) -> tuple[str, bytes]:
        raise ValueError("it is stored as x/v9")

    log = SqliteLog(tmp_path, upgrade=upgrade)
    log.commit([row(1)], [], 0)
    with pytest.raises(
        NewerFormat, match=r"/configmaps:default/a \(resourceVersion 1\) cannot be read: it is stored as x/v9"
    ):
        log.load()
    log.close()
    assert list(tmp_path.glob("*.bak")) == []


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda raw: b"not a database at all, but long enough to be read as one" * 20, id="not-sqlite"),
        pytest.param(lambda raw: raw[:4096] + b"\xff" * (len(raw) - 4096), id="pages-overwritten"),
    ],
)
def test_a_damaged_database_is_named_with_what_to_do(tmp_path: Path, damage: object) -> None:
    log = SqliteLog(tmp_path)
    log.commit([row(rv) for rv in range(1, 200)], [], 0)
    log.close()
    path = tmp_path / "store.db"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]  # the table above holds functions
    with pytest.raises(CorruptStore) as refused:
        Store.open(tmp_path)
    assert str(path) in str(refused.value)
    assert "backup" in str(refused.value)
    assert not (tmp_path / "store.lock").read_text() or _is_free(tmp_path)


def _is_free(directory: Path) -> bool:
    from roadstead.cluster.embedded.lock import DirectoryLock

    DirectoryLock(directory).release()
    return True


def test_an_object_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    log.commit([Row(1, "ADDED", "/configmaps:default/a", "v1", b"{broken")], [], 0)
    log.close()
    with pytest.raises(CorruptStore, match=r"/configmaps:default/a \(resourceVersion 1\)"):
        Store.open(tmp_path)
    assert _is_free(tmp_path)


def test_a_foreign_database_is_not_taken_over(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(CorruptStore, match="which no version of roadstead wrote"):
        SqliteLog(tmp_path)


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used: Not a directory"):
        SqliteLog(tmp_path / "file" / "data")


def test_a_full_disk_refuses_the_batch_and_nothing_of_it_is_stored(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    log.commit([row(1)], [], 0)
    pages = log._connection.execute("PRAGMA page_count").fetchone()[0]
    log._connection.execute(f"PRAGMA max_page_count={pages}")
    big = Row(2, "ADDED", "/configmaps:default/b", "v1", b"x" * 100_000)
    with pytest.raises(DiskFull, match=r"is full: 1 writes \(100000 bytes\) were not stored\. Free space"):
        log.commit([big], [], 0)
    assert [rv for rv, *_ in log.load().rows] == [1]
    log._connection.execute("PRAGMA max_page_count=1000000")
    log.commit([big], [], 0)
    assert [rv for rv, *_ in log.load().rows] == [1, 2]
    log.close()


@pytest.mark.parametrize(
    ("durability", "is_clean", "next_rv"),
    [
        pytest.param("full", True, 5, id="full, clean"),
        pytest.param("full", False, 5, id="full, killed: everything acknowledged is there"),
        pytest.param("normal", True, 5, id="normal, clean"),
        pytest.param(
            "normal", False, 5 + SKIP_AFTER_UNCLEAN_STOP, id="normal, killed: later versions may have been seen"
        ),
    ],
)
def test_the_counter_after_a_stop(tmp_path: Path, durability: str, is_clean: bool, next_rv: int) -> None:
    log = SqliteLog(tmp_path, "full" if durability == "full" else "normal")
    log.commit([row(5)], [], 0)
    if is_clean:
        log.close()
    else:
        crash(log)
    again = SqliteLog(tmp_path)
    assert again.load().last_rv == next_rv
    again.close()


def test_the_counter_survives_the_erasure_of_the_newest_rows(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    log.commit([row(9)], [], 0)
    log.close()
    SqliteLog(tmp_path).close()
    log = SqliteLog(tmp_path)
    log._connection.execute("DELETE FROM log")
    crash(log)
    again = SqliteLog(tmp_path)
    assert again.load().last_rv == 9
    again.close()


def test_the_view_shows_current_objects_to_people(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    log.commit([row(1), row(2, "MODIFIED"), row(3, name="b"), row(4, "DELETED", "b")], [], 0)
    assert log._connection.execute("SELECT key, rv FROM current").fetchall() == [("/configmaps:default/a", 2)]
    log.close()
