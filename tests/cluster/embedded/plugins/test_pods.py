"""Built-in admission of pods, with the real server's texts."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.cluster.embedded.plugins import DefaultTolerationSeconds, Priority
from roadstead.cluster.embedded.requests import SYSTEM
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import PODS, PRIORITY_CLASSES
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.served import default_registry

REGISTRY = default_registry()


def priority_class(name: str, value: int, **extra: Any) -> Object:
    return Object.of(
        PRIORITY_CLASSES,
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            **extra,
        },
    )


def request(
    spec: Json, *, old: Json | None = None, stored: tuple[Object, ...] = (), subresource: str = ""
) -> AdmissionRequest:
    kind = REGISTRY.get(PODS)
    assert kind is not None

    def lookup(resource: Resource, namespace: str, name: str) -> Object | None:
        return next(
            (o for o in stored if (o.resource, o.meta.namespace, o.meta.name) == (resource, namespace, name)), None
        )

    pod = {"metadata": {"name": "p"}, "spec": spec}
    before = {"metadata": {"name": "p"}, "spec": old} if old is not None else None
    operation = "CREATE" if old is None else "UPDATE"
    return AdmissionRequest(
        operation, kind, "team", "p", subresource, pod, before, SYSTEM, False, lookup,
        lambda resource: [o for o in stored if o.resource == resource],
    )  # fmt: skip


def admitted(plugin: Any, asked: AdmissionRequest) -> Json:
    plugin.admit(asked)
    assert asked.object is not None
    spec: Json = asked.object["spec"]
    return spec


def test_a_pod_without_a_class_has_priority_0() -> None:
    assert admitted(Priority(), request({})) == {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}


def test_a_class_gives_value_and_policy() -> None:
    stored = (priority_class("meek", 7, preemptionPolicy="Never"),)
    spec = admitted(Priority(), request({"priorityClassName": "meek"}, stored=stored))
    assert (spec["priority"], spec["preemptionPolicy"]) == (7, "Never")


def test_the_lowest_global_default_applies_to_pods_without_a_class() -> None:
    stored = (
        priority_class("b", 5, globalDefault=True),
        priority_class("a", 9, globalDefault=True),
        priority_class("c", 1),
    )
    spec = admitted(Priority(), request({}, stored=stored))
    assert (spec["priorityClassName"], spec["priority"]) == ("b", 5)


def test_an_unknown_class_is_forbidden_by_name() -> None:
    with pytest.raises(StatusError) as refused:
        admitted(Priority(), request({"priorityClassName": "ghost"}))
    assert refused.value.code == 403
    assert refused.value.message == 'pods "p" is forbidden: no PriorityClass with name ghost was found'


def test_a_priority_of_ones_own_is_forbidden() -> None:
    with pytest.raises(StatusError) as refused:
        admitted(Priority(), request({"priority": 5}))
    assert refused.value.message == (
        'pods "p" is forbidden: the integer value of priority (5) must not be provided in pod spec; '
        "priority admission controller computed 0 from the given PriorityClass name"
    )


def test_an_update_keeps_what_a_client_left_out() -> None:
    spec = admitted(Priority(), request({}, old={"priority": 3, "preemptionPolicy": "Never"}))
    assert spec == {"priority": 3, "preemptionPolicy": "Never"}


TOLERATIONS: list[tuple[str, list[Json], list[str]]] = [
    ("none", [], ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]),
    ("everything is tolerated", [{"operator": "Exists"}], []),
    (
        "one is tolerated for ever",
        [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
        ["node.kubernetes.io/unreachable"],
    ),
    (
        "another effect does not count",
        [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"}],
        ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"],
    ),
]


@pytest.mark.parametrize(("present", "added"), [row[1:] for row in TOLERATIONS], ids=[row[0] for row in TOLERATIONS])
def test_default_tolerations(present: list[Json], added: list[str]) -> None:
    spec = admitted(DefaultTolerationSeconds(), request({"tolerations": present}))
    new = spec["tolerations"][len(present) :]
    assert [toleration["key"] for toleration in new] == added
    assert all(toleration["tolerationSeconds"] == 300 for toleration in new)


@pytest.mark.parametrize("plugin", [Priority(), DefaultTolerationSeconds()])
def test_subresources_pass_untouched(plugin: Any) -> None:
    assert admitted(plugin, request({}, subresource="status")) == {}
