"""Every pod is counted exactly once, whatever breaks: a crash after every write, lost answers, conflicts, lagging
informers.

The agent keeps its own ledger of how each pod ended; the Job's counters are compared with it. So is every intermediate
state: counters never shrink, never run ahead of the ledger, and no more pods are active than the Job asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadstead.controllers.job import JobController
from roadstead.controllers.job.indexes import parse_indexes
from roadstead.kinds.names import JOBS, PODS
from roadstead.kinds.object import Json
from roadstead.testing.controllers import Fault, Lab
from tests.controllers.kit import conditions, end, job, live, pods, set_spec, start, status, stop_marked, tracked

MOST_ROUNDS = 60


@dataclass
class Story:
    """One Job from its creation to its end, with an agent that ends pods as `outcomes` says (in turn, over and
    over)."""

    lab: Lab
    outcomes: tuple[bool, ...]
    parallelism: int
    suspend_in_round: int = -1
    ended: dict[str, bool] = field(default_factory=dict)
    """The agent's ledger: pod uid -> did it succeed."""
    seen: tuple[int, int] = (0, 0)

    def run(self) -> Json:
        """Run to the end; the finished Job's status."""
        for number in range(MOST_ROUNDS):
            self.lab.advance(3)
            self.check()
            if number == self.suspend_in_round:
                self.suspend_and_resume()
            if {"Complete", "Failed"} & set(conditions(self.lab.the(JOBS, "train"))):
                self.lab.advance(5)
                return status(self.lab)
            stop_marked(self.lab)
            for pod in live(self.lab)[:1]:
                start(self.lab, pod)
                self.lab.settle()
                self.check()
                self.end_one(pod)
            self.lab.advance(10)
            self.check()
        raise AssertionError(f"not finished after {MOST_ROUNDS} rounds: {status(self.lab)}")

    def end_one(self, pod: Json) -> None:
        """The agent ends the pod, if it is still its to end."""
        uid = pod["metadata"]["uid"]
        current = next((found for found in live(self.lab) if found["metadata"]["uid"] == uid), None)
        if current is not None:
            good = self.outcomes[len(self.ended) % len(self.outcomes)]
            self.ended[uid] = good
            end(self.lab, current, 0 if good else 1)

    def suspend_and_resume(self) -> None:
        for value in (True, False):
            self.lab.edit(JOBS, "train", partial(set_spec, suspend=value))
            self.lab.advance(3)
            self.check()

    def check(self) -> None:
        found = self.lab.the(JOBS, "train").get("status") or {}
        counters = (found.get("succeeded", 0), found.get("failed", 0))
        assert counters[0] >= self.seen[0], "successes shrank"
        assert counters[1] >= self.seen[1], "failures shrank"
        assert counters[0] <= sum(self.ended.values())
        assert counters[1] <= len(self.ended) - sum(self.ended.values()), "a failure was counted twice"
        assert len(live(self.lab)) <= self.parallelism
        self.seen = counters


def tell(
    lab: Lab,
    outcomes: tuple[bool, ...],
    *,
    completions: int,
    parallelism: int,
    indexed: bool = False,
    suspend: int = -1,
) -> Story:
    mode = "Indexed" if indexed else "NonIndexed"
    lab.create(JOBS, job(completions=completions, parallelism=parallelism, completionMode=mode, backoffLimit=20))
    story = Story(lab, outcomes, parallelism, suspend)
    found = story.run()
    assert conditions(lab.the(JOBS, "train"))["Complete"] == ("True", "CompletionsReached")
    assert found["succeeded"] == sum(story.ended.values()) == completions
    assert found.get("failed", 0) == len(story.ended) - completions
    assert found["uncountedTerminatedPods"] == {}
    assert tracked(lab) == []
    assert live(lab) == []
    if indexed:
        assert parse_indexes(found["completedIndexes"]) == frozenset(range(completions))
    return story


OUTCOMES = (True, False, True)


def clean_writes(indexed: bool) -> int:
    with Lab(lambda: [JobController()]) as lab:
        tell(lab, OUTCOMES, completions=3, parallelism=2, indexed=indexed)
        return lab.writes


@pytest.mark.parametrize("lag", [0, 3])
@pytest.mark.parametrize("indexed", [False, True], ids=["non-indexed", "indexed"])
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
def test_counts_are_exact_whatever_befalls_any_single_write(fault: Fault, indexed: bool, lag: int) -> None:
    writes = clean_writes(indexed)
    assert writes > 10
    for number in range(writes):
        with Lab(lambda: [JobController()], lag=lag, faults={number: fault}, seed=number) as lab:
            tell(lab, OUTCOMES, completions=3, parallelism=2, indexed=indexed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    outcomes=st.lists(st.booleans(), min_size=1, max_size=5).filter(any),
    completions=st.integers(1, 4),
    parallelism=st.integers(1, 4),
    indexed=st.booleans(),
    lag=st.integers(0, 6),
    seed=st.integers(0, 1000),
    suspend=st.integers(-1, 3),
    faults=st.dictionaries(st.integers(0, 40), st.sampled_from(list(Fault)), max_size=6),
)
def test_counts_are_exact_whatever_breaks(
    outcomes: list[bool],
    completions: int,
    parallelism: int,
    indexed: bool,
    lag: int,
    seed: int,
    suspend: int,
    faults: dict[int, Fault],
) -> None:
    with Lab(lambda: [JobController()], lag=lag, faults=faults, seed=seed) as lab:
        tell(
            lab,
            tuple(outcomes),
            completions=completions,
            parallelism=parallelism,
            indexed=indexed,
            suspend=suspend,
        )


def test_the_three_writes_of_counting_are_there_when_the_job_goes_on() -> None:
    with Lab(lambda: [JobController()]) as lab:
        lab.create(JOBS, job(completions=2, parallelism=1))
        lab.settle()
        [first] = live(lab)
        end(lab, first)
        lab.advance(3)
        kinds = [(wrote.write.resource, wrote.key) for wrote in lab.ledger if wrote.write.resource == JOBS]
        assert len(kinds) >= 2
        assert status(lab)["succeeded"] == 1
        assert first["metadata"]["name"] not in tracked(lab)
        assert [pod["metadata"]["name"] for pod in pods(lab) if pod["metadata"]["name"] in tracked(lab)]


def test_many_pods_that_end_together_share_their_status_writes() -> None:
    with Lab(lambda: [JobController()]) as lab:
        lab.create(JOBS, job(completions=100, parallelism=40))
        lab.settle()
        for pod in live(lab):
            end(lab, pod)
        lab.advance(5)
        assert status(lab)["succeeded"] == 40
        status_writes = [wrote for wrote in lab.ledger if wrote.write.resource == JOBS]
        assert len(status_writes) <= 4
        assert len(tracked(lab)) == 40
        assert sum(wrote.write.resource == PODS for wrote in lab.ledger) == 40 + 40 + 40


@pytest.mark.parametrize("lag", [0, 3])
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
def test_the_backoff_limit_is_exact_whatever_befalls_any_single_write(fault: Fault, lag: int) -> None:
    for number in range(12):
        with Lab(lambda: [JobController()], lag=lag, faults={number: fault}, seed=number) as lab:
            lab.create(JOBS, job(completions=1, parallelism=1, backoffLimit=2))
            story = Story(lab, (False,), parallelism=1)
            found = story.run()
            assert conditions(lab.the(JOBS, "train"))["Failed"] == ("True", "BackoffLimitExceeded")
            assert len(story.ended) == 3
            assert found["failed"] == 3
            assert tracked(lab) == []
