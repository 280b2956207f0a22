"""Seeds: those that once found something, the first few, and the promise that a seed is the same run everywhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from roadstead.sim.crashes import count_writes, crash_everywhere
from roadstead.sim.plan import draw
from roadstead.sim.verdict import explain, try_seed

PROGRAM = (
    "from roadstead.sim.verdict import try_seed; v = try_seed({seed}); print(v.digest, v.events, list(v.complaints))"
)


@pytest.mark.parametrize("seed", range(1, 7))
def test_nothing_is_broken(seed: int) -> None:
    verdict = try_seed(seed)
    assert verdict.is_good, "\n".join(explain(verdict))
    assert verdict.events > 200
    assert verdict.compared > 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_nothing_is_broken_in_many_more(seed: int) -> None:
    verdict = try_seed(seed)
    assert verdict.is_good, "\n".join(explain(verdict))


def test_the_same_seed_is_the_same_run_in_every_process() -> None:
    """Whatever the interpreter's hash seed, and whatever ran before in the process."""
    seed = 3
    told = []
    for hash_seed in ("1", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(seed=seed)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(done.stdout.strip())
    here = try_seed(seed)
    told.append(f"{here.digest} {here.events} {list(here.complaints)}")
    assert len(set(told)) == 1, told


def test_seeds_differ() -> None:
    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_a_crash_at_a_write_changes_nothing() -> None:
    """A few of all of them: `test_a_crash_at_any_write_changes_nothing` tries every one."""
    most = count_writes()
    assert most > 100
    for crash, verdict in crash_everywhere((most // 4, most // 2)):
        assert verdict.is_good, (crash, list(explain(verdict)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_crash_at_any_write_changes_nothing() -> None:
    most = count_writes()
    tried = 0
    for crash, verdict in crash_everywhere(range(1, most + 1)):
        tried += 1
        assert verdict.is_good, (crash, list(explain(verdict)))
    assert tried == 2 * most
