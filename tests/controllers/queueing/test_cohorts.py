"""Two teams in a cohort: what is idle is lent, what is asked back comes back, and the stored objects say so."""

from __future__ import annotations

from typing import Any

from roadstead.controllers.queues import ClusterQueueController, LocalQueueController
from roadstead.kinds.names import CLUSTER_QUEUES, COHORTS, JOBS, LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Json
from tests.controllers.queueing.lab import QueueLab, all_controllers, cluster_queue, job, local_queue

QUEUE = "kueue.x-k8s.io/queue-name"


def lab() -> QueueLab:
    return QueueLab(controllers=lambda: [*all_controllers(), ClusterQueueController(), LocalQueueController()])


def two_teams(world: QueueLab, **limits: Any) -> None:
    """Four CPUs, two for each team, which may reclaim what it lent."""
    world.furnish(cpu="4")
    for team in ("vision", "speech"):
        value = cluster_queue(
            team,
            {"cpu": "2"},
            cohortName="lab",
            preemption={"reclaimWithinCohort": "Any", "withinClusterQueue": "Never"},
        )
        value["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0] |= limits
        world.create(CLUSTER_QUEUES, value)
        world.create(LOCAL_QUEUES, local_queue(team, team))
    world.settle()


def submit(world: QueueLab, team: str, name: str, cpu: str, seconds: float = 60) -> None:
    world.create(JOBS, job(name, cpu=cpu, seconds=seconds, labels={QUEUE: team}))


def cell(world: QueueLab, team: str, field: str = "flavorsReservation") -> Json:
    status = world.the(CLUSTER_QUEUES, team, "")["status"]
    found: Json = status[field][0]["resources"][0]
    return found


def test_idle_quota_is_lent_and_reclaimed_and_the_borrower_resumes() -> None:
    with lab() as world:
        two_teams(world)
        submit(world, "vision", "long", "4")
        world.advance(12)
        assert world.job_state("long") == "running"
        assert cell(world, "vision") == {"name": "cpu", "total": "4", "borrowed": "2"}
        assert cell(world, "vision", "flavorsUsage")["borrowed"] == "2"
        submit(world, "speech", "short", "2", seconds=5)
        world.settle()
        victim = world.workload_of("long")
        assert world.condition(victim, "Evicted") == ("True", "Preempted")
        assert world.condition(victim, "Preempted") == ("True", "InCohortReclamation")
        world.advance(12)
        assert world.job_state("short") == "Complete"
        assert world.job_state("long") == "running", "it goes on as soon as there is room again"
        world.advance(120)
        assert world.job_state("long") == "Complete"
        assert cell(world, "vision") == {"name": "cpu", "total": "0", "borrowed": "0"}
        world.check_nothing_is_held()


def test_a_borrowing_limit_holds_and_says_so() -> None:
    with lab() as world:
        two_teams(world, borrowingLimit="1")
        submit(world, "vision", "wide", "4")
        submit(world, "vision", "fits", "3")
        world.advance(15)
        assert world.job_state("wide") == "suspended"
        assert world.job_state("fits") == "running"
        assert cell(world, "vision")["borrowed"] == "1"


def test_a_cohort_object_adds_quota_of_its_own_and_a_parent_to_borrow_from() -> None:
    def cohort(name: str, **spec: Any) -> Json:
        return {"apiVersion": COHORTS.api_version, "kind": "Cohort", "metadata": {"name": name}, "spec": spec}

    pool = {
        "coveredResources": ["cpu"],
        "flavors": [{"name": "default", "resources": [{"name": "cpu", "nominalQuota": "3"}]}],
    }
    with lab() as world:
        world.furnish(cpu="8", quota={"cpu": "1"}, queue={"cohortName": "team"})
        submit(world, "default", "wide", "4")
        world.advance(15)
        assert world.job_state("wide") == "suspended"
        world.create(COHORTS, cohort("house", resourceGroups=[pool]))
        world.create(COHORTS, cohort("team", parentName="house"))
        world.advance(15)
        assert world.job_state("wide") == "running"
        assert cell(world, "default")["borrowed"] == "3"
        assert world.all(WORKLOADS)[0]["status"]["admission"]["clusterQueue"] == "default"
