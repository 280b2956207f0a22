"""What is told to whom: members of one equivalence class share a verdict, numbers that stay are told anew when they
change."""

from __future__ import annotations

import orjson
import pytest

from roadstead.controllers.admission.pending import says_reason
from roadstead.controllers.admission.refusals import MEMBERS_LOOKED_AT, Refusals
from roadstead.core.explain.why import why
from roadstead.core.plan import Verdicts
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.kinds.names import CLUSTER_QUEUES, JOBS, LOCAL_QUEUES, RESOURCE_FLAVORS, WORKLOADS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.kueue import WorkloadView
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.workload import WorkloadKey
from roadstead.runtime.step import Note
from roadstead.views.why import why_answer
from tests.controllers.queueing.lab import QueueLab, job


def said(lab: QueueLab, name: str) -> tuple[str, str]:
    view = Object.of(WORKLOADS, lab.workload_of(name)).view(WorkloadView)
    condition = find_condition(view.status.conditions, "QuotaReserved")
    return (condition.reason, condition.message) if condition is not None else ("", "")


def warned(lab: QueueLab, name: str) -> list[str]:
    workload = lab.workload_of(name)["metadata"]["name"]
    return [note.reason for note in lab.notes if note.about.meta.name == workload and note.type == "Warning"]


def told(lab: QueueLab) -> list[Note]:
    return [note for note in lab.notes if note.reason == "WaitingForQuota"]


def test_an_equal_of_a_refused_job_is_told_the_same_though_nobody_looks_at_it() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("same1", cpu="20"))
        lab.settle()
        lab.create(JOBS, job("same2", cpu="20"))
        lab.settle()
        assert said(lab, "same1")[0] == "ExceedsMaxQuota"
        assert said(lab, "same2") == said(lab, "same1")
        assert warned(lab, "same2") == ["ExceedsMaxQuota"]
        verdicts = lab.decider.verdicts(("default", lab.workload_of("same2")["metadata"]["name"]))
        assert verdicts is not None
        assert verdicts.refusals[0].code is Code.EXCEEDS_MAX_QUOTA


def test_equals_that_came_together_are_all_told_and_only_once() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.create(JOBS, job("runs", cpu="3", seconds=60))
        lab.settle()
        for at in range(4):
            lab.create(JOBS, job(f"same{at}", cpu="2"))
        lab.settle()
        assert {said(lab, f"same{at}")[0] for at in range(4)} == {"WaitingForQuota"}
        before = len(told(lab))
        lab.advance(30)
        assert len(told(lab)) == before == 4


def test_what_can_never_fit_is_told_the_new_limit_when_the_quota_changes() -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="16")
        for name in ("wide", "equal"):
            lab.create(JOBS, job(name, cpu="20"))
        lab.settle()
        assert "16" in said(lab, "wide")[1]

        def to_nothing(value: Json) -> None:
            for resource in value["spec"]["resourceGroups"][0]["flavors"][0]["resources"]:
                resource["nominalQuota"] = "0"

        lab.edit(CLUSTER_QUEUES, "default", to_nothing, "")
        lab.settle()
        for name in ("wide", "equal"):
            assert "16" not in said(lab, name)[1]


def test_why_about_a_queue_whose_flavor_is_missing_can_be_written_as_json() -> None:
    with QueueLab() as lab:
        lab.furnish()
        lab.delete(RESOURCE_FLAVORS, "default", "")
        lab.settle()
        lab.create(JOBS, job("train"))
        lab.settle()
        answer = why_answer(
            "default", "train", lab.brain.view, lambda key: lab.decider.explain(key, lab.clock), lab.clock
        )
        (reason,) = orjson.loads(orjson.dumps(answer.as_json()))["reasons"]
        assert (reason["code"], reason["counts"]) == ("ClusterQueueInactive", {"FlavorNotFound": 1})


def test_behind_a_stopped_queue_one_evaluation_does_for_all_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    with QueueLab() as lab:
        lab.furnish(cpu="4")
        lab.edit(LOCAL_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="Hold"))
        for at in range(5):
            lab.create(JOBS, job(f"job{at}"))
        lab.settle()
        asked: list[WorkloadKey] = []

        def count(world: World, key: WorkloadKey, now: int, rules: Rules) -> Verdicts:
            asked.append(key)
            return why(world, key, now, rules)

        monkeypatch.setattr("roadstead.controllers.admission.decider.why", count)
        lab.edit(CLUSTER_QUEUES, "default", lambda value: value["spec"].update(stopPolicy="Hold"), "")
        lab.settle()
        assert len(asked) == 1
        assert {said(lab, f"job{at}")[0] for at in range(5)} == {"Suspended"}


def workload(name: str) -> Object:
    value = {"apiVersion": WORKLOADS.api_version, "kind": "Workload", "metadata": {"name": name, "namespace": "a"}}
    return Object.of(WORKLOADS, {**value, "status": {}})


def test_many_members_are_told_a_part_at_a_time() -> None:
    refusals = Refusals()
    waiting = ("q", 1)
    members = [(WORKLOADS, ("a", f"w{at}")) for at in range(3 * MEMBERS_LOOKED_AT)]
    refusal = Refusal(Code.WAITING_FOR_QUOTA, Verdict.WAIT, Level.QUEUE, flavor="f", resource="cpu", subject="q")
    refusals.parked(waiting, Verdicts(("a", "w0"), "", (refusal,)), lambda: members)
    rounds = []
    while refusals.has_more:
        told = list(refusals.to_tell(lambda subject: workload(subject[1][1]), 0, lambda subject: waiting))
        rounds.append(len(told))
    assert rounds == [MEMBERS_LOOKED_AT] * 3
    assert says_reason(workload("w0")) == ""
