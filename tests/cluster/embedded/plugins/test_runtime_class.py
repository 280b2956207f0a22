"""RuntimeClass admission, with the real server's texts."""

from __future__ import annotations

import pytest

from roadstead.cluster.embedded.plugins import RuntimeClass
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import RUNTIME_CLASSES
from roadstead.kinds.object import Json, Object
from tests.cluster.embedded.plugins.test_pods import admitted, request

EXISTS = {"key": "sandbox", "operator": "Exists"}


def runtime_class(**fields: Json) -> Object:
    value = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runsc"}
    return Object.of(RUNTIME_CLASSES, {**value, **fields})


WHOLE = runtime_class(
    overhead={"podFixed": {"memory": "64Mi"}}, scheduling={"nodeSelector": {"sandbox": "yes"}, "tolerations": [EXISTS]}
)


def test_a_pod_gets_what_its_class_says() -> None:
    spec = admitted(
        RuntimeClass(), request({"runtimeClassName": "gvisor", "nodeSelector": {"a": "b"}}, stored=(WHOLE,))
    )
    assert spec == {
        "runtimeClassName": "gvisor",
        "overhead": {"memory": "64Mi"},
        "nodeSelector": {"a": "b", "sandbox": "yes"},
        "tolerations": [EXISTS],
    }


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"runtimeClassName": "kata"}, 'pod rejected: RuntimeClass "kata" not found'),
        (
            {"overhead": {"cpu": "1"}},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        (
            {"runtimeClassName": "gvisor", "overhead": {"memory": "1Gi"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"runtimeClassName": "gvisor", "nodeSelector": {"sandbox": "no"}},
            "conflict: runtimeClass.scheduling.nodeSelector[sandbox] = yes; pod.spec.nodeSelector[sandbox] = no",
        ),
    ],
)
def test_what_is_refused(spec: Json, why: str) -> None:
    with pytest.raises(StatusError) as raised:
        RuntimeClass().admit(request(spec, stored=(WHOLE,)))
    assert (raised.value.code, raised.value.message) == (403, f'pods "p" is forbidden: {why}')


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ([EXISTS], [EXISTS]),
        ([{"key": "sandbox", "operator": "Equal", "value": "x"}], [EXISTS]),
        ([{"key": "other", "operator": "Exists"}], [{"key": "other", "operator": "Exists"}, EXISTS]),
        ([{"operator": "Exists"}], [{"operator": "Exists"}]),
    ],
)
def test_tolerations_that_others_cover_are_left_out(own: list[Json], left: list[Json]) -> None:
    spec = admitted(RuntimeClass(), request({"runtimeClassName": "gvisor", "tolerations": own}, stored=(WHOLE,)))
    assert spec["tolerations"] == left


def test_equal_overhead_in_another_notation_is_no_contradiction() -> None:
    asked = request({"runtimeClassName": "gvisor", "overhead": {"memory": "65536Ki"}}, stored=(WHOLE,))
    assert admitted(RuntimeClass(), asked)["overhead"] == {"memory": "64Mi"}


def test_pods_without_a_runtime_class_pass() -> None:
    assert admitted(RuntimeClass(), request({"overhead": {}})) == {"overhead": {}}
    assert admitted(RuntimeClass(), request({"runtimeClassName": "x"}, old={})) == {"runtimeClassName": "x"}
    plain = runtime_class()
    assert admitted(RuntimeClass(), request({"runtimeClassName": "gvisor"}, stored=(plain,))) == {
        "runtimeClassName": "gvisor"
    }
