"""What a failed pod does to its Job: replaced, counted, ignored, or the end of an index or of all."""

from __future__ import annotations

from itertools import pairwise

from roadstead.kinds.names import JOBS, PODS
from roadstead.testing.controllers import Lab
from tests.controllers.kit import (
    by_index,
    conditions,
    end,
    index_of,
    job,
    live,
    reasons,
    seconds,
    start,
    status,
    stop_marked,
    tracked,
)


def test_failed_pods_are_replaced_after_ten_and_twenty_seconds_until_the_limit(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, backoffLimit=2))
    lab.settle()
    created = [lab.now]
    for wait in (10, 20):
        end(lab, live(lab)[0], 1)
        lab.settle()
        lab.advance(wait - 1)
        assert live(lab) == []
        lab.advance(1)
        assert len(live(lab)) == 1
        created.append(lab.now)
    end(lab, live(lab)[0], 1)
    lab.settle()
    assert [later - earlier for earlier, later in pairwise(created)] == [seconds(10), seconds(20)]
    assert status(lab)["failed"] == 3
    assert conditions(lab.the(JOBS, "train")) == {
        "FailureTarget": ("True", "BackoffLimitExceeded"),
        "Failed": ("True", "BackoffLimitExceeded"),
    }
    assert "completionTime" not in status(lab)
    assert reasons(lab)[-1] == "BackoffLimitExceeded"


def test_restarts_in_place_count_against_the_limit_too(lab: Lab) -> None:
    lab.create(JOBS, job(restart="OnFailure", completions=1, parallelism=1, backoffLimit=2))
    lab.settle()
    [pod] = live(lab)
    start(lab, pod)
    restarted = [{"name": "c0", "restartCount": 2, "ready": True, "image": "none", "imageID": ""}]
    lab.edit_status(PODS, pod["metadata"]["name"], containerStatuses=restarted)
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["FailureTarget"] == ("True", "BackoffLimitExceeded")
    assert live(lab) == []


def test_the_terminal_condition_waits_for_pods_that_are_still_stopping(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2, backoffLimit=0))
    lab.settle()
    first, second = live(lab)
    start(lab, second)
    end(lab, first, 1)
    lab.advance(5)
    assert conditions(lab.the(JOBS, "train")) == {"FailureTarget": ("True", "BackoffLimitExceeded")}
    assert (status(lab).get("active", 0), status(lab)["terminating"], status(lab)["failed"]) == (0, 1, 2)
    assert stop_marked(lab) == 1
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Failed"] == ("True", "BackoffLimitExceeded")
    assert (status(lab)["terminating"], status(lab)["failed"]) == (0, 2)


def test_fail_job_rule_ends_the_job_at_once(lab: Lab) -> None:
    policy = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
    lab.create(
        JOBS, job(completions=3, parallelism=3, podFailurePolicy=policy, podReplacementPolicy="Failed", backoffLimit=6)
    )
    lab.settle()
    first, second, third = live(lab)
    start(lab, first)
    start(lab, second)
    end(lab, third, 42)
    lab.settle()
    found = next(c for c in status(lab)["conditions"] if c["type"] == "FailureTarget")
    assert found["reason"] == "PodFailurePolicy"
    name = third["metadata"]["name"]
    assert found["message"] == (
        f"Container c0 for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
    )
    assert live(lab) == []
    assert "Failed" not in conditions(lab.the(JOBS, "train"))
    stop_marked(lab)
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Failed"] == ("True", "PodFailurePolicy")


def test_ignored_failures_are_replaced_and_not_counted(lab: Lab) -> None:
    policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    lab.create(
        JOBS, job(completions=1, parallelism=1, backoffLimit=0, podFailurePolicy=policy, podReplacementPolicy="Failed")
    )
    lab.settle()
    [pod] = live(lab)
    end(lab, pod, 143, conditions=[{"type": "DisruptionTarget", "status": "True"}])
    lab.advance(20)
    [replacement] = live(lab)
    assert replacement["metadata"]["name"] != pod["metadata"]["name"]
    assert status(lab).get("failed", 0) == 0
    assert tracked(lab) == [replacement["metadata"]["name"]]


def test_an_index_fails_alone_and_the_others_finish(lab: Lab) -> None:
    lab.create(
        JOBS,
        job(completions=4, parallelism=4, completionMode="Indexed", backoffLimitPerIndex=1, backoffLimit=2147483647),
    )
    lab.settle()
    for index, pod in by_index(lab).items():
        end(lab, pod, 1 if index == 2 else 0)
    lab.advance(10)
    [retry] = live(lab)
    assert index_of(retry) == 2
    assert retry["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "1"
    end(lab, retry, 1)
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Failed"] == ("True", "FailedIndexes")
    assert (status(lab)["failedIndexes"], status(lab)["completedIndexes"]) == ("2", "0,1,3")
    assert (status(lab)["succeeded"], status(lab)["failed"]) == (3, 2)
    assert tracked(lab) == []


def test_a_failed_pod_stays_tracked_until_its_replacement_carries_the_count_on(lab: Lab) -> None:
    lab.create(
        JOBS,
        job(completions=1, parallelism=1, completionMode="Indexed", backoffLimitPerIndex=3, backoffLimit=2147483647),
    )
    lab.settle()
    [first] = live(lab)
    end(lab, first, 1)
    lab.advance(9)
    assert tracked(lab) == [first["metadata"]["name"]]
    lab.advance(5)
    [second] = live(lab)
    assert tracked(lab) == [second["metadata"]["name"]]
    assert status(lab)["failed"] == 1


def test_no_index_may_fail(lab: Lab) -> None:
    lab.create(
        JOBS,
        job(
            completions=3,
            parallelism=3,
            completionMode="Indexed",
            backoffLimitPerIndex=0,
            maxFailedIndexes=0,
            backoffLimit=2147483647,
        ),
    )
    lab.settle()
    end(lab, by_index(lab)[1], 1)
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Failed"] == ("True", "MaxFailedIndexesExceeded")
    assert live(lab) == []


def test_success_of_the_leader_is_success_of_the_job(lab: Lab) -> None:
    policy = {"rules": [{"succeededIndexes": "0"}]}
    lab.create(JOBS, job(completions=3, parallelism=3, completionMode="Indexed", successPolicy=policy))
    lab.settle()
    indexed = by_index(lab)
    for pod in indexed.values():
        start(lab, pod)
    end(lab, indexed[0])
    lab.settle()
    assert conditions(lab.the(JOBS, "train")) == {"SuccessCriteriaMet": ("True", "SuccessPolicy")}
    assert stop_marked(lab) == 2
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Complete"] == ("True", "SuccessPolicy")
    assert status(lab)["completedIndexes"] == "0"
    assert status(lab).get("failed", 0) == 0
