"""What the judge of quotas forgives, and what it never does."""

from __future__ import annotations

import pytest

from roadstead.kinds.object import Json
from roadstead.sim.crashes import story
from roadstead.sim.judges import JobsJudge, QuotaJudge
from roadstead.sim.judges.base import GRACE_SECONDS
from roadstead.sim.plan.faults import Blow
from roadstead.sim.simulation import simulate

from .kit import Court


def queue(cpu: int) -> Json:
    resources = [{"name": "cpu", "nominalQuota": str(cpu)}]
    groups = [{"coveredResources": ["cpu"], "flavors": [{"name": "blue", "resources": resources}]}]
    return {"metadata": {"name": "q"}, "spec": {"resourceGroups": groups}}


def workload(name: str, cpu: int) -> Json:
    assignment = {"name": "main", "count": 1, "flavors": {"cpu": "blue"}, "resourceUsage": {"cpu": str(cpu)}}
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": name},
        "spec": {"podSets": [{"name": "main", "count": 1}]},
        "status": {
            "conditions": [{"type": "QuotaReserved", "status": "True"}],
            "admission": {"clusterQueue": "q", "podSetAssignments": [assignment]},
        },
    }


def test_what_does_not_fit_is_complained_of() -> None:
    court = Court(QuotaJudge)
    court.write(0.0, "clusterqueues", queue(8))
    court.write(1.0, "workloads", workload("first", 5))
    assert court.complaints == []
    court.write(2.0, "workloads", workload("second", 4))
    assert court.complaints == ["ns/second: ClusterQueue q uses 9000 of 8000 ('blue', 'cpu')"]


@pytest.mark.parametrize(
    ("seconds", "cut", "is_forgiven"),
    [
        pytest.param(GRACE_SECONDS - 1, 0.0, True, id="lately"),
        pytest.param(GRACE_SECONDS + 1, 0.0, False, id="long ago"),
        pytest.param(GRACE_SECONDS + 1, 30.0, True, id="long ago, and nobody could hear of it"),
        pytest.param(GRACE_SECONDS + 60, 30.0, False, id="long ago, and there was time to hear of it"),
    ],
)
def test_what_was_lowered_may_be_unknown_for_a_while(seconds: float, cut: float, is_forgiven: bool) -> None:
    court = Court(QuotaJudge)
    court.judge.cut_off = lambda since: cut if since == 100.0 else 0.0
    court.write(0.0, "clusterqueues", queue(8))
    court.write(100.0, "clusterqueues", queue(0))
    court.write(100.0 + seconds, "workloads", workload("late", 8))
    assert (court.complaints == []) is is_forgiven


def test_never_more_than_there_ever_was() -> None:
    court = Court(QuotaJudge)
    court.judge.cut_off = lambda since: 1000.0
    court.write(0.0, "clusterqueues", queue(8))
    court.write(100.0, "clusterqueues", queue(0))
    court.write(150.0, "workloads", workload("late", 9))
    assert court.complaints == ["ns/late: ClusterQueue q uses 9000 of 8000 ('blue', 'cpu')"]


@pytest.mark.parametrize(("cut", "is_forgiven"), [(0.0, False), (30.0, True)])
def test_the_same_goes_for_a_lowered_parallelism(cut: float, is_forgiven: bool) -> None:
    court = Court(JobsJudge)
    court.judge.cut_off = lambda since: cut

    def job(parallelism: int) -> Json:
        return {"metadata": {"namespace": "ns", "name": "j", "uid": "j"}, "spec": {"parallelism": parallelism}}

    court.write(0.0, "jobs", job(2))
    court.write(100.0, "jobs", job(1))
    owner = {"kind": "Job", "name": "j", "uid": "j", "controller": True}
    for name in ("first", "second"):
        court.write(
            101.0 + GRACE_SECONDS,
            "pods",
            {"metadata": {"namespace": "ns", "name": name, "uid": name, "ownerReferences": [owner]}},
        )
    assert (court.complaints == []) is is_forgiven


def test_the_controllers_are_cut_off_for_as_long_as_nothing_passes() -> None:
    """A cut ends with the first that ends of several at once, and with the story at the latest."""
    blows = (
        Blow(10.0, "cut-controllers", seconds=60.0),
        Blow(50.0, "expire", seconds=3.0),
        Blow(60.0, "cut-agent", "0", seconds=12.0),
        Blow(85.0, "cut-controllers", seconds=60.0),
    )
    done = simulate(story(blows=blows))
    assert done.complaints == []
    cut_off = done.mishaps.cut_off
    assert cut_off(0.0) == pytest.approx(43.0 + 5.0, abs=0.5)
    assert cut_off(20.0) == pytest.approx(33.0 + 5.0, abs=0.5)
    assert cut_off(54.0) == pytest.approx(5.0, abs=0.5)
    assert cut_off(100.0) == 0.0
