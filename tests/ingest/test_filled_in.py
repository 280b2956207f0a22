"""What pods of a template will ask for: LimitRanges and RuntimeClasses as the API server fills them in, and what it
would refuse."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from roadstead.ingest.filled_in import pod_class_of_template, runtime_class_names
from roadstead.kinds.names import LIMIT_RANGES, RUNTIME_CLASSES, WORKLOADS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.model.selection import Toleration
from roadstead.model.workload import OutOfRange, PodClass

GIB = 2**30


def limit_range(name: str, *limits: Json) -> Object:
    metadata = {"name": name, "namespace": "team"}
    return Object.of(
        LIMIT_RANGES, {"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": list(limits)}}
    )


def made(spec: Json, ranges: Sequence[Object] = (), runtime_class: Json | None = None) -> PodClass:
    found = None
    if runtime_class is not None:
        value = {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "gvisor"},
            **runtime_class,
        }
        found = Object.of(RUNTIME_CLASSES, value)

    def lookup(resource: Resource, namespace: str, name: str) -> Object | None:
        return found if (resource, namespace, name) == (RUNTIME_CLASSES, "", "gvisor") else None

    return pod_class_of_template(spec, "team", lambda ref: None, lookup, lambda namespace: ranges)


def container(requests: Json | None = None, limits: Json | None = None) -> Json:
    return {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}}


DEFAULTS = limit_range(
    "a", {"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "500m", "memory": "1Gi"}}
)


@pytest.mark.parametrize(
    ("story", "spec", "requests"),
    [
        ("nothing said", {"containers": [container()]}, {"cpu": 500, "memory": GIB}),
        ("no resources at all", {"containers": [{"name": "c"}]}, {"cpu": 500, "memory": GIB}),
        ("all said", {"containers": [container({"cpu": "1", "memory": "2Gi"})]}, {"cpu": 1000, "memory": 2 * GIB}),
        ("own limits come before defaults", {"containers": [container({}, {"cpu": "3"})]}, {"cpu": 3000, "memory": GIB}),
        ("every container", {"containers": [container(), container()]}, {"cpu": 1000, "memory": 2 * GIB}),
        ("init containers too", {"containers": [container({"cpu": "100m"})], "initContainers": [container()]}, {"cpu": 500, "memory": GIB}),
    ],
)  # fmt: skip
def test_defaults_of_limit_ranges(story: str, spec: Json, requests: dict[str, int]) -> None:
    assert dict(made(spec, [DEFAULTS]).requests) == requests, story


def test_without_ranges_and_classes_nothing_changes() -> None:
    spec = {"containers": [container({"cpu": "1"})], "runtimeClassName": "unknown"}
    assert made(spec).requests == (("cpu", 1000),)


def test_of_several_ranges_the_first_defaults_and_the_narrowest_bounds_count() -> None:
    other = limit_range("b", {"type": "Container", "defaultRequest": {"cpu": "3"}, "max": {"cpu": "2"}})
    third = limit_range("c", {"type": "Container", "max": {"cpu": "4"}})
    found = made({"containers": [container()]}, [DEFAULTS, other, third])
    assert dict(found.requests)["cpu"] == 500
    over = made({"containers": [container({"cpu": "3"})]}, [other, third])
    assert over.out_of_range == (OutOfRange("containers[0]", "cpu", 3000, 2000),)


@pytest.mark.parametrize(
    ("story", "limits", "spec", "broken"),
    [
        ("within", {"type": "Container", "min": {"cpu": "1"}, "max": {"cpu": "2"}}, {"containers": [container({"cpu": "1"}, {"cpu": "2"})]}, []),
        ("a limit above", {"type": "Container", "max": {"cpu": "2"}}, {"containers": [container({"cpu": "1"}, {"cpu": "3"})]}, [OutOfRange("containers[0]", "cpu", 3000, 2000)]),
        ("a request below", {"type": "Container", "min": {"cpu": "1"}}, {"containers": [container({"cpu": "500m"}, {"cpu": "3"})]}, [OutOfRange("containers[0]", "cpu", 500, 1000)]),
        ("an init container", {"type": "Container", "max": {"cpu": "2"}}, {"containers": [container()], "initContainers": [container({"cpu": "3"})]}, [OutOfRange("initContainers[0]", "cpu", 3000, 2000)]),
        ("the whole pod", {"type": "Pod", "max": {"memory": "2Gi"}}, {"containers": [container({"memory": "2Gi"})] * 2}, [OutOfRange("", "memory", 4 * GIB, 2 * GIB)]),
        ("what is not asked for is no matter", {"type": "Pod", "min": {"memory": "2Gi"}}, {"containers": [container({"cpu": "1"})]}, []),
        ("claims are another matter", {"type": "PersistentVolumeClaim", "max": {"storage": "1"}}, {"containers": [container({"cpu": "1"})]}, []),
    ],
)  # fmt: skip
def test_what_a_range_does_not_allow(story: str, limits: Json, spec: Json, broken: list[OutOfRange]) -> None:
    assert list(made(spec, [limit_range("r", limits)]).out_of_range) == broken, story


def test_a_runtime_class_costs_its_overhead_and_narrows_the_nodes() -> None:
    scheduling = {"nodeSelector": {"sandbox": "yes"}, "tolerations": [{"key": "sandbox", "operator": "Exists"}]}
    runtime_class = {"handler": "runsc", "overhead": {"podFixed": {"cpu": "250m"}}, "scheduling": scheduling}
    spec = {"containers": [container({"cpu": "1"})], "runtimeClassName": "gvisor"}
    found = made(spec, runtime_class=runtime_class)
    assert found.requests == (("cpu", 1250),)
    assert found.node_selector == (("sandbox", "yes"),)
    assert found.tolerations == (Toleration("sandbox", "Exists"),)
    assert made({**spec, "overhead": {"cpu": "1"}}, runtime_class=runtime_class).requests == (("cpu", 2000),)
    total = made(spec, [limit_range("r", {"type": "Pod", "max": {"cpu": "1"}})], runtime_class)
    assert total.out_of_range == (OutOfRange("", "cpu", 1250, 1000),)


def test_which_runtime_classes_a_workload_names() -> None:
    def workload(*specs: Json) -> Object:
        sets = [{"name": f"s{i}", "template": {"spec": spec}} for i, spec in enumerate(specs)]
        value = {
            "apiVersion": WORKLOADS.api_version,
            "kind": "Workload",
            "metadata": {"name": "w"},
            "spec": {"podSets": sets},
        }
        return Object.of(WORKLOADS, value)

    assert runtime_class_names(
        workload({"runtimeClassName": "b"}, {}, {"runtimeClassName": "a"}, {"runtimeClassName": "b"})
    ) == ("b", "a")
    assert runtime_class_names(workload({})) == ()


def test_what_is_no_limit_range_bounds_nothing() -> None:
    strange = limit_range("r", {"max": {"cpu": "1"}}, {"type": "Container", "max": {"cpu": "lots"}, "min": "x"})
    assert made({"containers": [container({"cpu": "9"})]}, [strange]).out_of_range == ()
