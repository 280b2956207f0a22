"""Workloads that wait for somebody to take his gate off, and how a queue's closing and opening shows in conditions."""

from __future__ import annotations

import pytest

from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Create, Outcome, Result, Update
from tests.controllers.queueing.lab import QueueLab, job, local_queue

GATE = "kueue.x-k8s.io/admission-gated-by"
TWO = "example.com/predict,example.com/budget"


def gated(lab: QueueLab, text: str | None, name: str = "train") -> Outcome:
    value = lab.the(JOBS, name)
    annotations = value["metadata"].setdefault("annotations", {})
    annotations.pop(GATE, None)
    if text is not None:
        annotations[GATE] = text
    return lab.write(Update(JOBS, value))


def reserved(lab: QueueLab, name: str = "train") -> tuple[str, str]:
    return lab.condition(lab.workload_of(name), "QuotaReserved")


def said(lab: QueueLab, name: str = "train") -> str:
    conditions = lab.workload_of(name)["status"]["conditions"]
    return next(str(c["message"]) for c in conditions if c["type"] == "QuotaReserved")


def events(lab: QueueLab, reason: str) -> list[tuple[str, str]]:
    return [(note.type, note.message) for note in lab.notes if note.reason == reason]


def test_a_gated_job_waits_until_the_last_gate_is_off() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train", annotations={GATE: TWO}))
        lab.advance(5)
        assert reserved(lab) == ("False", "AdmissionGated")
        assert said(lab).startswith(f"Admission is gated by: {TWO}")
        assert lab.condition(lab.workload_of("train"), "Admitted") == ("False", "NoReservation")
        assert events(lab, "AdmissionGated") == [("Normal", f"Workload admission is gated by: {TWO}")]
        assert gated(lab, "example.com/budget").is_done
        lab.advance(5)
        assert lab.workload_of("train")["metadata"]["annotations"][GATE] == "example.com/budget"
        assert reserved(lab) == ("False", "AdmissionGated")
        assert gated(lab, None).is_done
        lab.settle(lab.now)
        assert reserved(lab) == ("True", "QuotaReserved")
        assert lab.job_state("train") == "running"
        cleared = [("Normal", "Admission gate cleared, workload is now admissible")]
        assert events(lab, "AdmissionGateCleared") == cleared


def test_others_pass_a_gated_job_and_its_requests_may_change_meanwhile() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("train", cpu="8", annotations={GATE: "example.com/predict"}))
        lab.create(JOBS, job("other", cpu="3", seconds=None))
        lab.settle()
        assert lab.job_state("other") == "running"

        def predicted(value: Json) -> None:
            (container,) = value["spec"]["template"]["spec"]["containers"]
            container["resources"]["requests"]["cpu"] = "1"
            del value["metadata"]["annotations"][GATE]

        lab.edit(JOBS, "train", predicted)
        lab.settle()
        assert lab.workload_of("train")["status"]["admission"]["podSetAssignments"][0]["resourceUsage"]["cpu"] == "1"


def test_a_gate_that_goes_while_there_is_no_room_leaves_a_reason_of_its_own() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("other", cpu="4", seconds=None))
        lab.create(JOBS, job("train", cpu="4", annotations={GATE: "example.com/predict"}))
        lab.settle()
        gated(lab, None)
        lab.settle()
        assert reserved(lab) == ("False", "WaitingForQuota")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("predict", "must be a domain-prefixed path"),
        ("example.com/", "must be a domain-prefixed path"),
        ("Example.com/x", "a lowercase RFC 1123 subdomain"),
        ("example.com/a,,example.com/b", "cannot contain empty gate names"),
        ("example.com/a, example.com/a", "duplicate gate name: example.com/a"),
        (f"example.com/{'x' * 60}", "Too long: may not be more than 63 bytes"),
    ],
)
def test_a_gate_is_a_domain_prefixed_path(text: str, wrong: str) -> None:
    with QueueLab() as lab:
        lab.furnish()
        value = job("train", annotations={GATE: text})
        outcome = lab.write(Create(JOBS, {**value, "metadata": {**value["metadata"], "namespace": "default"}}))
        assert outcome.result is Result.INVALID
        assert f"metadata.annotations[{GATE}]" in outcome.message
        assert wrong in outcome.message


def test_gates_only_go() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(JOBS, job("train", annotations={GATE: "example.com/a"}))
        lab.create(JOBS, job("free"))
        assert "can only remove gates, not add new ones" in gated(lab, "example.com/a,example.com/b").message
        assert "cannot add admission gate after creation" in gated(lab, "example.com/a", "free").message
        assert gated(lab, "").is_done


# ---------------------------------------------------------------------- reasons that end with their cause


def test_a_reason_of_a_closed_queue_does_not_outlive_it() -> None:
    """Nobody evaluates those behind the head; they must not go on saying that the queue is stopped (kueue 2.2)."""
    with QueueLab() as lab:
        lab.furnish(cpu="4", queue={"queueingStrategy": "StrictFIFO", "stopPolicy": "Hold"})
        lab.create(JOBS, job("first", cpu="4", seconds=None))
        lab.advance(1)
        lab.create(JOBS, job("second", cpu="4", seconds=None))
        lab.advance(1)
        lab.create(JOBS, job("third", cpu="2", seconds=None))
        lab.advance(1)
        assert {reserved(lab, name) for name in ("first", "second", "third")} == {("False", "Suspended")}
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="None"), "")
        lab.advance(1)
        assert reserved(lab, "first")[0] == "True"
        assert reserved(lab, "second") == ("False", "WaitingForQuota")
        assert reserved(lab, "third") == ("False", "PendingEvaluation")


def test_the_reason_follows_what_stands_in_the_way_first() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.create(
            JOBS, job("train", labels={"kueue.x-k8s.io/queue-name": "later"}, annotations={GATE: "example.com/a"})
        )
        lab.advance(1)
        assert reserved(lab) == ("False", "Misconfigured"), "no such LocalQueue"
        lab.create(LOCAL_QUEUES, local_queue("later", "default"))
        lab.edit(LOCAL_QUEUES, "later", lambda value: value["spec"].update(stopPolicy="Hold"))
        lab.advance(1)
        assert reserved(lab) == ("False", "Suspended")
        lab.edit(LOCAL_QUEUES, "later", lambda value: value["spec"].update(stopPolicy="None"))
        lab.advance(1)
        assert reserved(lab) == ("False", "AdmissionGated")
        name = lab.workload_of("train")["metadata"]["name"]
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(active=False))
        lab.advance(1)
        assert reserved(lab) == ("False", "Deactivated")
        lab.edit(WORKLOADS, name, lambda value: value["spec"].update(active=True))
        lab.advance(1)
        assert reserved(lab) == ("False", "AdmissionGated")
        gated(lab, None)
        lab.settle(lab.now)
        assert lab.job_state("train") == "running"


def test_who_put_it_on_hold_takes_it_off() -> None:
    """OnHold is another controller's word: it is kept, and the workload is in no queue meanwhile (kueue 2.8)."""
    with QueueLab() as lab:
        lab.furnish(queue={"stopPolicy": "Hold"})
        lab.create(JOBS, job("train"))
        lab.settle()
        name = lab.workload_of("train")["metadata"]["name"]

        def hold(reason: str) -> None:
            def write(value: Json) -> None:
                (found,) = [c for c in value["status"]["conditions"] if c["type"] == "QuotaReserved"]
                found.update(reason=reason, message="scaled to zero")

            lab.edit(WORKLOADS, name, write, subresource="status")
            lab.settle(lab.now)

        hold("OnHold")
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="None"), "")
        lab.advance(5)
        assert reserved(lab) == ("False", "OnHold")
        assert said(lab) == "scaled to zero"
        assert lab.job_state("train") == "suspended"
        hold("PendingEvaluation")
        assert reserved(lab) == ("True", "QuotaReserved")
