"""Deployments, ReplicaSets, StatefulSets: defaults, rules, what may change, what counts as a generation, scale,
columns."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.apps import stateful_set
from roadstead.kinds.apps.common import ReplicasScale
from roadstead.kinds.int_or_percent import plain, scaled
from roadstead.kinds.names import DEPLOYMENTS, REPLICA_SETS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from tests.kinds.way import check_change, check_new, kind_of, texts

DEPLOYMENT, REPLICA_SET, STATEFUL_SET = kind_of(DEPLOYMENTS), kind_of(REPLICA_SETS), stateful_set.kind()
ALL = (DEPLOYMENT, REPLICA_SET, STATEFUL_SET)


def sample(pod: Json | None = None, **spec: Any) -> Json:
    containers = {"containers": [{"name": "c", "image": "i:1"}]} | (pod or {})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": containers}
    return {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template} | spec}


def problems(kind: Kind, pod: Json | None = None, **spec: Any) -> list[str]:
    return texts(check_new(kind, sample(pod, **spec))[1])


def test_defaults_of_a_deployment() -> None:
    obj, found = check_new(DEPLOYMENT, sample())
    assert texts(found) == []
    spec = obj["spec"]
    del spec["template"], spec["selector"]
    assert spec == {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }
    assert obj["status"] == {}


def test_defaults_of_a_stateful_set() -> None:
    obj, found = check_new(STATEFUL_SET, sample())
    assert texts(found) == []
    spec = obj["spec"]
    del spec["template"], spec["selector"]
    assert spec == {
        "replicas": 1,
        "serviceName": "",
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "revisionHistoryLimit": 10,
    }
    assert obj["status"] == {"replicas": 0, "availableReplicas": 0}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"minReadySeconds": -1}, "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"),
        ({"selector": None}, "spec.selector: Required value"),
        ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is invalid for "),
        ({"selector": {"matchLabels": {"a": "c"}}}, 'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`'),
        ({"selector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}, 'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator'),
    ],
)  # fmt: skip
def test_rules_that_all_share(kind: Kind, spec: Json, expected: str) -> None:
    assert any(text.startswith(expected) for text in problems(kind, **spec)), problems(kind, **spec)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
def test_pods_must_be_restarted_always(kind: Kind) -> None:
    path = "spec.template.spec"
    assert problems(kind, {"restartPolicy": "Never"}) == [
        f'{path}.restartPolicy: Unsupported value: "Never": supported values: "Always"'
    ]
    assert f"{path}.activeDeadlineSeconds: Forbidden: " in problems(kind, {"activeDeadlineSeconds": 5})[0]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"type": "Recreate"}, []),
        ({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}, ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"]),
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}, ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"]),
        ({"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": "0%"}}, ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0']),
        ({"rollingUpdate": {"maxUnavailable": "101%"}}, ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%']),
        ({"rollingUpdate": {"maxSurge": "many"}}, ["spec.strategy.rollingUpdate.maxSurge: Invalid value: \"many\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"]),
        ({"rollingUpdate": {"maxSurge": -1}}, ["spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: must be greater than or equal to 0"]),
        ({"type": "Sudden"}, ['spec.strategy: Unsupported value: {"Type":"Sudden","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"']),
    ],
)  # fmt: skip
def test_strategies(strategy: Json, expected: list[str]) -> None:
    assert problems(DEPLOYMENT, strategy=strategy) == expected


def test_a_deadline_is_longer_than_pods_need() -> None:
    assert problems(DEPLOYMENT, minReadySeconds=600) == [
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"
    ]


def test_storage_is_refused_with_a_way_out() -> None:
    found = problems(STATEFUL_SET, volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": {}}])
    assert found[0].startswith(
        "spec.volumeClaimTemplates: Forbidden: this server makes no PersistentVolumeClaims; mount"
    )


@pytest.mark.parametrize("kind", [DEPLOYMENT, REPLICA_SET], ids=lambda kind: kind.kind)
def test_a_selector_stays(kind: Kind) -> None:
    old, _ = check_new(kind, sample())
    new = copy.deepcopy(old)
    new["spec"]["selector"] = {"matchLabels": {"c": "d"}}
    new["spec"]["template"]["metadata"]["labels"] = {"c": "d"}
    assert texts(check_change(kind, old, new)[1]) == [
        'spec.selector: Invalid value: {"matchLabels":{"c":"d"}}: field is immutable'
    ]


def test_what_may_change_in_a_stateful_set() -> None:
    old, _ = check_new(STATEFUL_SET, sample())
    new = copy.deepcopy(old)
    new["spec"] |= {"replicas": 5, "minReadySeconds": 3, "ordinals": {"start": 2}}
    assert texts(check_change(STATEFUL_SET, old, new)[1]) == []
    new["spec"]["podManagementPolicy"] = "Parallel"
    assert texts(check_change(STATEFUL_SET, old, new)[1])[0].startswith("spec: Forbidden: updates to statefulset spec")


def test_annotations_of_a_deployment_count_as_a_change() -> None:
    old, _ = check_new(DEPLOYMENT, sample())
    old["metadata"]["generation"] = 4
    new = copy.deepcopy(old)
    new["metadata"]["annotations"] = {"x": "y"}
    assert check_change(DEPLOYMENT, old, new)[0]["metadata"]["generation"] == 5
    new["metadata"]["labels"] = {"x": "y"}
    through_status, _ = check_change(DEPLOYMENT, old, new, "status")
    assert through_status["metadata"]["generation"] == 4
    assert "labels" not in through_status["metadata"]


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (DEPLOYMENT, {"replicas": 1, "readyReplicas": 2}, ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]),
        (DEPLOYMENT, {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2}, ["status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas"]),
        (REPLICA_SET, {"replicas": 1, "readyReplicas": -1}, ["status.readyReplicas: Invalid value: -1: must be greater than or equal to 0", "status.availableReplicas: Invalid value: 0: cannot be greater than readyReplicas"]),
        (STATEFUL_SET, {"replicas": 0, "updatedReplicas": 1}, ["status.updatedReplicas: Invalid value: 1: cannot be greater than status.replicas"]),
    ],
)  # fmt: skip
def test_a_status_adds_up(kind: Kind, status: Json, expected: list[str]) -> None:
    old, _ = check_new(kind, sample())
    assert texts(check_change(kind, old, {**old, "status": status}, "status")[1]) == expected


def test_collisions_are_not_forgotten() -> None:
    old, _ = check_new(DEPLOYMENT, sample())
    old["status"] = {"collisionCount": 2}
    found = texts(check_change(DEPLOYMENT, old, {**old, "status": {}}, "status")[1])
    assert found == ["status.collisionCount: Invalid value: 0: cannot be decremented"]


def test_scale_shows_and_sets_the_number() -> None:
    obj, _ = check_new(DEPLOYMENT, sample(replicas=3))
    obj["status"] = {"replicas": 2}
    shown = ReplicasScale().view(obj)
    assert (shown["spec"], shown["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})
    ReplicasScale().set(obj, 0)
    assert ReplicasScale().view(obj)["spec"] == {}


def test_cells() -> None:
    obj, _ = check_new(DEPLOYMENT, sample(replicas=3))
    obj["status"] = {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}
    assert DEPLOYMENT.strategy.cells(obj, 0)[1:4] == ["1/3", 2, 1]
    assert DEPLOYMENT.strategy.cells(obj, 0)[-3:] == ["c", "i:1", "a=b"]


def test_a_name_that_is_no_host_name_is_warned_of_once() -> None:
    obj, _ = check_new(DEPLOYMENT, sample() | {"metadata": {"name": "my.web"}})
    assert DEPLOYMENT.strategy.warnings(obj)[0].startswith("metadata.name: this is used in Pod names and hostnames")
    assert DEPLOYMENT.strategy.warnings_of_change(obj, obj) == []


@pytest.mark.parametrize(
    ("value", "total", "up", "expected"),
    [("25%", 10, True, 3), ("25%", 10, False, 2), (3, 10, True, 3), ("0%", 10, True, 0), ("100%", 7, False, 7), ("x", 7, True, 0)],
)  # fmt: skip
def test_shares(value: int | str, total: int, up: bool, expected: int) -> None:
    assert scaled(value, total, up=up) == expected
    assert plain("12%") == 12
