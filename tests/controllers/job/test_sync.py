"""The life of a Job, told as stories: what is created, deleted, counted and said (workloads.md section 3.13)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest

from roadstead.controllers.job import JobController
from roadstead.kinds.names import JOBS, PODS
from roadstead.kinds.object import Json
from roadstead.kinds.times import parse_time
from roadstead.runtime.cluster import Create, Delete, Update
from roadstead.runtime.step import Present
from roadstead.runtime.view import Cache, View
from roadstead.testing.controllers import Lab
from tests.controllers.kit import (
    bind,
    conditions,
    end,
    index_of,
    job,
    live,
    pods,
    seconds,
    set_spec,
    start,
    status,
    stop_marked,
    tracked,
)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(lambda: [JobController()]) as lab:
        yield lab


def by_index(lab: Lab) -> dict[int, Json]:
    return {index_of(pod): pod for pod in live(lab)}


def reasons(lab: Lab) -> list[str]:
    return [note.reason for note in lab.notes]


def suspend(lab: Lab, value: bool, name: str = "train") -> None:
    lab.edit(JOBS, name, lambda job: job["spec"].update(suspend=value))


def test_one_pod_job_takes_three_writes_from_creation_to_completion(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1))
    lab.settle()
    [pod] = pods(lab)
    start(lab, pod)
    end(lab, pod)
    lab.settle()
    assert [(type(wrote.write), wrote.write.resource) for wrote in lab.ledger] == [
        (Create, PODS),
        (Update, JOBS),  # start, count and end at once: the pod was quick
        (Update, PODS),  # the finalizer
    ]
    assert status(lab)["succeeded"] == 1
    assert status(lab)["startTime"] == pod["metadata"]["creationTimestamp"]
    assert conditions(lab.the(JOBS, "train")) == {
        "SuccessCriteriaMet": ("True", "CompletionsReached"),
        "Complete": ("True", "CompletionsReached"),
    }
    assert reasons(lab) == ["SuccessfulCreate", "Completed"]


def test_pods_carry_what_the_template_says_and_their_owner(lab: Lab) -> None:
    manifest = job(completions=1, parallelism=1)
    manifest["spec"]["template"]["metadata"] = {"labels": {"team": "vision"}, "annotations": {"note": "x"}}
    made = lab.create(JOBS, manifest)
    lab.settle()
    [pod] = pods(lab)
    assert pod["metadata"]["labels"]["team"] == "vision"
    assert pod["metadata"]["annotations"]["note"] == "x"
    assert pod["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    [owner] = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Job", made.meta.uid, True)
    assert pod["metadata"]["name"].startswith("train-")


def test_active_never_exceeds_parallelism_and_finalizers_are_gone_at_the_end(lab: Lab) -> None:
    lab.create(JOBS, job(completions=5, parallelism=2))
    for _ in range(5):
        lab.settle()
        assert len(live(lab)) <= 2
        end(lab, live(lab)[0])
    lab.settle()
    assert status(lab)["succeeded"] == 5
    assert status(lab)["completionTime"]
    assert conditions(lab.the(JOBS, "train"))["Complete"][0] == "True"
    assert tracked(lab) == []
    assert len(pods(lab)) == 5


def test_work_queue_stops_creating_at_its_first_success_and_completes_when_the_rest_has_ended(lab: Lab) -> None:
    manifest = job(parallelism=3)
    lab.create(JOBS, manifest)
    lab.settle()
    first, second, third = live(lab)
    end(lab, first)
    lab.settle()
    assert len(pods(lab)) == 3
    end(lab, second, 1)
    lab.advance(60)
    assert len(pods(lab)) == 3
    assert "Complete" not in conditions(lab.the(JOBS, "train"))
    end(lab, third)
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Complete"][0] == "True"
    assert (status(lab)["succeeded"], status(lab)["failed"]) == (2, 1)


def test_indexed_pods_have_their_index_in_name_host_name_annotation_and_environment(lab: Lab) -> None:
    manifest = job(completions=4, parallelism=4, completionMode="Indexed")
    manifest["spec"]["template"]["spec"]["initContainers"] = [
        {"name": "i", "image": "none", "env": [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}]}
    ]
    lab.create(JOBS, manifest)
    lab.settle()
    assert sorted(by_index(lab)) == [0, 1, 2, 3]
    for index, pod in by_index(lab).items():
        assert pod["metadata"]["name"].startswith(f"train-{index}-")
        assert pod["spec"]["hostname"] == f"train-{index}"
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == str(index)
        [variable] = pod["spec"]["containers"][0]["env"]
        assert variable["name"] == "JOB_COMPLETION_INDEX"
        assert "job-completion-index" in variable["valueFrom"]["fieldRef"]["fieldPath"]
        assert pod["spec"]["initContainers"][0]["env"] == [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}]


def test_completed_indexes_are_written_as_ranges(lab: Lab) -> None:
    lab.create(JOBS, job(completions=4, parallelism=4, completionMode="Indexed"))
    lab.settle()
    indexed = by_index(lab)
    for index in (0, 1, 3):
        end(lab, indexed[index])
    lab.advance(3)
    assert status(lab)["completedIndexes"] == "0,1,3"
    end(lab, indexed[2])
    lab.settle()
    assert status(lab)["completedIndexes"] == "0-3"
    assert status(lab)["succeeded"] == 4


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


def test_with_replacement_policy_failed_a_stopping_pod_keeps_its_place(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, podReplacementPolicy="Failed", backoffLimit=6))
    lab.settle()
    [pod] = live(lab)
    start(lab, pod)
    lab.delete(PODS, pod["metadata"]["name"], grace=20)
    lab.advance(15)
    assert live(lab) == []
    assert (status(lab)["terminating"], status(lab).get("active", 0)) == (1, 0)
    stop_marked(lab)
    lab.advance(10)
    assert len(live(lab)) == 1
    assert status(lab)["failed"] == 1


def test_without_it_a_deleted_pod_is_replaced_while_it_stops(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, podReplacementPolicy="TerminatingOrFailed", backoffLimit=6))
    lab.settle()
    [pod] = live(lab)
    start(lab, pod)
    lab.delete(PODS, pod["metadata"]["name"], grace=20)
    lab.advance(12)
    assert len(live(lab)) == 1
    assert (status(lab)["terminating"], status(lab)["failed"]) == (1, 1)


def test_suspension_stops_the_pods_and_counts_nothing(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2))
    lab.settle()
    for pod in live(lab):
        start(lab, pod)
    lab.advance(5)
    assert status(lab)["active"] == 2
    suspend(lab, True)
    lab.settle()
    assert live(lab) == []
    assert tracked(lab) == []
    assert "startTime" not in status(lab)
    assert conditions(lab.the(JOBS, "train")) == {"Suspended": ("True", "JobSuspended")}
    assert (status(lab).get("active", 0), status(lab)["terminating"]) == (0, 2)
    stop_marked(lab)
    lab.advance(5)
    assert (status(lab)["terminating"], status(lab).get("failed", 0)) == (0, 0)
    assert pods(lab) == []
    assert reasons(lab)[-1] == "Suspended"

    suspend(lab, False)
    lab.advance(60)
    resumed = lab.now - seconds(60)
    assert len(live(lab)) == 2
    assert parse_time(status(lab)["startTime"]) == resumed
    assert conditions(lab.the(JOBS, "train")) == {"Suspended": ("False", "JobResumed")}
    assert reasons(lab)[-1] == "Resumed"


def test_pods_stopped_by_a_suspension_delay_nothing_after_the_resumption(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2, podReplacementPolicy="TerminatingOrFailed", backoffLimit=0))
    lab.settle()
    for pod in live(lab):
        start(lab, pod)
    suspend(lab, True)
    lab.settle()
    suspend(lab, False)
    lab.settle()
    assert len(live(lab)) == 2
    assert len(pods(lab)) == 4
    stop_marked(lab)
    lab.advance(5)
    assert (len(live(lab)), status(lab).get("failed", 0)) == (2, 0)


def test_the_deadline_counts_from_the_resumption(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, activeDeadlineSeconds=30))
    lab.advance(20)
    suspend(lab, True)
    lab.advance(100)
    suspend(lab, False)
    lab.advance(29)
    assert len(live(lab)) == 1
    lab.advance(1)
    assert conditions(lab.the(JOBS, "train"))["FailureTarget"] == ("True", "DeadlineExceeded")
    assert live(lab) == []


def test_the_deadline_holds_even_if_no_pod_could_be_made(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=0, activeDeadlineSeconds=30))
    lab.advance(30)
    assert conditions(lab.the(JOBS, "train"))["Failed"] == ("True", "DeadlineExceeded")


def test_a_job_born_suspended_says_so_after_a_moment_and_keeps_its_finished_indexes(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2, completionMode="Indexed", suspend=True))
    lab.settle()
    assert lab.ledger == []
    lab.advance(2)
    assert conditions(lab.the(JOBS, "train")) == {"Suspended": ("True", "JobSuspended")}
    suspend(lab, False)
    lab.settle()
    end(lab, by_index(lab)[0])
    lab.advance(5)
    suspend(lab, True)
    lab.settle()
    suspend(lab, False)
    lab.settle()
    assert sorted(by_index(lab)) == [1]
    end(lab, by_index(lab)[1])
    lab.settle()
    assert status(lab)["completedIndexes"] == "0,1"


def test_ttl_removes_the_job_when_it_has_been_finished_long_enough(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, ttlSecondsAfterFinished=3))
    lab.settle()
    end(lab, live(lab)[0])
    lab.settle()
    lab.advance(2)
    assert lab.get(JOBS, "train") is not None
    lab.advance(1)
    [last] = [wrote.write for wrote in lab.ledger if isinstance(wrote.write, Delete)]
    assert last.propagation == "Foreground"
    assert lab.the(JOBS, "train")["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_a_shorter_elastic_job_keeps_its_low_indexes(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2, completionMode="Indexed"))
    lab.settle()
    for size, kept in ((4, [0, 1, 2, 3]), (1, [0])):
        lab.edit(JOBS, "train", partial(set_spec, completions=size, parallelism=size))
        lab.settle()
        assert sorted(by_index(lab)) == kept
    end(lab, by_index(lab)[0])
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Complete"][0] == "True"


def test_a_shorter_elastic_job_forgets_the_completions_of_indexes_that_are_no_more(lab: Lab) -> None:
    lab.create(JOBS, job(completions=3, parallelism=3, completionMode="Indexed"))
    lab.settle()
    end(lab, by_index(lab)[2])
    lab.advance(3)
    assert status(lab)["succeeded"] == 1
    lab.edit(JOBS, "train", partial(set_spec, completions=2, parallelism=2))
    lab.advance(3)
    assert status(lab).get("completedIndexes", "") == ""
    for index in (0, 1):
        end(lab, by_index(lab)[index])
    lab.settle()
    assert (status(lab)["succeeded"], status(lab)["completedIndexes"]) == (2, "0,1")


def test_lower_parallelism_gives_up_the_least_valuable_pods(lab: Lab) -> None:
    lab.create(JOBS, job(completions=10, parallelism=3))
    lab.settle()
    _, bound, running = live(lab)
    bind(lab, bound)
    start(lab, running)
    lab.edit(JOBS, "train", lambda value: value["spec"].update(parallelism=2))
    lab.settle()
    assert {pod["metadata"]["name"] for pod in live(lab)} == {bound["metadata"]["name"], running["metadata"]["name"]}
    lab.edit(JOBS, "train", lambda value: value["spec"].update(parallelism=1))
    lab.settle()
    assert [pod["metadata"]["name"] for pod in live(lab)] == [running["metadata"]["name"]]
    assert status(lab).get("failed", 0) == 0


def test_jobs_managed_by_others_are_left_alone(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1, managedBy="example.com/other"))
    lab.create(JOBS, job("own", completions=1, parallelism=1, managedBy="kubernetes.io/job-controller"))
    lab.advance(10)
    assert [pod["metadata"]["ownerReferences"][0]["name"] for pod in pods(lab)] == ["own"]
    assert "startTime" not in (lab.the(JOBS, "train").get("status") or {})


def test_zero_completions_are_complete_at_once(lab: Lab) -> None:
    lab.create(JOBS, job(completions=0, parallelism=1))
    lab.settle()
    assert conditions(lab.the(JOBS, "train"))["Complete"][0] == "True"
    assert pods(lab) == []


def test_pods_of_a_job_that_is_gone_are_let_go(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2))
    lab.settle()
    lab.delete(JOBS, "train", propagation="Background")
    lab.settle()
    assert len(pods(lab)) == 2
    assert tracked(lab) == []


def test_pods_of_a_job_that_is_being_deleted_are_let_go_and_none_is_made(lab: Lab) -> None:
    lab.create(JOBS, job(completions=2, parallelism=2))
    lab.settle()
    lab.delete(JOBS, "train", propagation="Foreground")
    lab.settle()
    assert len(pods(lab)) == 2
    assert tracked(lab) == []


def test_a_name_taken_by_a_stranger_is_passed_over(lab: Lab) -> None:
    made = lab.create(JOBS, job(completions=1, parallelism=1, suspend=True))
    with Lab(lambda: [JobController()]) as elsewhere:
        elsewhere.create(JOBS, job(completions=1, parallelism=1))
        elsewhere.settle()
        [pod] = pods(elsewhere)
        assert pod["metadata"]["ownerReferences"][0]["uid"] == made.meta.uid
    stranger = {key: value for key, value in pod["metadata"].items() if key == "name"}
    lab.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": stranger, "spec": pod["spec"]})
    suspend(lab, False)
    lab.settle()
    own = [found for found in pods(lab) if "ownerReferences" in found["metadata"]]
    assert len(own) == 1


def test_an_active_pod_that_lost_its_finalizer_is_replaced(lab: Lab) -> None:
    lab.create(JOBS, job(completions=1, parallelism=1))
    lab.settle()
    [pod] = live(lab)
    lab.edit(PODS, pod["metadata"]["name"], lambda value: value["metadata"].pop("finalizers"))
    lab.settle()
    [replacement] = live(lab)
    assert tracked(lab) == [replacement["metadata"]["name"]]


def manual_job(name: str = "train", **labels: str) -> Json:
    """A Job that selects its pods by labels of its own."""
    manifest = job(name, completions=2, parallelism=2, manualSelector=True)
    manifest["spec"]["selector"] = {"matchLabels": labels}
    manifest["spec"]["template"]["metadata"] = {"labels": labels}
    return manifest


def test_pods_that_the_selector_matches_are_adopted_and_those_it_matches_no_more_released(lab: Lab) -> None:
    stray = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stray", "labels": {"app": "mine"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]},
    }
    lab.create(PODS, stray)
    made = lab.create(JOBS, manual_job(app="mine"))
    lab.settle()
    adopted = lab.the(PODS, "stray")
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == made.meta.uid
    assert len(live(lab)) == 2
    assert len(tracked(lab)) == 2
    lab.edit(PODS, "stray", lambda value: value["metadata"].update(labels={"app": "other"}))
    lab.settle()
    released = lab.the(PODS, "stray")["metadata"]
    assert "ownerReferences" not in released
    assert "finalizers" not in released
    assert len(live(lab)) == 3
    assert len(tracked(lab)) == 2


def test_adoption_asks_the_server_whether_the_job_still_lives(lab: Lab) -> None:
    """Another process may be deleting it, and cutting loose the very pods that would be adopted."""
    made = lab.create(JOBS, manual_job(app="mine"))
    stray = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stray", "labels": {"app": "mine"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]},
    }
    pod = lab.create(PODS, stray)
    controller = JobController()
    caches = {
        resource: Cache(resource, {name: index for (of, name), index in controller.indexes.items() if of == resource})
        for resource in (JOBS, PODS)
    }
    caches[JOBS].put(made)
    caches[PODS].put(pod)
    step = controller.reconcile(made.key, View(caches), lab.now)
    assert len(step.writes) == 1
    assert step.confirm == (Present(made.ref, made.meta.uid),)
