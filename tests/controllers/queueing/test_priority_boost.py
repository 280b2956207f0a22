"""An annotation on a Workload that adds to its priority, where the gate is on (KEP-7990)."""

from __future__ import annotations

import pytest

from roadstead.controllers.admission import AdmissionDecider
from roadstead.core.rules import Rules
from roadstead.kinds.names import JOBS, WORKLOADS
from roadstead.kinds.object import Json
from tests.controllers.queueing.lab import QueueLab, job

BOOST = "kueue.x-k8s.io/priority-boost"
EQUALS = {"preemption": {"withinClusterQueue": "LowerPriority"}}


def boosted(lab: QueueLab, name: str, text: str) -> None:
    workload = lab.workload_of(name)["metadata"]["name"]

    def edit(value: Json) -> None:
        value["metadata"]["annotations"][BOOST] = text

    lab.edit(WORKLOADS, workload, edit)


def crowded(is_on: bool) -> QueueLab:
    lab = QueueLab(decider=lambda: AdmissionDecider(Rules(priority_boost=is_on)))
    lab.furnish(cpu="4", queue=EQUALS)
    lab.create(JOBS, job("first", cpu="4", seconds=None))
    lab.settle()
    lab.create(JOBS, job("second", cpu="4", seconds=None))
    lab.settle()
    assert (lab.job_state("first"), lab.job_state("second")) == ("running", "suspended")
    return lab


def test_a_negative_boost_lets_an_equal_preempt_and_a_positive_one_takes_the_place_back() -> None:
    with crowded(True) as lab:
        boosted(lab, "first", "-1")
        lab.advance(10)
        assert (lab.job_state("first"), lab.job_state("second")) == ("suspended", "running")
        boosted(lab, "first", "5")
        lab.advance(10)
        assert (lab.job_state("first"), lab.job_state("second")) == ("running", "suspended")


@pytest.mark.parametrize(("is_on", "text"), [(False, "-1"), (True, "low"), (True, "9999999999")])
def test_without_the_gate_or_without_a_number_nothing_is_added(is_on: bool, text: str) -> None:
    with crowded(is_on) as lab:
        boosted(lab, "first", text)
        lab.advance(10)
        assert (lab.job_state("first"), lab.job_state("second")) == ("running", "suspended")
        key = ("default", lab.workload_of("first")["metadata"]["name"])
        noted = lab.decider.troubles.get((WORKLOADS, key), ())
        assert bool(noted) is (text != "-1")
        assert all(BOOST in note for note in noted)
