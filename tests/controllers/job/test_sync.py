"""The life of a Job, told as stories: what is created, deleted, counted and said."""

from __future__ import annotations

from roadstead.kinds.names import JOBS, PODS
from roadstead.runtime.cluster import Create, Update
from roadstead.testing.controllers import Lab
from tests.controllers.kit import (
    by_index,
    conditions,
    end,
    job,
    live,
    pods,
    reasons,
    start,
    status,
    tracked,
)


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
