"""Jobs whose pods claim devices, through the whole control plane: queue, core, Placement, claims, pods, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from roadstead.controllers.admission import AdmissionDecider
from roadstead.controllers.claims import DeviceTaintController, PodClaimsController, ResourceClaimController
from roadstead.controllers.garbage import GarbageCollector
from roadstead.ingest import CLAIM_RESOURCES, RESOURCES
from roadstead.kinds.names import (
    DEVICE_CLASSES,
    DEVICE_TAINT_RULES,
    JOBS,
    PLACEMENTS,
    PODS,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
)
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from roadstead.runtime.step import Controller
from roadstead.testing.controllers import Fault
from tests.controllers.claims.kit import devices_of, from_template, shared
from tests.controllers.queueing.lab import QueueLab, all_controllers, job

LOW = {"kueue.x-k8s.io/priority-class": "low"}
HIGH = {"kueue.x-k8s.io/priority-class": "high"}
DRIVER = "gpu.example.com"


def controllers() -> Sequence[Controller]:
    return [
        *all_controllers(),
        PodClaimsController(),
        ResourceClaimController(),
        DeviceTaintController(),
        GarbageCollector(default_registry()),
    ]


def decider() -> AdmissionDecider:
    return AdmissionDecider(served=(*RESOURCES, *CLAIM_RESOURCES))


class DeviceLab(QueueLab):
    def __init__(self, **options: Any) -> None:
        super().__init__(controllers=controllers, decider=decider, **options)

    def __enter__(self) -> DeviceLab:
        return self

    def make(self, resource: Any, kind: str, name: str, spec: Json) -> None:
        self.create(
            resource,
            {"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name}, "spec": spec},
        )

    def equip(self, *, nodes: int = 1, devices: int = 4, **quota: str) -> None:
        """Nodes with devices that only slices tell of; a class, a template for two of one node and a shareable claim
        for one."""
        self.furnish(nodes=nodes, cpu="8", quota={"cpu": "16", **quota})
        for number in range(nodes):
            self.publish(f"node-{number}", [{"name": f"gpu-{device}"} for device in range(devices)])
        self.make(
            DEVICE_CLASSES,
            "DeviceClass",
            "gpu",
            {"selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]},
        )
        for name, count in (("one", 1), ("two", 2), ("many", devices)):
            asked = {"name": "gpus", "exactly": {"deviceClassName": "gpu", "count": count}}
            spec = {"devices": {"requests": [asked]}}
            self.make(RESOURCE_CLAIM_TEMPLATES, "ResourceClaimTemplate", name, {"spec": spec})
            if name == "one":
                self.make(RESOURCE_CLAIMS, "ResourceClaim", "ours", spec)
        self.settle()

    def publish(self, node: str, devices: Sequence[Json], generation: int = 1) -> None:
        spec = {
            "driver": DRIVER,
            "pool": {"name": node, "generation": generation, "resourceSliceCount": 1},
            "nodeName": node,
            "devices": list(devices),
        }
        self.make(RESOURCE_SLICES, "ResourceSlice", f"{node}-{generation}", spec)

    def held(self) -> dict[str, list[str]]:
        """Devices by claim."""
        return {
            claim["metadata"]["name"]: [
                f"{result['pool']}/{result['device']}" for result in claim["status"]["allocation"]["devices"]["results"]
            ]
            for claim in self.all(RESOURCE_CLAIMS)
            if devices_of(claim)
        }

    def check_claims(self) -> None:
        """No device is held by two claims; whoever has a node has its claims."""
        held = [device for devices in self.held().values() for device in devices]
        assert len(set(held)) == len(held)
        claims = {claim["metadata"]["name"]: claim for claim in self.all(RESOURCE_CLAIMS)}
        for pod in self.all(PODS):
            if not pod["spec"].get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                continue
            made = {
                each["name"]: each["resourceClaimName"] for each in pod["status"].get("resourceClaimStatuses") or ()
            }
            for entry in pod["spec"].get("resourceClaims") or ():
                claim = claims[entry.get("resourceClaimName") or made[entry["name"]]]
                uids = [each["uid"] for each in claim["status"].get("reservedFor") or ()]
                assert pod["metadata"]["uid"] in uids
                pools = {result["pool"] for result in claim["status"]["allocation"]["devices"]["results"]}
                assert pools == {pod["spec"]["nodeName"]}

    def check_free(self) -> None:
        """Nothing is held: no device, no quota, no node."""
        assert self.held() == {}
        self.check_nothing_is_held()


def claiming(name: str, *claims: Json, **options: Any) -> Json:
    value = job(name, **options)
    value["spec"]["template"]["spec"]["resourceClaims"] = list(claims)
    return value


@pytest.fixture
def lab() -> Iterator[DeviceLab]:
    with DeviceLab() as made:
        made.equip()
        yield made


def test_two_pods_with_a_template_claim_each_run_on_devices_of_their_own(lab: DeviceLab) -> None:
    lab.create(JOBS, claiming("train", from_template(), parallelism=2, completions=2, completionMode="Indexed"))
    lab.advance(2)
    pods = lab.all(PODS)
    assert [pod["spec"].get("nodeName") for pod in pods] == ["node-0", "node-0"]
    assert sorted(len(devices) for devices in lab.held().values()) == [2, 2]
    lab.check_claims()
    [placement] = lab.all(PLACEMENTS)
    [pod_set] = placement["spec"]["podSets"]
    given = [devices_of({"status": member["claims"][0]}) for member in pod_set["members"]]
    by_index = {
        pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]: pod["status"][
            "resourceClaimStatuses"
        ][0]["resourceClaimName"]
        for pod in pods
    }
    assert [devices_of(lab.the(RESOURCE_CLAIMS, by_index[str(index)])) for index in range(2)] == given
    lab.advance(20)
    assert lab.job_state("train") == "Complete"
    assert [claim["metadata"]["name"] for claim in lab.all(RESOURCE_CLAIMS)] == ["ours"]
    lab.check_free()


def test_who_finds_no_device_waits_and_starts_when_one_is_given_back(lab: DeviceLab) -> None:
    lab.create(JOBS, claiming("first", from_template("many"), seconds=20))
    lab.advance(2)
    lab.create(JOBS, claiming("second", from_template("one"), seconds=5))
    lab.advance(5)
    assert [lab.job_state(name) for name in ("first", "second")] == ["running", "suspended"]
    assert lab.condition(lab.workload_of("second"), "QuotaReserved")[0] == "False"
    lab.advance(60)
    assert [lab.job_state(name) for name in ("first", "second")] == ["Complete", "Complete"]
    lab.check_free()


def test_preemption_gives_the_devices_to_who_is_more_important() -> None:
    with DeviceLab() as lab:
        lab.equip(cpu="2")
        lab.create(JOBS, claiming("low", from_template("many"), seconds=30, cpu="2", labels=LOW))
        lab.advance(3)
        lab.create(JOBS, claiming("high", from_template("many"), seconds=5, cpu="2", labels=HIGH))
        for _ in range(60):
            lab.advance(1)
            lab.check_claims()
        assert [lab.job_state(name) for name in ("low", "high")] == ["Complete", "Complete"]
        assert lab.workload_of("low")["status"]["schedulingStats"]["evictions"][0]["count"] == 1
        lab.check_free()


def test_a_pod_of_no_queue_gets_its_claims_too(lab: DeviceLab) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare", "annotations": {"test/run-seconds": "5"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "none"}],
            "resourceClaims": [from_template(), shared("ours", "mine")],
        },
    }
    lab.create(PODS, pod)
    lab.advance(2)
    assert lab.the(PODS, "bare")["spec"]["nodeName"] == "node-0"
    assert sorted(len(devices) for devices in lab.held().values()) == [1, 2]
    lab.check_claims()
    lab.advance(20)
    assert [claim["metadata"]["name"] for claim in lab.all(RESOURCE_CLAIMS)] == ["ours"]
    lab.check_free()


def test_what_is_kept_for_who_waits_for_a_victim_is_nobody_elses_yet() -> None:
    """A pod of no queue shares the claim of a job that waits for a victim's device: it waits, too."""
    with DeviceLab() as lab:
        lab.equip(devices=1, cpu="1")
        lab.create(JOBS, claiming("low", from_template("one"), seconds=30, labels=LOW))
        lab.advance(2)
        spec = claiming("x", shared("ours"))["spec"]["template"]["spec"]
        metadata = {"name": "bare", "annotations": {"test/run-seconds": "20"}}
        lab.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        lab.advance(1)
        lab.create(JOBS, claiming("high", shared("ours"), seconds=5, labels=HIGH))
        for _ in range(90):
            lab.advance(1)
            lab.check_claims()
        assert [lab.job_state(name) for name in ("low", "high")] == ["Complete", "Complete"]
        assert lab.the(PODS, "bare")["status"]["phase"] == "Succeeded"
        lab.check_free()


def test_a_gang_that_shares_a_claim_runs_beside_its_device() -> None:
    with DeviceLab() as lab:
        lab.equip(nodes=2)
        lab.create(JOBS, claiming("team", shared("ours"), parallelism=3, completions=3))
        lab.advance(2)
        assert len({pod["spec"]["nodeName"] for pod in lab.all(PODS)}) == 1
        lab.check_claims()
        assert len(lab.the(RESOURCE_CLAIMS, "ours")["status"]["reservedFor"]) == 3
        lab.advance(30)
        assert lab.job_state("team") == "Complete"
        lab.check_free()


def test_a_retry_of_a_failed_pod_has_the_same_devices(lab: DeviceLab) -> None:
    lab.create(JOBS, claiming("train", from_template("many"), seconds=30, backoffLimit=3))
    lab.advance(2)
    [pod] = lab.all(PODS)
    before = list(lab.held().values())
    lab.edit_status(PODS, pod["metadata"]["name"], phase="Failed")
    for _ in range(60):
        lab.advance(1)
        lab.check_claims()
        if any(found["spec"].get("nodeName") and found["status"]["phase"] == "Running" for found in lab.all(PODS)):
            break
    assert list(lab.held().values()) == before
    lab.advance(60)
    assert lab.job_state("train") == "Complete"
    lab.check_free()


def test_a_no_execute_rule_moves_a_job_to_other_devices() -> None:
    with DeviceLab() as lab:
        lab.equip(devices=4)
        lab.create(JOBS, claiming("train", from_template("one"), seconds=20))
        lab.advance(2)
        [[device]] = lab.held().values()
        broken = device.partition("/")[2]
        lab.make(
            DEVICE_TAINT_RULES,
            "DeviceTaintRule",
            "broken",
            {"deviceSelector": {"device": broken}, "taint": {"key": "example.com/broken", "effect": "NoExecute"}},
        )
        lab.advance(2)
        assert lab.condition(lab.the(DEVICE_TAINT_RULES, "broken"), "EvictionInProgress")[0] == "True"
        seen: set[str] = set()
        for _ in range(40):
            lab.advance(1)
            lab.check_claims()
            seen.update(each for devices in lab.held().values() for each in devices)
        assert len(seen - {device}) == 1, "it ran on another device"
        lab.advance(90)
        assert lab.job_state("train") == "Complete"
        lab.check_free()
        condition = lab.condition(lab.the(DEVICE_TAINT_RULES, "broken"), "EvictionInProgress")
        assert condition == ("False", "Completed")


# ---------------------------------------------------------------------- whatever goes wrong


def story(faults: Mapping[int, Fault], *, lag: int = 0, seed: int = 0) -> DeviceLab:
    """A gang of two runs, a more important job takes all devices, both end."""
    lab = DeviceLab(lag=lag, seed=seed)
    lab.equip(cpu="2")
    lab.faults = {lab.writes + number: fault for number, fault in faults.items()}
    lab.first_write = lab.writes
    gang: dict[str, Any] = {"parallelism": 2, "completions": 2, "completionMode": "Indexed"}
    lab.create(JOBS, claiming("gang", from_template(), seconds=10, labels=LOW, **gang))
    watch(lab, 3)
    lab.create(JOBS, claiming("high", from_template("many"), seconds=5, labels=HIGH))
    watch(lab, 60)
    return lab


def watch(lab: DeviceLab, seconds: int) -> None:
    for _ in range(seconds):
        lab.advance(1)
        lab.check_claims()


def check_outcome(lab: DeviceLab) -> None:
    assert [lab.job_state(name) for name in ("gang", "high")] == ["Complete", "Complete"]
    lab.check_free()
    assert [claim["metadata"]["name"] for claim in lab.all(RESOURCE_CLAIMS)] == ["ours"]


def test_the_undisturbed_story_is_covered_by_the_faults() -> None:
    with story({}) as lab:
        check_outcome(lab)
        assert lab.writes - lab.first_write <= 100


FAULTS = [(at, Fault.CRASH_AFTER) for at in range(0, 100, 2)]
FAULTS += [(at, fault) for fault in (Fault.CONFLICT, Fault.LOST_ANSWER) for at in range(0, 100, 5)]


@pytest.mark.parametrize(("at", "fault"), FAULTS)
def test_one_fault_at_any_write_changes_nothing(at: int, fault: Fault) -> None:
    with story({at: fault}) as lab:
        check_outcome(lab)


@pytest.mark.parametrize("seed", range(10))
def test_views_that_lag_change_nothing(seed: int) -> None:
    with story({}, lag=seed % 5 + 1, seed=seed) as lab:
        check_outcome(lab)
