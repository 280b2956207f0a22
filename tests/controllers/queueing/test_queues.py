"""Status of queues, finalizers in use, and the default set-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from roadstead.controllers.defaults import BOOTSTRAP, DefaultsController
from roadstead.controllers.fleet_quota import FleetQuotaController
from roadstead.controllers.queues import (
    ClusterQueueController,
    LocalQueueController,
    ResourceFlavorController,
    TopologyController,
)
from roadstead.kinds.names import (
    CLUSTER_QUEUES,
    COHORTS,
    CONFIG_MAPS,
    DEVICE_CLASSES,
    JOBS,
    LOCAL_QUEUES,
    NAMESPACES,
    NODES,
    PRIORITY_CLASSES,
    RESOURCE_FLAVORS,
    TOPOLOGIES,
    WORKLOAD_PRIORITY_CLASSES,
)
from roadstead.kinds.object import Json, Object
from roadstead.runtime.step import Controller
from tests.controllers.queueing.lab import (
    QueueLab,
    all_controllers,
    cluster_queue,
    job,
    local_queue,
    node,
)


def with_queues() -> Sequence[Controller]:
    keepers: list[Controller] = [ResourceFlavorController(), TopologyController()]
    return [*all_controllers(), ClusterQueueController(), LocalQueueController(), *keepers]


def with_defaults() -> Sequence[Controller]:
    return [*with_queues(), DefaultsController(), FleetQuotaController()]


def lab(controllers: Callable[[], Sequence[Controller]] = with_queues) -> QueueLab:
    return QueueLab(controllers=controllers)


def furnished(lab: QueueLab) -> None:
    lab.furnish(cpu="4")
    lab.advance(5)


def active(lab: QueueLab, name: str = "default") -> tuple[str, str, str]:
    return _active(lab.the(CLUSTER_QUEUES, name, ""))


def _active(value: Json) -> tuple[str, str, str]:
    (found,) = [c for c in value["status"]["conditions"] if c["type"] == "Active"]
    return found["status"], found["reason"], found["message"]


def test_a_queue_counts_what_waits_what_reserves_and_what_runs() -> None:
    with lab() as world:
        furnished(world)
        for number in range(3):
            world.create(JOBS, job(f"job-{number}", cpu="3", seconds=60))
        world.advance(4)
        status = world.the(CLUSTER_QUEUES, "default", "")["status"]
        assert (status["pendingWorkloads"], status["reservingWorkloads"], status["admittedWorkloads"]) == (2, 1, 1)
        assert status["flavorsUsage"] == status["flavorsReservation"]
        assert status["flavorsUsage"][0]["resources"][0] == {"name": "cpu", "total": "3", "borrowed": "0"}
        local = world.the(LOCAL_QUEUES, "default")["status"]
        assert (local["pendingWorkloads"], local["reservingWorkloads"], local["admittedWorkloads"]) == (2, 1, 1)
        assert local["flavorsUsage"][0]["resources"][0] == {"name": "cpu", "total": "3"}
        world.advance(300)
        status = world.the(CLUSTER_QUEUES, "default", "")["status"]
        assert (status["pendingWorkloads"], status["reservingWorkloads"], status["admittedWorkloads"]) == (0, 0, 0)
        assert status["flavorsUsage"][0]["resources"][0]["total"] == "0"


def test_a_short_job_costs_its_queues_no_write() -> None:
    with lab() as world:
        furnished(world)
        before = len(world.ledger)
        world.create(JOBS, job("train", seconds=1))
        world.advance(30)
        assert world.job_state("train") == "Complete"
        assert [entry.by for entry in world.ledger[before:] if entry.by in ("cluster-queue", "local-queue")] == []


@pytest.mark.parametrize(
    ("seconds", "writers"),
    [
        (15, []),
        (40, ["cluster-queue"] * 2),
        (90, ["cluster-queue", "local-queue"] * 2),
    ],
)
def test_a_job_with_nobody_beside_it_costs_a_queue_two_writes_once_it_has_run_long_enough(
    seconds: float, writers: list[str]
) -> None:
    """When it has begun to be worth telling, and when it is over. With the 13 of the job itself: 13, 15 and 17."""
    with lab() as world:
        furnished(world)
        before = len(world.ledger)
        world.create(JOBS, job("train", seconds=seconds))
        world.advance(300)
        assert world.job_state("train") == "Complete"
        assert [entry.by for entry in world.ledger[before:] if entry.by in ("cluster-queue", "local-queue")] == writers


def test_what_runs_is_counted_within_twenty_seconds_and_in_its_namespace_within_a_minute() -> None:
    with lab() as world:
        furnished(world)
        world.create(JOBS, job("train", seconds=120))
        world.advance(21)
        assert world.the(CLUSTER_QUEUES, "default", "")["status"]["admittedWorkloads"] == 1
        world.advance(40)
        assert world.the(LOCAL_QUEUES, "default")["status"]["admittedWorkloads"] == 1
        world.advance(81)
        assert world.job_state("train") == "Complete"
        assert world.the(CLUSTER_QUEUES, "default", "")["status"]["admittedWorkloads"] == 0
        world.advance(40)
        assert world.the(LOCAL_QUEUES, "default")["status"]["admittedWorkloads"] == 0


def test_long_jobs_that_follow_one_another_cost_their_queues_nothing() -> None:
    with lab() as world:
        furnished(world)
        world.create(JOBS, job("first", seconds=100))
        world.advance(70)
        before = len(world.ledger)
        for number in range(3):
            world.advance(40)  # the one before has ended, some seconds ago
            world.create(JOBS, job(f"next-{number}", seconds=30))
        world.advance(20)
        assert [entry.by for entry in world.ledger[before:] if entry.by in ("cluster-queue", "local-queue")] == []
        assert world.the(CLUSTER_QUEUES, "default", "")["status"]["admittedWorkloads"] == 1
        world.advance(90)
        assert world.the(CLUSTER_QUEUES, "default", "")["status"]["admittedWorkloads"] == 0
        assert world.the(LOCAL_QUEUES, "default")["status"]["admittedWorkloads"] == 0


def test_who_comes_to_wait_is_counted_within_three_seconds() -> None:
    with lab() as world:
        furnished(world)
        world.create(JOBS, job("first", cpu="4", seconds=60))
        world.create(JOBS, job("second", cpu="4"))
        world.advance(4)
        assert world.the(CLUSTER_QUEUES, "default", "")["status"]["pendingWorkloads"] == 1
        assert world.the(LOCAL_QUEUES, "default")["status"]["pendingWorkloads"] == 1


def test_counts_are_written_once_in_a_few_seconds_however_much_happens() -> None:
    with lab() as world:
        furnished(world)
        before = len(world.ledger)
        for number in range(20):
            world.create(JOBS, job(f"job-{number}", cpu="100m", seconds=60))
            world.settle()
        world.advance(21)
        writes = [entry for entry in world.ledger[before:] if entry.by in ("cluster-queue", "local-queue")]
        assert len(writes) <= 2
        assert world.the(CLUSTER_QUEUES, "default", "")["status"]["admittedWorkloads"] == 20


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("True", "Ready", "Can admit new workloads")),
        ({"stopPolicy": "Hold"}, ("False", "Stopped", "Can't admit new workloads: is stopped.")),
    ],
)
def test_a_cluster_queue_says_whether_it_is_open(change: Json, expected: tuple[str, str, str]) -> None:
    with lab() as world:
        furnished(world)
        world.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(change), "")
        world.settle()
        assert active(world) == expected


def test_a_missing_flavor_is_named_and_its_coming_opens_the_queue() -> None:
    with lab() as world:
        world.create(CLUSTER_QUEUES, cluster_queue("early", {"cpu": "1"}, stopPolicy="Hold"))
        world.create(LOCAL_QUEUES, local_queue("q", "early"))
        world.create(LOCAL_QUEUES, local_queue("dangling", "nowhere"))
        world.settle()
        assert active(world, "early") == (
            "False",
            "Stopped",
            "Can't admit new workloads: is stopped, references missing ResourceFlavor(s): default.",
        )
        assert _active(world.the(LOCAL_QUEUES, "q"))[1] == "ClusterQueueIsInactive"
        assert _active(world.the(LOCAL_QUEUES, "dangling"))[1] == "ClusterQueueDoesNotExist"
        world.edit(CLUSTER_QUEUES, "early", lambda value: value["spec"].update(stopPolicy="None"), "")
        world.create(
            RESOURCE_FLAVORS,
            {
                "apiVersion": RESOURCE_FLAVORS.api_version,
                "kind": "ResourceFlavor",
                "metadata": {"name": "default"},
                "spec": {},
            },
        )
        world.settle()
        assert active(world, "early")[1] == "Ready"
        assert _active(world.the(LOCAL_QUEUES, "q"))[1] == "Ready"


def test_a_circle_of_cohorts_closes_every_queue_below_it_until_it_is_broken() -> None:
    def cohort(name: str, parent: str) -> Json:
        spec = {"parentName": parent} if parent else {}
        return {"apiVersion": COHORTS.api_version, "kind": "Cohort", "metadata": {"name": name}, "spec": spec}

    with lab() as world:
        world.furnish(queue={"cohortName": "team"})
        world.create(COHORTS, cohort("team", "lab"))
        world.create(COHORTS, cohort("lab", "house"))
        world.settle()
        assert active(world)[1] == "Ready", "a parent without an object is a root"
        world.create(COHORTS, cohort("house", "lab"))
        world.settle()
        assert active(world) == (
            "False",
            "CohortCycleDetected",
            'Can\'t admit new workloads: Cohort "team" has a cycle in hierarchy.',
        )
        world.create(JOBS, job("train"))
        world.advance(20)
        assert world.job_state("train") == "suspended"
        world.edit(COHORTS, "house", lambda value: value["spec"].pop("parentName"), "")
        world.advance(20)
        assert active(world)[1] == "Ready"
        assert world.job_state("train") == "Complete"


def test_a_missing_topology_is_named_and_one_in_use_stays() -> None:
    with lab() as world:
        flavor: Json = {
            "apiVersion": RESOURCE_FLAVORS.api_version,
            "kind": "ResourceFlavor",
            "metadata": {"name": "default"},
            "spec": {"topologyName": "racks", "nodeLabels": {"pool": "a"}},
        }
        world.create(RESOURCE_FLAVORS, flavor)
        world.create(CLUSTER_QUEUES, cluster_queue("default", {"cpu": "1"}))
        world.settle()
        assert active(world) == (
            "False",
            "TopologyNotFound",
            'Can\'t admit new workloads: there is no Topology "racks" for TAS flavor "default".',
        )
        levels = {"levels": [{"nodeLabel": "rack"}, {"nodeLabel": "kubernetes.io/hostname"}]}
        racks = {
            "apiVersion": TOPOLOGIES.api_version,
            "kind": "Topology",
            "metadata": {"name": "racks"},
            "spec": levels,
        }
        world.create(TOPOLOGIES, racks)
        world.settle()
        assert active(world)[1] == "Ready"
        world.delete(TOPOLOGIES, "racks", "")
        world.settle()
        assert world.get(TOPOLOGIES, "racks", "") is not None
        world.delete(CLUSTER_QUEUES, "default", "")
        world.delete(RESOURCE_FLAVORS, "default", "")
        world.settle()
        assert world.get(TOPOLOGIES, "racks", "") is None


def test_a_queue_stays_while_work_holds_its_quota_and_a_flavor_while_a_queue_names_it() -> None:
    with lab() as world:
        furnished(world)
        world.create(JOBS, job("train", seconds=20))
        world.settle()
        world.delete(CLUSTER_QUEUES, "default", "")
        world.delete(RESOURCE_FLAVORS, "default", "")
        world.settle()
        assert active(world)[1] == "Terminating"
        world.create(JOBS, job("late"))
        world.settle()
        assert world.job_state("late") == "suspended"
        assert world.get(RESOURCE_FLAVORS, "default", "") is not None
        world.advance(60)
        assert world.job_state("train") == "Complete"
        assert world.get(CLUSTER_QUEUES, "default", "") is None
        assert world.get(RESOURCE_FLAVORS, "default", "") is None


def test_a_queue_that_changes_wakes_flavors_that_it_names_and_those_that_are_going_alone() -> None:
    with lab() as world:
        furnished(world)
        for name in ("kept", "other"):
            value = {"apiVersion": RESOURCE_FLAVORS.api_version, "kind": "ResourceFlavor", "metadata": {"name": name}}
            world.create(RESOURCE_FLAVORS, value)
        world.settle()
        wake = ResourceFlavorController.watches[CLUSTER_QUEUES]
        queue = Object.of(CLUSTER_QUEUES, world.the(CLUSTER_QUEUES, "default", ""))
        assert list(wake(queue, world.brain.view)) == [("", "default")]
        world.delete(RESOURCE_FLAVORS, "default", "")
        assert world.get(RESOURCE_FLAVORS, "default", "") is not None
        world.settle()
        assert set(wake(Object.of(CLUSTER_QUEUES, cluster_queue("other", {})), world.brain.view)) >= {("", "default")}


# ---------------------------------------------------------------------- defaults


def start(world: QueueLab) -> None:
    for write in BOOTSTRAP:
        world.write(write)
    world.advance(2)


def quota(world: QueueLab) -> dict[str, str]:
    group = world.the(CLUSTER_QUEUES, "default", "")["spec"]["resourceGroups"][0]
    (flavor,) = group["flavors"]
    assert [entry["name"] for entry in flavor["resources"]] == group["coveredResources"]
    return {entry["name"]: entry["nominalQuota"] for entry in flavor["resources"]}


def test_a_fresh_cluster_has_all_that_a_first_submit_needs() -> None:
    with lab(with_defaults) as world:
        start(world)
        world.join(node("node-0", "4", 2))
        world.create(JOBS, job("first", gpus=1))
        world.advance(10)
        assert world.job_state("first") == "Complete"
        names = {item["metadata"]["name"] for item in world.all(NAMESPACES)}
        assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= names
        values = {item["metadata"]["name"]: item["value"] for item in world.all(WORKLOAD_PRIORITY_CLASSES)}
        assert values == {"low": -100, "normal": 0, "high": 100}
        values = {item["metadata"]["name"]: item["value"] for item in world.all(PRIORITY_CLASSES)}
        assert values == {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def test_the_default_quota_follows_ready_nodes() -> None:
    with lab(with_defaults) as world:
        start(world)
        assert quota(world) == {"cpu": "0", "memory": "0"}
        world.join(node("node-0", "4"))
        world.join(node("node-1", "8", 2))
        world.settle()
        assert quota(world) == {"cpu": "12", "memory": "32Gi", "nvidia.com/gpu": "2"}

        def lose(value: Json) -> None:
            value["status"]["conditions"][0]["status"] = "Unknown"

        world.edit(NODES, "node-1", lose, "", "status")
        world.settle()
        assert quota(world) == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "0"}


def test_device_classes_are_made_once_as_the_drivers_have_them() -> None:
    path = Path(__file__).parents[3] / "examples" / "device-classes.yaml"
    published = {each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all(path.read_text())}
    with lab(with_defaults) as world:
        start(world)
        found = {each["metadata"]["name"]: each["spec"] for each in world.all(DEVICE_CLASSES, "")}
        assert found == published
        world.delete(DEVICE_CLASSES, "mig.nvidia.com", "")

        def own(value: Json) -> None:
            value["spec"]["selectors"] = [{"cel": {"expression": "true"}}]

        world.edit(DEVICE_CLASSES, "rdma.dra.net", own, "")
        world.settle()
        world.restart()
        world.settle()
        left = {each["metadata"]["name"]: each["spec"] for each in world.all(DEVICE_CLASSES, "")}
        assert left.keys() == published.keys() - {"mig.nvidia.com"}
        assert left["rdma.dra.net"]["selectors"] == [{"cel": {"expression": "true"}}]


def test_who_takes_the_annotation_away_owns_the_numbers() -> None:
    with lab(with_defaults) as world:
        start(world)

        def own(value: Json) -> None:
            del value["metadata"]["annotations"]["roadstead.dev/quota"]
            value["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0]["nominalQuota"] = "3"

        world.edit(CLUSTER_QUEUES, "default", own, "")
        world.join(node("node-0", "4"))
        world.settle()
        assert quota(world) == {"cpu": "3", "memory": "0"}


def set_quota(world: QueueLab, name: str, amount: str) -> None:
    def edit(value: Json) -> None:
        for entry in value["spec"]["resourceGroups"][0]["flavors"][0]["resources"]:
            if entry["name"] == name:
                entry["nominalQuota"] = amount

    world.edit(CLUSTER_QUEUES, "default", edit, "")
    world.settle()


def notes(world: QueueLab, reason: str) -> list[str]:
    return [note.message for note in world.notes if note.reason == reason]


def test_a_number_set_by_hand_stays_and_the_others_go_on_following() -> None:
    with lab(with_defaults) as world:
        start(world)
        world.join(node("node-0", "4", 8))
        world.settle()
        set_quota(world, "nvidia.com/gpu", "2")
        assert quota(world) == {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2"}
        (told,) = notes(world, "QuotaTakenOver")
        assert "nvidia.com/gpu (the machines have 8)" in told
        world.join(node("node-1", "4", 8))
        world.restart()
        world.settle()
        assert quota(world) == {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "2"}
        assert len(notes(world, "QuotaTakenOver")) == 1, "told once"

        def hand_back(value: Json) -> None:
            del value["metadata"]["annotations"]["roadstead.dev/quota-set"]

        world.edit(CLUSTER_QUEUES, "default", hand_back, "")
        world.settle()
        assert quota(world) == {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "16"}


def test_a_resource_that_somebody_added_or_took_out_is_his_too() -> None:
    with lab(with_defaults) as world:
        start(world)
        world.join(node("node-0", "4", 8))
        world.settle()

        def edit(value: Json) -> None:
            licenses = {"name": "example.com/license", "nominalQuota": "5"}
            group = value["spec"]["resourceGroups"][0]
            kept = [entry for entry in group["flavors"][0]["resources"] if entry["name"] != "nvidia.com/gpu"]
            group["flavors"][0]["resources"] = [*kept, licenses]
            group["coveredResources"] = ["cpu", "memory", "example.com/license"]

        world.edit(CLUSTER_QUEUES, "default", edit, "")
        world.join(node("node-1", "4", 8))
        world.settle()
        assert quota(world) == {"cpu": "8", "memory": "32Gi", "example.com/license": "5"}


def test_what_people_change_or_delete_stays_changed_and_what_the_system_needs_comes_back() -> None:
    with lab(with_defaults) as world:
        start(world)
        world.delete(LOCAL_QUEUES, "default")
        world.edit(WORKLOAD_PRIORITY_CLASSES, "low", lambda value: value.update(value=-7), "")
        world.delete(PRIORITY_CLASSES, "system-node-critical", "")
        world.restart()
        world.settle()
        assert world.get(LOCAL_QUEUES, "default") is None
        assert world.the(WORKLOAD_PRIORITY_CLASSES, "low", "")["value"] == -7
        assert world.the(PRIORITY_CLASSES, "system-node-critical", "")["value"] == 2_000_001_000
        world.delete(CONFIG_MAPS, "roadstead-defaults", "kube-system")
        world.settle()
        assert world.get(LOCAL_QUEUES, "default") is not None
        assert world.the(WORKLOAD_PRIORITY_CLASSES, "low", "")["value"] == -7


def test_a_second_start_writes_nothing() -> None:
    with lab(with_defaults) as world:
        start(world)
        before = len(world.ledger)
        world.restart()
        world.advance(5)
        assert world.ledger[before:] == []
