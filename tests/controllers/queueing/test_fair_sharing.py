"""Fair sharing switched on for a cluster: of two teams, the one with the smaller share is served first, and takes back
its part."""

from __future__ import annotations

import pytest

from roadstead.controllers.admission import AdmissionDecider
from roadstead.core.rules import Rules
from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, LOCAL_QUEUES
from tests.controllers.queueing.lab import QueueLab, cluster_queue, job, local_queue

BOTH = ("LessThanOrEqualToFinalShare", "LessThanInitialShare")


def laboratory(strategies: tuple[str, ...]) -> QueueLab:
    """Teams a and b with 2 CPUs each, c with 4 that nobody uses; all in one cohort."""
    lab = QueueLab(decider=lambda: AdmissionDecider(Rules(fair_sharing=strategies)))
    lab.furnish(cpu="8", quota={"cpu": "0"})
    for team, cpu in (("a", "2"), ("b", "2"), ("c", "4")):
        policy = {"reclaimWithinCohort": "Any", "withinClusterQueue": "Never"}
        lab.create(CLUSTER_QUEUES, cluster_queue(team, {"cpu": cpu}, cohortName="all", preemption=policy))
        lab.create(LOCAL_QUEUES, local_queue(team, team))
    return lab


def submit(lab: QueueLab, team: str, count: int) -> None:
    for number in range(count):
        lab.create(JOBS, job(f"{team}-{number}", seconds=None, labels={"kueue.x-k8s.io/queue-name": team}))
        lab.advance(1)


def running(lab: QueueLab, team: str) -> int:
    names = [value["metadata"]["name"] for value in lab.all(JOBS)]
    return sum(lab.job_state(name) == "running" for name in names if name.startswith(f"{team}-"))


@pytest.mark.parametrize(("strategies", "shares"), [(BOTH, (4, 4)), ((), (6, 2))], ids=["fair", "classic"])
def test_who_came_first_gives_back_what_is_more_than_a_fair_share(
    strategies: tuple[str, ...], shares: tuple[int, int]
) -> None:
    """Team a borrows everything; then b comes. Classic preemption gives b its own two CPUs back and no more."""
    with laboratory(strategies) as lab:
        submit(lab, "a", 8)
        assert running(lab, "a") == 8
        submit(lab, "b", 6)
        lab.advance(60)
        assert (running(lab, "a"), running(lab, "b")) == shares
        lab.check_devices()
