"""The journal: what was decided is decided again, whatever was cut off, rotated or lost, and a core that decides
otherwise is found out."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from roadstead.cli import main
from roadstead.controllers.admission import PLACE_ALL, AdmissionDecider
from roadstead.core.fleet.domain import Domain
from roadstead.core.fleet.flat import Flat
from roadstead.core.fleet.forest import Forest
from roadstead.core.given import Given, give
from roadstead.core.plan import Plan
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.history import journal as journal_module
from roadstead.history.format import FORMAT, JournalError, files_in, line, lines_of
from roadstead.history.journal import Journal
from roadstead.history.replay import Replayed, replay
from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, NODES
from roadstead.model.facts import Gone
from roadstead.model.workload import Workload
from roadstead.testing.controllers import Fault
from tests.controllers.queueing.lab import QueueLab, job
from tests.core.build import work

LOW = {"kueue.x-k8s.io/priority-class": "low"}
HIGH = {"kueue.x-k8s.io/priority-class": "high"}


class Recorded:
    """Journals of a decider and of those after its crashes, in one folder. `every`: so many decisions go into a
    file."""

    def __init__(self, folder: Path, every: int = 10**9) -> None:
        self.folder = folder
        self.every = every
        self.journals: list[Journal] = []
        self.decisions = 0

    def decider(self) -> AdmissionDecider:
        self.close()  # of the one before, which is gone
        world = World()
        journal = Journal(self.folder, world, PLACE_ALL)
        self.journals.append(journal)

        def record(given: Sequence[Given], now: int, plans: Sequence[Plan]) -> None:
            self.decisions += 1
            if self.decisions % self.every == 0:
                journal._wants_start = True  # as its thread asks for it when the file is full
            journal.record(given, now, plans)

        return AdmissionDecider(journal=record, world=world)

    def close(self) -> list[Path]:
        while self.journals:
            self.journals.pop().close()
        return files_in(self.folder)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "BATCH_SECONDS", 0.001)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    found = Recorded(tmp_path / "journal")
    yield found
    found.close()


def busy_story(recorded: Recorded, *, seed: int, faults: dict[int, Fault] | None = None) -> None:
    """Jobs wait parked, others make room for a more important one, writes fail, a node goes and returns, a queue is
    stopped."""
    with QueueLab(lag=3, seed=seed, decider=recorded.decider) as lab:
        lab.furnish(nodes=2, gpus=2, quota={"cpu": "8", "nvidia.com/gpu": "3"})
        lab.faults = {lab.writes + number: fault for number, fault in (faults or {}).items()}
        for at in range(4):
            lab.create(JOBS, job(f"low-{at}", gpus=1, seconds=15, labels=LOW))
        lab.advance(3)
        ask(lab)
        lab.create(JOBS, job("high", gpus=2, seconds=5, labels=HIGH))
        lab.create(JOBS, job("never", gpus=7, seconds=5, labels=HIGH))
        lab.advance(10)
        lab.edit(NODES, "node-1", lambda node: node["spec"].update(unschedulable=True), "")
        lab.advance(5)
        ask(lab)
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="Hold"), "")
        lab.advance(5)
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="None"), "")
        lab.edit(NODES, "node-1", lambda node: node["spec"].update(unschedulable=False), "")
        lab.advance(60)
        assert lab.job_state("high") == "Complete"
        assert lab.job_state("never") == "suspended"


def difference(found: Replayed) -> str:
    return "\n".join(found.divergence.difference) if found.divergence is not None else ""


def ask(lab: QueueLab) -> None:
    """Questions, evaluated on trials."""
    for key in list(lab.decider.world.workloads):
        lab.decider.why(key, lab.clock)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_decided_is_decided_again(recorded: Recorded, seed: int) -> None:
    busy_story(recorded, seed=seed)
    found = replay(recorded.close())
    assert found.divergence is None, difference(found)
    assert found.decisions == recorded.decisions > 20
    assert found.commands > 8


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("every", [1, 3])
def test_each_file_begins_with_the_world_as_it_was(recorded: Recorded, seed: int, every: int) -> None:
    """Parked and sticky workloads, assumed admissions, evictions on their way: what a file begins with is where the
    last one ends, and each can be replayed alone."""
    recorded.every = every
    busy_story(recorded, seed=seed)
    files = recorded.close()
    found = replay(files)
    assert found.divergence is None, difference(found)
    assert found.decisions == recorded.decisions
    assert found.joints == recorded.decisions // every
    assert sum(replay([file]).decisions for file in files) == recorded.decisions
    remembered = [
        next(snapshot["snapshot"]["memory"] for snapshot in lines_of(file) if "snapshot" in snapshot) for file in files
    ]
    assert any(memory["standings"] for memory in remembered)
    assert any(queue["bulkParked"] for memory in remembered for queue in memory["queues"])
    if every == 1:
        assert any(queue["sticky"] for memory in remembered for queue in memory["queues"])


@pytest.mark.parametrize("fault", list(Fault))
def test_failed_writes_and_crashes(recorded: Recorded, fault: Fault) -> None:
    """What could not be carried out is given back to the world; a process that died leaves its file, and the next
    begins its own."""
    recorded.every = 7
    busy_story(recorded, seed=1, faults=dict.fromkeys((9, 14, 23, 31), fault))
    found = replay(recorded.close())
    assert found.divergence is None, difference(found)
    assert found.decisions == recorded.decisions


def last_of_equals(counts: Forest | Flat, level: int, slices: int) -> Domain | None:
    """A core that breaks ties the other way round: of the nodes with as little room, the last by name."""
    enough = [domain for domain in counts.least_free_first(level) if domain.slices >= slices]
    return max((each for each in enough if each.slices == enough[0].slices), key=lambda each: each.values, default=None)


def three_jobs(recorded: Recorded) -> list[Path]:
    with QueueLab(decider=recorded.decider) as lab:
        lab.furnish(nodes=2, gpus=2)
        for at in range(3):
            lab.create(JOBS, job(f"job-{at}", gpus=2, seconds=15))
        lab.advance(30)
    return recorded.close()


def _run(words: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_core_that_breaks_ties_otherwise_is_found_out(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(path) for path in three_jobs(recorded)]
    assert _run(["replay", *files]) == 0
    assert capsys.readouterr().out == f"The same: {recorded.decisions} decisions (3 commands) in 2 files.\n"
    monkeypatch.setattr(Forest, "smallest", last_of_equals)
    monkeypatch.setattr(Flat, "smallest", last_of_equals)
    assert _run(["replay", *files]) == 1
    said = capsys.readouterr().out
    assert said.startswith("Different: decision ")
    assert f" of {files[-1]}, at 2027-01-15T08:00:00.000+00:00; " in said
    assert re.search(r'^- .*"node":"node-0"', said, re.MULTILINE)
    assert re.search(r'^\+ .*"node":"node-1"', said, re.MULTILINE)


def test_wherever_a_file_was_cut_off_what_is_whole_counts(recorded: Recorded) -> None:
    file = three_jobs(recorded)[-1]
    whole = file.read_bytes()
    seen = set()
    for length in (*range(0, len(whole), 23), len(whole)):
        file.write_bytes(whole[:length])
        found = replay([file])
        assert found.divergence is None, difference(found)
        seen.add(found.decisions)
    assert seen >= {0, recorded.decisions}
    assert len(seen) > 4


def packed(*values: object) -> bytes:
    pack = zlib.compressobj(wbits=31)
    return b"".join(pack.compress(line(value)) for value in values) + pack.flush()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"not gzipped", "is no journal: "),
        (packed({"kind": "List"}), "its first line has no format version"),
        (
            packed({"journal": FORMAT + 1, "program": "9.9"}),
            f"has format {FORMAT + 1}; this program reads up to {FORMAT}",
        ),
        (packed({"journal": FORMAT}, {"now": 3}), "has no snapshot in its second line"),
        (packed([1]), "line 1: a JSON object is expected, not list"),
        (packed({"journal": FORMAT})[:-9] + b"damaged!!", "is no journal: "),
    ],
)
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    file = tmp_path / "file.gz"
    file.write_bytes(content)
    with pytest.raises(JournalError, match=re.escape(text)):
        replay([file])


def test_without_a_journal_replay_says_where_it_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["replay", "--home", str(tmp_path)]) == 1
    assert f"there is no journal in {tmp_path}/data/journal.\nA server keeps one unless" in capsys.readouterr().err


def grow(journal: Journal, world: World, count: int) -> None:
    """Decisions about ever new workloads in no queue; the world keeps the last hundred."""
    for _ in range(count):
        at = world.cycles
        given: list[Given] = [work(f"workload-{at:05}", "nowhere", 1)]
        if at >= 100:
            given.append(Gone(Workload, ("team", f"workload-{at - 100:05}")))
        for each in given:
            give(world, each)
        journal.record(given, at, decide(world, at, PLACE_ALL).plans)


def until(what: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_files_are_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    world = World()
    journal = Journal(tmp_path, world, PLACE_ALL, size=40_000)
    numbers: set[str] = set()
    while len(numbers) < 8:
        grow(journal, world, 50)
        until(lambda: not journal._pending)
        numbers |= {path.name for path in files_in(tmp_path)}
    journal.close()
    files = files_in(tmp_path)
    assert files[0].name > "00000001.jsonl.gz"
    assert sum(path.stat().st_size for path in files) < 60_000
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600] * len(files)
    found = replay(files)
    assert (found.divergence, found.joints) == (None, len(files) - 1)


def test_a_disk_that_fails_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.05)
    folder = tmp_path / "journal"
    folder.write_text("in the way")
    world = World()
    journal = Journal(folder, world, PLACE_ALL)
    grow(journal, world, 5)
    until(lambda: "cannot be written" in caplog.text)
    folder.unlink()

    def goes_on() -> bool:
        grow(journal, world, 1)
        return bool(files_in(folder))

    until(goes_on)
    grow(journal, world, 3)
    journal.close()
    (file,) = files_in(folder)
    lines = list(lines_of(file))
    assert lines[0]["follows"] is False
    assert lines[1]["snapshot"]["facts"] >= 5
    assert replay([file]).decisions >= 3


def test_a_decision_that_cannot_be_written_ends_one_file_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.05)
    world = World()
    journal = Journal(tmp_path, world, PLACE_ALL)
    grow(journal, world, 5)
    journal.record([object()], 6, [])  # type: ignore[list-item]  # what nobody has taught the encoder yet
    grow(journal, world, 5)
    until(lambda: "cannot be written" in caplog.text)
    (first,) = files_in(tmp_path)
    assert replay([first]).decisions == 5

    def goes_on() -> bool:
        grow(journal, world, 1)
        return len(files_in(tmp_path)) == 2

    until(goes_on)
    grow(journal, world, 3)
    journal.close()
    assert caplog.text.count("cannot be written") == 1
    found = replay(files_in(tmp_path))
    assert (found.divergence, found.joints) == (None, 0)
    assert found.decisions >= 5 + 3


def test_a_disk_that_is_too_slow_leaves_a_gap_and_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PENDING_MAX", 10)
    world = World()
    journal = Journal(tmp_path, world, PLACE_ALL)
    until(lambda: not journal._pending)
    monkeypatch.setattr(journal_module._Writer, "take", slow(journal_module._Writer.take))
    grow(journal, world, 40)
    until(lambda: not journal._pending)
    grow(journal, world, 2)
    journal.close()
    first, second = files_in(tmp_path)
    assert next(lines_of(second))["follows"] is False
    found = replay([first, second])
    assert (found.divergence, found.joints) == (None, 0)
    assert 10 < found.decisions < 42


def slow(take: Callable[..., None]) -> Callable[..., None]:
    def taken(*arguments: object) -> None:
        time.sleep(0.005)
        take(*arguments)

    return taken
