"""LimitRanger, with the real server's texts."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from roadstead.cluster.embedded.plugins import LimitRanger
from roadstead.kinds.errors import StatusError
from roadstead.kinds.names import LIMIT_RANGES
from roadstead.kinds.object import Json, Object
from tests.cluster.embedded.plugins.test_pods import request


def limit_range(*limits: Json, namespace: str = "team", name: str = "r") -> Object:
    return Object.of(
        LIMIT_RANGES,
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"limits": list(limits)},
        },
    )


def container(requests: Json | None = None, limits: Json | None = None, **extra: Any) -> Json:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value is not None}
    return {"name": "c", **({"resources": resources} if resources else {}), **extra}


def admitted(spec: Json, *ranges: Object) -> Json:
    asked = request(spec, stored=ranges)
    LimitRanger().admit(asked)
    assert asked.object is not None
    return asked.object


def refusal(spec: Json, *ranges: Object) -> str:
    with pytest.raises(StatusError) as raised:
        admitted(spec, *ranges)
    assert raised.value.code == 403
    start = 'pods "p" is forbidden: '
    assert raised.value.message.startswith(start)
    return raised.value.message.removeprefix(start)


def test_what_a_container_does_not_say_it_is_given_and_told() -> None:
    given = {"type": "Container", "default": {"cpu": "1", "memory": "2Gi"}, "defaultRequest": {"cpu": "500m"}}
    pod = admitted({"containers": [container({"memory": "1Gi"})], "initContainers": [container()]}, limit_range(given))
    main, init = pod["spec"]["containers"][0], pod["spec"]["initContainers"][0]
    assert main["resources"] == {"requests": {"memory": "1Gi", "cpu": "500m"}, "limits": {"cpu": "1", "memory": "2Gi"}}
    assert init["resources"] == {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "2Gi"}}
    assert pod["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; cpu, memory limit for container c; "
        "cpu request for init container c; cpu, memory limit for init container c"
    }


def test_pods_elsewhere_and_pods_that_say_everything_are_left_alone() -> None:
    given = {"type": "Container", "default": {"cpu": "1"}}
    spec = {"containers": [container()]}
    assert "resources" not in admitted(spec, limit_range(given, namespace="other"))["spec"]["containers"][0]
    whole = admitted({"containers": [container({"cpu": "1"}, {"cpu": "2"})]}, limit_range(given))
    assert "annotations" not in whole["metadata"]


CPU_TWO = {"max": {"cpu": "2"}}


@pytest.mark.parametrize(
    ("limits", "spec", "why"),
    [
        (
            {"type": "Container", **CPU_TWO},
            {"containers": [container({"cpu": "1"}, {"cpu": "3"})]},
            "maximum cpu usage per Container is 2, but limit is 3",
        ),
        (
            {"type": "Container", **CPU_TWO},
            {"containers": [container({"cpu": "1"})]},
            "maximum cpu usage per Container is 2.  No limit is specified",
        ),
        (
            {"type": "Container", "min": {"cpu": "1"}},
            {"containers": [container({"cpu": "500m"})]},
            "minimum cpu usage per Container is 1, but request is 500m",
        ),
        (
            {"type": "Container", "min": {"cpu": "1"}},
            {"containers": [container()]},
            "minimum cpu usage per Container is 1.  No request is specified",
        ),
        (
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            {"containers": [container({"cpu": "1"}, {"cpu": "3"})]},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"type": "Pod", **CPU_TWO},
            {"containers": [container({"cpu": "1"}, {"cpu": "1500m"})] * 2},
            "maximum cpu usage per Pod is 2, but limit is 3",
        ),
        (
            {"type": "Pod", **CPU_TWO},
            {
                "containers": [container({"cpu": "1"}, {"cpu": "1"})],
                "initContainers": [
                    container({"cpu": "1"}, {"cpu": "1"}, restartPolicy="Always"),
                    container({"cpu": "1500m"}, {"cpu": "1500m"}),
                ],
            },
            "maximum cpu usage per Pod is 2, but limit is 2500m",
        ),
        (
            {"type": "Container", "max": {"cpu": "2", "memory": "1Gi"}},
            {"containers": [container({}, {"cpu": "3", "memory": "2Gi"})]},
            "[maximum cpu usage per Container is 2, but limit is 3, maximum memory usage per Container is 1Gi, but limit is 2Gi]",
        ),
    ],
)
def test_what_is_refused(limits: Json, spec: Json, why: str) -> None:
    assert refusal(spec, limit_range(limits)) == why


def test_changes_of_pods_and_their_subresources_are_not_looked_at() -> None:
    strict = limit_range({"type": "Container", "default": {"memory": "1Gi"}, **CPU_TWO})
    spec: Json = {"containers": [container({"cpu": "5"}, {"cpu": "5"})]}
    assert refusal(deepcopy(spec), strict) == "maximum cpu usage per Container is 2, but limit is 5", "a new one is"
    for asked in (
        request(deepcopy(spec), old=spec, stored=(strict,)),
        request(deepcopy(spec), subresource="binding", stored=(strict,)),
    ):
        LimitRanger().admit(asked)
        assert asked.object is not None
        assert asked.object["spec"] == spec, "neither refused nor given a default"
