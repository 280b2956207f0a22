"""Devices that a driver makes ready first: the pod waits, and goes elsewhere if that fails (KEP-5007)."""

from __future__ import annotations

from roadstead.kinds.names import PLACEMENTS, PODS, RESOURCE_CLAIMS
from roadstead.kinds.object import Json
from tests.controllers.claims.kit import DRIVER, ClaimLab, allocation, devices_of, from_template

CONDITIONS: Json = {"bindingConditions": ["example.com/attached"], "bindingFailureConditions": ["example.com/failed"]}


def waiting(lab: ClaimLab) -> str:
    lab.template(count=1)
    lab.place([{"gpus": allocation("gpu-0", **CONDITIONS)}])
    lab.pod("a", [from_template()])
    lab.settle()
    return str(lab.claim_of("a")["metadata"]["name"])


def report(lab: ClaimLab, claim: str, condition: str) -> None:
    """What the driver says of the device."""
    said: Json = {"type": condition, "status": "True", "reason": "R", "message": ""}
    said["lastTransitionTime"] = "2027-01-15T08:00:00Z"
    device = {"driver": DRIVER, "pool": "n1", "device": "gpu-0", "conditions": [said]}
    lab.edit_status(RESOURCE_CLAIMS, claim, devices=[device])


def test_a_pod_is_bound_when_the_driver_has_made_its_device_ready() -> None:
    with ClaimLab() as lab:
        claim = waiting(lab)
        assert devices_of(lab.the(RESOURCE_CLAIMS, claim)) == ["gpu-0"], "it is reserved meanwhile"
        lab.advance(60)
        assert lab.node_of("a") == ""
        report(lab, claim, "example.com/attached")
        lab.settle()
        assert lab.node_of("a") == "n1"


def test_a_failure_gives_the_device_and_the_place_back() -> None:
    with ClaimLab() as lab:
        claim = waiting(lab)
        report(lab, claim, "example.com/failed")
        lab.settle()
        assert lab.the(RESOURCE_CLAIMS, claim)["status"] == {}
        assert lab.all(PLACEMENTS) == []
        assert lab.node_of("a") == ""
        [note] = [note for note in lab.notes if note.reason == "FailedScheduling"]
        assert "could not prepare" in note.message


def test_so_does_a_driver_that_takes_too_long() -> None:
    with ClaimLab() as lab:
        claim = waiting(lab)
        lab.advance(599)
        assert devices_of(lab.the(RESOURCE_CLAIMS, claim)) == ["gpu-0"]
        lab.advance(2)
        assert devices_of(lab.the(RESOURCE_CLAIMS, claim)) == []
        assert lab.all(PLACEMENTS) == []
        assert [pod["metadata"]["name"] for pod in lab.all(PODS)] == ["a"]
