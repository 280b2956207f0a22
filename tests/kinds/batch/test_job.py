"""Jobs: the generated selector, rules, what may change and when, status, columns."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.batch.policies import count_indexes
from roadstead.kinds.names import JOB_CONTROLLER_UID_LABEL, JOBS
from roadstead.kinds.object import Json
from tests.kinds.way import check_change, check_new, kind_of, texts

JOB = kind_of(JOBS)


def job(template: Json | None = None, **spec: Any) -> Json:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]} | (template or {})
    return {"metadata": {"name": "train"}, "spec": {"template": {"spec": pod}} | spec}


def created(template: Json | None = None, **spec: Any) -> Json:
    obj, found = check_new(JOB, job(template, **spec))
    assert texts(found) == []
    return obj


def problems(template: Json | None = None, **spec: Any) -> list[str]:
    return texts(check_new(JOB, job(template, **spec))[1])


def changed(edit: Any, status: Json | None = None, **spec: Any) -> list[str]:
    old = created(**spec)
    old["status"] = status or {}
    new = copy.deepcopy(old)
    edit(new)
    return list(dict.fromkeys(texts(check_change(JOB, old, new)[1])))


def test_defaults_and_the_generated_selector() -> None:
    obj = created()
    labels = {
        "batch.kubernetes.io/controller-uid": "u-1",
        "batch.kubernetes.io/job-name": "train",
        "controller-uid": "u-1",
        "job-name": "train",
    }
    spec = obj["spec"]
    template = spec.pop("template")
    assert spec == {
        "parallelism": 1,
        "completions": 1,
        "completionMode": "NonIndexed",
        "backoffLimit": 6,
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {JOB_CONTROLLER_UID_LABEL: "u-1"}},
    }
    assert template["metadata"]["labels"] == labels
    assert obj["metadata"]["labels"] == labels, "a job without labels gets its template's"
    assert obj["status"] == {}
    assert "enableServiceLinks" not in template["spec"], "that default is a pod's own"


@pytest.mark.parametrize(
    ("spec", "defaults"),
    [
        ({"parallelism": 3}, {"parallelism": 3, "completions": None}),
        ({"completions": 5}, {"parallelism": 1, "completions": 5}),
        ({"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 1}, {"backoffLimit": 2147483647}),
        ({"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}}, {"podReplacementPolicy": "Failed"}),
    ],
)  # fmt: skip
def test_defaults_that_depend(spec: Json, defaults: Json) -> None:
    obj = created(**spec)
    assert {name: obj["spec"].get(name) for name in defaults} == defaults


INDEXED = {"completionMode": "Indexed", "completions": 3}


@pytest.mark.parametrize(
    ("template", "spec", "text"),
    [
        ({}, {"parallelism": -1}, "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
        ({}, {"completionMode": "X"}, 'spec.completionMode: Unsupported value: "X": supported values: "Indexed", "NonIndexed"'),
        ({}, {"completionMode": "Indexed", "parallelism": 1}, "spec.completions: Required value: when completion mode is Indexed"),
        ({}, INDEXED | {"parallelism": 100001}, "must be less than or equal to 100000 when completion mode is Indexed"),
        ({}, INDEXED | {"backoffLimitPerIndex": 1, "maxFailedIndexes": 9}, "spec.maxFailedIndexes: Invalid value: 9: must be less than or equal to completions"),
        ({}, {"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"),
        ({}, {"managedBy": "x"}, 'must be a domain-prefixed path (such as "acme.io/foo")'),
        ({}, {"managedBy": "example.com/" + "x" * 60}, "spec.managedBy: Too long: may not be more than 63 bytes"),
        ({"restartPolicy": "Always"}, {}, 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'),
        ({"restartPolicy": "OnFailure"}, {"podFailurePolicy": {"rules": []}}, 'only "Never" is supported when podFailurePolicy is specified'),
        ({}, {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}}, "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"),
        ({}, {"selector": {"matchLabels": {JOB_CONTROLLER_UID_LABEL: "other"}}}, "`selector` not auto-generated"),
        ({}, {"podReplacementPolicy": "TerminatingOrFailed", "podFailurePolicy": {"rules": []}}, 'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'),
        ({}, {"podFailurePolicy": {"rules": [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}]}}, "requires the backoffLimitPerIndex to be set"),
        ({}, {"podFailurePolicy": {"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [2, 1, 1]}}]}}, "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1,1]: must be ordered"),
        ({}, {"podFailurePolicy": {"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1], "containerName": "x"}}]}}, "must be one of the container or initContainer names in the pod template"),
        ({}, INDEXED | {"successPolicy": {"rules": [{}]}}, "at least one of succeededCount or succeededIndexes must be specified"),
        ({}, INDEXED | {"successPolicy": {"rules": []}}, "at least one rules must be specified when the successPolicy is specified"),
    ],
)  # fmt: skip
def test_rules(template: Json, spec: Json, text: str) -> None:
    found = problems(template, **spec)
    assert any(text in problem for problem in found), found


def test_the_last_pods_host_name_must_be_a_label() -> None:
    value = job(completionMode="Indexed", completions=1000)
    value["metadata"]["name"] = "x" * 62
    (found,) = texts(check_new(JOB, value)[1])
    assert found.endswith(f"will not able to create pod with invalid DNS label: {'x' * 62}-999")


@pytest.mark.parametrize(("text", "count"), [("", 0), ("0", 1), ("0,2-4", 4), ("1-2,4", 3)])
def test_index_lists(text: str, count: int) -> None:
    assert count_indexes(text, 5) == count


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5", 'too large index: "5"'),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("2,1", "non-increasing order, previous: 2, current: 1"),
        ("3-2", "non-increasing order, previous: 3, current: 2"),
        ("1-2-3", "at most two parts"),
    ],
)
def test_bad_index_lists(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        count_indexes(text, 5)


# --- changes


def template_edit(**spec: Any) -> Any:
    return lambda job: job["spec"]["template"]["spec"].update(spec)


@pytest.mark.parametrize(
    "edit",
    [
        lambda job: job["spec"].update(parallelism=5),
        lambda job: job["spec"].update(suspend=True),
        lambda job: job["spec"].update(backoffLimit=0, activeDeadlineSeconds=9, ttlSecondsAfterFinished=1),
        lambda job: job["metadata"].update(labels={"x": "y"}),
    ],
)
def test_what_may_change_while_it_runs(edit: Any) -> None:
    assert changed(edit, {"startTime": "2026-01-01T00:00:00Z", "active": 1}) == []


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda job: job["spec"].update(completions=9), "spec.completions: Invalid value: 9: field is immutable"),
        (
            lambda job: job["spec"].update(completionMode="Indexed"),
            'spec.completionMode: Invalid value: "Indexed": field is immutable',
        ),
        (
            lambda job: job["spec"].update(managedBy="example.com/x"),
            'spec.managedBy: Invalid value: "example.com/x": field is immutable',
        ),
        (lambda job: job["spec"].update(selector={"matchLabels": {}}), "spec.selector: Invalid value: {"),
        (template_edit(nodeSelector={"a": "b"}), "spec.template: Invalid value: {"),
        (template_edit(restartPolicy="OnFailure"), "spec.template: Invalid value: {"),
    ],
)
def test_what_may_not_change(edit: Any, text: str) -> None:
    found = changed(edit)
    assert any(problem.startswith(text) and problem.endswith("field is immutable") for problem in found), found


DIRECTIVES: Json = {
    "nodeSelector": {"gpu": "h100"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
    "schedulingGates": [{"name": "g"}],
}  # fmt: skip


def start(job: Json) -> None:
    """What a queue does on admission: unsuspend and say where to run, in one write."""
    job["spec"]["suspend"] = False
    template = job["spec"]["template"]
    template["metadata"]["labels"]["kueue.x-k8s.io/podset"] = "main"
    template["metadata"].setdefault("annotations", {})["kueue.x-k8s.io/workload"] = "w"
    template["spec"].update(DIRECTIVES)
    template["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}


SUSPENDED = {"type": "Suspended", "status": "True"}


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ({}, True),
        ({"startTime": "2026-01-01T00:00:00Z", "conditions": [SUSPENDED]}, True),
        ({"startTime": "2026-01-01T00:00:00Z", "conditions": [SUSPENDED], "active": 1}, False),
        ({"startTime": "2026-01-01T00:00:00Z"}, False),
    ],
)
def test_a_suspended_job_takes_scheduling_directives_once_nothing_runs(status: Json, allowed: bool) -> None:
    found = changed(start, status, suspend=True)
    assert (found == []) == allowed, found


def test_a_suspended_job_still_keeps_its_image() -> None:
    found = changed(lambda job: job["spec"]["template"]["spec"]["containers"][0].update(image="other"), suspend=True)
    assert len(found) == 1
    assert found[0].startswith("spec.template: ")


def test_an_indexed_job_is_elastic() -> None:
    spec: Json = {"completionMode": "Indexed", "completions": 2, "parallelism": 2}
    assert changed(lambda job: job["spec"].update(completions=4, parallelism=4), **spec) == []
    assert changed(lambda job: job["spec"].update(completions=4), **spec) == [
        "spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"
    ]


# --- status


def status_change(before: Json, after: Json, **spec: Any) -> list[str]:
    old = created(**spec)
    old["status"] = before
    new = copy.deepcopy(old)
    new["status"] = after
    new["spec"]["parallelism"] = 99
    obj, found = check_change(JOB, old, new, "status")
    assert obj["spec"]["parallelism"] != 99, "/status leaves the spec alone"
    return texts(found)


START, END = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"


def conditions(*kinds: str) -> list[Json]:
    return [{"type": kind, "status": "True"} for kind in kinds]


COMPLETE = {
    "startTime": START,
    "completionTime": END,
    "succeeded": 1,
    "conditions": conditions("SuccessCriteriaMet", "Complete"),
}


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({}, {"startTime": START, "active": 1, "ready": 1}, None),
        ({"startTime": START, "active": 1}, COMPLETE, None),
        ({"startTime": START}, {"startTime": START, "failed": 1, "conditions": conditions("FailureTarget", "Failed")}, None),
        ({}, {"active": -1}, "status.active: Invalid value: -1: must be greater than or equal to 0"),
        ({}, {"ready": 2, "active": 1}, "status.ready: Invalid value: 2: cannot set more ready pods than active"),
        ({"succeeded": 2}, {"succeeded": 1}, "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter"),
        ({"startTime": START}, {"startTime": START, "conditions": conditions("Failed")}, "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition"),
        (COMPLETE, COMPLETE | {"conditions": []}, "status.conditions: Invalid value: cannot disable the terminal Complete=True condition"),
        (COMPLETE, COMPLETE | {"completionTime": START}, f'status.completionTime: Invalid value: "{START}": field is immutable'),
        ({"startTime": START}, {}, "status.startTime: Required value: startTime cannot be removed for unsuspended job"),
        ({"startTime": START}, {"startTime": END}, f'status.startTime: Invalid value: "{END}": field is immutable'),
        ({}, {"completionTime": END}, f'status.completionTime: Invalid value: "{END}": completionTime cannot be set for non-complete jobs'),
    ],
)  # fmt: skip
def test_status(before: Json, after: Json, text: str | None) -> None:
    found = status_change(before, after)
    if text is None:
        assert found == []
    else:
        assert text in found


def test_an_incomplete_end_is_told_whole() -> None:
    before = {"startTime": START, "active": 2, "uncountedTerminatedPods": {"succeeded": ["a", "b"]}}
    assert status_change(before, before | {"conditions": conditions("Complete")}) == [
        "status.completionTime: Required value: completionTime is required for Complete jobs",
        "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        "status.active: Invalid value: 2: active>0 is invalid for finished job",
        'status.uncountedTerminatedPods: Invalid value: {"Succeeded":["a","b"],"Failed":null}: must be empty for finished job',
    ]


def test_the_start_time_begins_anew_with_suspension() -> None:
    assert status_change({"startTime": START}, {"conditions": conditions("Suspended")}, suspend=True) == []


# --- tables

NOW = 1767225600 + 600.0


@pytest.mark.parametrize(
    ("spec", "status", "row"),
    [
        ({"completions": 3}, {"succeeded": 1, "startTime": START}, ["Running", "1/3", "10m"]),
        ({"parallelism": 4}, {"succeeded": 1}, ["Running", "1/1 of 4", ""]),
        ({"parallelism": 1}, {}, ["Running", "0/1", ""]),
        ({}, COMPLETE, ["Complete", "1/1", "60m"]),
        ({"suspend": True}, {"conditions": conditions("Suspended")}, ["Suspended", "0/1", ""]),
        ({}, {"conditions": conditions("FailureTarget")}, ["FailureTarget", "0/1", ""]),
        ({}, {"conditions": conditions("FailureTarget", "Failed")}, ["Failed", "0/1", ""]),
    ],
)
def test_cells(spec: Json, status: Json, row: list[str]) -> None:
    obj = created(**spec)
    obj["status"] = status
    cells = JOB.strategy.cells(obj, NOW)
    assert cells[1:4] == row
    assert cells[5:] == ["c", "i:1", f"{JOB_CONTROLLER_UID_LABEL}=u-1"]
