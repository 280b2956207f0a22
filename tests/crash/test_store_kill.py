"""kill -9 of a process with a store under write load, many times: no acknowledged write lost, no resourceVersion sent
twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roadstead.cluster.embedded.failures import CommitFailed, DirectoryInUse
from roadstead.cluster.embedded.lock import DirectoryLock
from roadstead.cluster.embedded.log import SKIP_AFTER_UNCLEAN_STOP, SqliteLog
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS
from tests.crash.store_child import open_store, token_of
from tests.crash.store_judge import Judge, Told

ROOT = Path(__file__).parents[2]
ROUNDS = 20
MUTANT_ROUNDS = 25
MOST_AWAITED = 24
"""On a slow machine a kill waits for up to so many writes: else nothing would be tried."""
START_SECONDS = 100.0


def load_and_kill(
    directory: Path, ledger: Path, name: str, after_seconds: float, after_writes: int, mutant: str = ""
) -> list[str]:
    """Let a child write for a while, and so many times at least; kill it, and give the lines of its ledger."""
    ledger.write_bytes(b"")
    command = [sys.executable, "-m", "tests.crash.store_child", str(directory), str(ledger), name, mutant]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while b"ready" not in ledger.read_bytes():
            assert child.poll() is None, f"the child ended by itself: {child.returncode}"
            assert time.monotonic() < deadline, "the child did not start"
            time.sleep(0.002)
        time.sleep(after_seconds)  # the moment of the kill is what is tried, not something waited for
        while ledger.read_bytes().count(b"ack") < after_writes and time.monotonic() < deadline:
            time.sleep(0.002)
        assert child.poll() is None, f"the child ended by itself: {child.returncode}"
    finally:
        child.kill()
        child.wait()
    return ledger.read_text().splitlines(keepends=True)


def inspect(directory: Path) -> tuple[dict[str, tuple[int, str]], int]:
    """What a fresh process finds: key -> (version, token), and the counter."""

    async def look() -> tuple[dict[str, tuple[int, str]], int]:
        store = Store.open(directory)
        found = {
            item.meta.name: (int(item.meta.resource_version), token_of(item))
            for item in store.list(CONFIG_MAPS, "load")
        }
        revision = store.revision
        # Let go without a clean stop: the next round finds what the kill left.
        store._log._connection.close()  # type: ignore[attr-defined]  # a SqliteLog
        store._log._lock.release()  # type: ignore[attr-defined]  # a SqliteLog
        return found, revision

    return asyncio.run(look())


def rounds(directory: Path, count: int, seed: int, mutant: str = "") -> Judge:
    judge, chance = Judge(), random.Random(seed)
    for index in range(count):
        moment = chance.uniform(0.0, 0.15), chance.randrange(MOST_AWAITED)
        lines = load_and_kill(directory / "data", directory / "ledger", f"r{index}", *moment, mutant)
        judge.read(lines)
        judge.reopened(*inspect(directory / "data"))
        if judge.complaints:
            break
    return judge


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_no_acknowledged_write_is_lost_and_no_version_is_sent_twice(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    judge = rounds(tmp_path, ROUNDS, seed)
    print(f"seed {seed}: {ROUNDS} kills, {judge.acknowledged} acknowledged writes, {len(judge.complaints)} complaints")
    assert judge.complaints == [], f"seed {seed}"
    assert judge.acknowledged > ROUNDS * 5, "hardly anything was written: the test says nothing"


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_normal_durability_survives_the_death_of_the_process_and_counts_ahead(tmp_path: Path) -> None:
    judge = rounds(tmp_path, 10, random.randrange(2**32), "normal")
    assert judge.complaints == []
    _, revision = inspect(tmp_path / "data")
    assert revision > 9 * SKIP_AFTER_UNCLEAN_STOP


@pytest.mark.crash
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", ["acknowledges-early", "publishes-early", "skips-commits"])
def test_the_judge_notices(mutant: str, tmp_path: Path) -> None:
    judge = rounds(tmp_path, MUTANT_ROUNDS, 1, mutant)
    assert judge.complaints


@pytest.mark.crash
def test_a_second_process_is_kept_out_while_the_first_lives_and_let_in_when_it_was_killed(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_bytes(b"")
    command = [sys.executable, "-m", "tests.crash.store_child", str(tmp_path / "data"), str(ledger), "r0"]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while b"ready" not in ledger.read_bytes():
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        with pytest.raises(DirectoryInUse, match=f"process {child.pid} holds its lock"):
            SqliteLog(tmp_path / "data")
    finally:
        child.kill()
        child.wait()
    SqliteLog(tmp_path / "data").close()


class IgnoresLock(SqliteLog):
    """Mutant: opens the directory whoever holds it."""

    def _take_lock(self, directory: Path) -> DirectoryLock:
        return DirectoryLock(Path(str(directory) + "-elsewhere"))


@pytest.mark.crash
def test_the_judge_notices_an_ignored_lock(tmp_path: Path) -> None:
    """Two writers on one directory: the second does not know the objects of the first."""
    (tmp_path / "data-elsewhere").mkdir()

    async def run() -> Judge:
        judge = Judge()
        first, second = open_store(tmp_path / "data"), Store(IgnoresLock(tmp_path / "data"))
        for store, token in ((first, "of-the-first"), (second, "of-the-second")):
            for _ in range(5):  # the second first meets versions that are taken
                value = {"metadata": {"name": "a", "namespace": "load"}, "data": {"token": token}}
                judge.sent("a", "ADDED", token)
                pending = store.put(CONFIG_MAPS, value, None)
                try:
                    await pending.committed
                except CommitFailed:
                    judge.refused("a")
                    continue
                judge.acked(Told(int(pending.object.meta.resource_version), "ADDED", "a", token))
                break
        await second.close()
        await first.close()
        return judge

    assert any("was created at 2 although it existed since 1" in text for text in asyncio.run(run()).complaints)
