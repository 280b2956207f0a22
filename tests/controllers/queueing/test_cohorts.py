"""Two teams in a cohort: what is idle is lent, what is asked back comes back, and the stored objects say so."""

from __future__ import annotations

from typing import Any

from roadstead.controllers.queues import ClusterQueueController, LocalQueueController
from roadstead.kinds.names import CLUSTER_QUEUES, COHORTS, JOBS, LOCAL_QUEUES, RESOURCE_FLAVORS, WORKLOADS
from roadstead.kinds.object import Json
from tests.controllers.queueing.lab import QueueLab, all_controllers, cluster_queue, job, local_queue, node

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


def two_flavors(world: QueueLab, **spec: Any) -> None:
    """Two nodes of two CPUs each: `quick` and `slow`, tried in this order, two CPUs of quota on each."""
    for name in ("quick", "slow"):
        value = node(name, "2")
        value["metadata"]["labels"]["speed"] = name
        world.join(value)
        flavor = {"apiVersion": RESOURCE_FLAVORS.api_version, "kind": "ResourceFlavor", "metadata": {"name": name}}
        world.create(RESOURCE_FLAVORS, {**flavor, "spec": {"nodeLabels": {"speed": name}}})
    flavors = [{"name": name, "resources": [{"name": "cpu", "nominalQuota": "2"}]} for name in ("quick", "slow")]
    value = cluster_queue("team", {"cpu": "0"}, **spec)
    value["spec"]["resourceGroups"] = [{"coveredResources": ["cpu"], "flavors": flavors}]
    world.create(CLUSTER_QUEUES, value)
    world.create(LOCAL_QUEUES, local_queue("team", "team"))
    world.settle()


def flavor_of(world: QueueLab, name: str) -> str:
    flavors: Json = world.workload_of(name)["status"]["admission"]["podSetAssignments"][0]["flavors"]
    return str(flavors["cpu"])


def test_the_second_flavor_is_taken_when_the_first_is_full_and_its_nodes_are_meant() -> None:
    with lab() as world:
        two_flavors(world)
        for name in ("one", "two", "three"):
            submit(world, "team", name, "2", seconds=30)
        world.advance(15)
        assert [flavor_of(world, name) for name in ("one", "two")] == ["quick", "slow"]
        assert world.the(JOBS, "two")["spec"]["template"]["spec"]["nodeSelector"] == {"speed": "slow"}
        assert world.job_state("three") == "suspended"
        status = world.the(CLUSTER_QUEUES, "team", "")["status"]
        used = {flavor["name"]: flavor["resources"][0]["total"] for flavor in status["flavorsReservation"]}
        assert used == {"quick": "2", "slow": "2"}
        assert status["pendingWorkloads"] == 1
        world.advance(90)
        assert world.job_state("three") == "Complete"


def test_fungibility_says_whether_to_borrow_or_to_go_on_to_the_next_flavor() -> None:
    for when_can_borrow, expected in (("MayStopSearch", "quick"), ("TryNextFlavor", "slow")):
        with lab() as world:
            fungibility = {"whenCanBorrow": when_can_borrow, "whenCanPreempt": "TryNextFlavor"}
            two_flavors(world, cohortName="lab", flavorFungibility=fungibility)
            lender = cluster_queue("lender", {"cpu": "0"}, cohortName="lab")
            resources = [{"name": "cpu", "nominalQuota": "2"}]
            lender["spec"]["resourceGroups"][0]["flavors"] = [{"name": "quick", "resources": resources}]
            world.create(CLUSTER_QUEUES, lender)
            world.join(quick_node("quick-2"))
            submit(world, "team", "own", "1500m")
            world.settle()
            submit(world, "team", "next", "1")
            world.settle()
            assert flavor_of(world, "own") == "quick"
            assert flavor_of(world, "next") == expected, when_can_borrow


def quick_node(name: str) -> Json:
    value = node(name, "2")
    value["metadata"]["labels"]["speed"] = "quick"
    return value
