"""Rules of podFailurePolicy, successPolicy and back-off as tables."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.controllers.job import backoff, policies
from roadstead.controllers.job.census import Census, JobPod
from roadstead.controllers.job.template import free_name, new_pod
from roadstead.kinds.names import JOBS, PODS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, format_time
from roadstead.kinds.views.job import JobView
from tests.controllers.kit import job

NOON = 1_800_014_400 * SECOND


def view(**spec: Any) -> JobView:
    manifest = job(**spec)
    manifest["metadata"].update(uid="u", namespace="default")
    return Object.of(JOBS, manifest).view(JobView)


def pod(name: str = "p", phase: str = "Failed", code: int = 1, at: int = NOON, **extra: Any) -> JobPod:
    value: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "finalizers": ["batch.kubernetes.io/job-tracking"],
            **extra.pop("metadata", {}),
        },
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": "main", "state": {"terminated": {"exitCode": code, "finishedAt": format_time(at)}}}
            ],
            **extra,
        },
    }
    return JobPod.of(Object.of(PODS, value))


def exit_rule(action: str, operator: str, *values: int, container: str | None = None) -> Json:
    return {
        "action": action,
        "onExitCodes": {"operator": operator, "values": list(values), "containerName": container},
    }


def condition_rule(action: str, type: str, status: str | None = None) -> Json:
    pattern = {"type": type} if status is None else {"type": type, "status": status}
    return {"action": action, "onPodConditions": [pattern]}


DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


@pytest.mark.parametrize(
    ("rules", "failed", "action", "is_counted"),
    [
        ([], pod(), "", True),
        ([exit_rule("FailJob", "In", 42)], pod(code=42), "FailJob", True),
        ([exit_rule("FailJob", "In", 42)], pod(code=1), "", True),
        ([exit_rule("FailJob", "NotIn", 42)], pod(code=1), "FailJob", True),
        ([exit_rule("FailJob", "NotIn", 42)], pod(code=42), "", True),
        ([exit_rule("FailJob", "NotIn", 42)], pod(code=0), "", True),
        ([exit_rule("Ignore", "In", 1, container="main")], pod(code=1), "Ignore", False),
        ([exit_rule("Ignore", "In", 1, container="other")], pod(code=1), "", True),
        ([exit_rule("Count", "In", 1), exit_rule("FailJob", "In", 1)], pod(code=1), "Count", True),
        ([exit_rule("FailIndex", "In", 1)], pod(code=1), "FailIndex", True),
        ([condition_rule("Ignore", "DisruptionTarget")], pod(conditions=DISRUPTED), "Ignore", False),
        ([condition_rule("Ignore", "DisruptionTarget", "False")], pod(conditions=DISRUPTED), "", True),
        ([condition_rule("Ignore", "DisruptionTarget")], pod(), "", True),
    ],
)
def test_the_first_rule_that_matches_judges_a_failed_pod(
    rules: list[Json], failed: JobPod, action: str, is_counted: bool
) -> None:
    judgement = policies.judge(view(podFailurePolicy={"rules": rules}), failed)
    assert (judgement.action, judgement.is_counted) == (action, is_counted)


def test_the_message_of_a_condition_rule_names_pod_condition_and_rule() -> None:
    rules = [exit_rule("Count", "In", 9), condition_rule("FailJob", "DisruptionTarget")]
    judged = policies.judge(view(podFailurePolicy={"rules": rules}), pod("p7", conditions=DISRUPTED))
    assert judged.message == "Pod default/p7 has condition DisruptionTarget matching FailJob rule at index 1"


@pytest.mark.parametrize(
    ("rule", "completed", "is_met"),
    [
        ({"succeededIndexes": "0,2-3"}, {0, 2}, False),
        ({"succeededIndexes": "0,2-3"}, {0, 2, 3}, True),
        ({"succeededIndexes": "0-4", "succeededCount": 2}, {0}, False),
        ({"succeededIndexes": "0-4", "succeededCount": 2}, {0, 4}, True),
        ({"succeededIndexes": "0-4", "succeededCount": 2}, {5, 6, 7}, False),
        ({"succeededCount": 3}, {5, 6}, False),
        ({"succeededCount": 3}, {5, 6, 7}, True),
    ],
)
def test_success_policy(rule: Json, completed: set[int], is_met: bool) -> None:
    found = policies.success_policy(
        view(completions=8, completionMode="Indexed", successPolicy={"rules": [{"succeededCount": 8}, rule]}),
        frozenset(completed),
    )
    assert (found is not None) == is_met
    if found is not None:
        assert (found.reason, found.message) == ("SuccessPolicy", "Matched rules at index 1")


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([], 0),
        ([pod("a")], NOON + 10 * SECOND),
        ([pod("a"), pod("b", at=NOON + 5 * SECOND)], NOON + 25 * SECOND),
        ([pod("a"), pod("b", phase="Succeeded", at=NOON + 5 * SECOND)], 0),
        ([pod("a", phase="Succeeded"), pod("b", at=NOON + 5 * SECOND)], NOON + 15 * SECOND),
        ([pod(str(number)) for number in range(12)], NOON + 600 * SECOND),
    ],
)
def test_the_next_pod_waits_longer_with_every_failure_since_the_last_success(pods: list[JobPod], expected: int) -> None:
    assert backoff.not_before(Census(view(), pods)) == expected


@pytest.mark.parametrize(
    ("status", "metadata", "expected"),
    [
        ({}, {}, NOON),
        (
            {
                "containerStatuses": [],
                "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": format_time(NOON - SECOND)}],
            },
            {},
            NOON - SECOND,
        ),
        (
            {"containerStatuses": []},
            {"deletionTimestamp": format_time(NOON + 30 * SECOND), "deletionGracePeriodSeconds": 30},
            NOON,
        ),
        ({"containerStatuses": []}, {"creationTimestamp": format_time(NOON - 9 * SECOND)}, NOON - 9 * SECOND),
    ],
    ids=["containers", "readiness", "deletion", "creation"],
)
def test_when_a_pod_stopped(status: Json, metadata: Json, expected: int) -> None:
    assert pod(metadata=metadata, **status).finished == expected


def test_names_of_long_jobs_leave_room_for_index_and_suffix() -> None:
    long = view(name="j" * 63)
    for index in (None, 7, 99999):
        name = free_name(long, index, 0, ())
        assert len(name) <= 63
        assert name == free_name(long, index, 0, ())
        assert free_name(long, index, 0, {name}) == free_name(long, index, 1, ())
    assert "-99999-" in free_name(long, 99999, 0, ())


def test_a_pod_is_made_from_the_template_and_leaves_it_alone() -> None:
    manifest = job(completions=1, completionMode="Indexed")
    manifest["metadata"].update(uid="u", namespace="default")
    owner = Object.of(JOBS, manifest)
    made = new_pod(owner, owner.decode()["spec"]["template"], "train-0-x", 0, (2, 1))
    assert made["metadata"]["annotations"] == {
        "batch.kubernetes.io/job-completion-index": "0",
        "batch.kubernetes.io/job-index-failure-count": "2",
        "batch.kubernetes.io/job-index-ignored-failure-count": "1",
    }
    assert "env" not in owner.decode()["spec"]["template"]["spec"]["containers"][0]
