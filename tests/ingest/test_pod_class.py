"""Effective requests and the rest of what matters about a pod."""

from __future__ import annotations

import pytest

from roadstead.ingest.pod_class import UnreadableError, pod_class
from roadstead.kinds.object import Json
from roadstead.model.selection import NodeTerm, Requirement, Toleration

GI = 1 << 30


def container(requests: Json | None = None, limits: Json | None = None, **more: str) -> Json:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value is not None}
    return {"name": "c", "resources": resources, **more}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"containers": [container({"cpu": "100m"}), container({"cpu": "1"})]}, {"cpu": 1100}, id="containers add up"),
        pytest.param({"containers": [container({"cpu": "0.0001"})]}, {"cpu": 1}, id="a part of a milli-CPU counts as one"),
        pytest.param(
            {"containers": [container({"cpu": "0.0004"}), container({"cpu": "0.0004"})]},
            {"cpu": 1},
            id="rounding comes after adding",
        ),
        pytest.param(
            {"containers": [container(None, {"memory": "1Gi", "nvidia.com/gpu": 2})]},
            {"memory": GI, "nvidia.com/gpu": 2},
            id="limits stand in for missing requests",
        ),
        pytest.param(
            {"containers": [container({"cpu": 1})], "initContainers": [container({"cpu": 3}), container({"cpu": 2})]},
            {"cpu": 3000},
            id="the largest init container counts, since they run one by one",
        ),
        pytest.param(
            {"containers": [container({"cpu": 1})], "initContainers": [container({"cpu": 1}, restartPolicy="Always")]},
            {"cpu": 2000},
            id="a sidecar runs beside the containers",
        ),
        pytest.param(
            {
                "containers": [container({"cpu": 1})],
                "initContainers": [
                    container({"cpu": 1}, restartPolicy="Always"),
                    container({"cpu": 4}),
                    container({"cpu": 2}, restartPolicy="Always"),
                ],
            },
            {"cpu": 5000},
            id="an init container runs beside the sidecars before it",
        ),
        pytest.param(
            {"containers": [container({"cpu": 1})], "overhead": {"cpu": "250m", "memory": "1Gi"}},
            {"cpu": 1250, "memory": GI},
            id="overhead is added",
        ),
        pytest.param(
            {
                "containers": [container({"cpu": 1, "nvidia.com/gpu": 1})],
                "resources": {"requests": {"cpu": 3}, "limits": {"memory": "2Gi"}},
            },
            {"cpu": 3000, "memory": 2 * GI, "nvidia.com/gpu": 1},
            id="pod-level cpu and memory override the sum",
        ),
        pytest.param({"containers": [container({"cpu": "-1"})]}, {"cpu": 0}, id="negative amounts count as nothing"),
        pytest.param({}, {}, id="a spec without containers asks for nothing"),
        pytest.param({"containers": None, "tolerations": None}, {}, id="nulls count as absent"),
    ],
)  # fmt: skip
def test_effective_requests(spec: Json, expected: dict[str, int]) -> None:
    assert dict(pod_class(spec).requests) == expected


def test_requests_above_their_own_limit_are_named() -> None:
    spec = {
        "containers": [container({"cpu": 2, "memory": "1Gi"}, {"cpu": 1, "memory": "1024Mi"})],
        "initContainers": [container({"nvidia.com/gpu": 2}, {"nvidia.com/gpu": 1})],
    }
    assert pod_class(spec).limits_exceeded == ("cpu", "nvidia.com/gpu")


def test_where_it_may_run() -> None:
    spec = {
        "containers": [],
        "nodeSelector": {"b": "2", "a": "1"},
        "tolerations": [
            {"operator": "Exists"},
            {"key": "k", "value": "v", "effect": "NoExecute", "tolerationSeconds": 5},
        ],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]},
                    ]
                }
            }
        },
    }
    found = pod_class(spec)
    assert found.node_selector == (("a", "1"), ("b", "2"))
    assert found.tolerations == (Toleration(operator="Exists"), Toleration("k", "Equal", "v", "NoExecute", 5))
    assert found.node_affinity == (
        NodeTerm(labels=(Requirement("disk", "In", ("ssd",)),)),
        NodeTerm(fields=(Requirement("metadata.name", "In", ("n1",)),)),
    )


def test_required_affinity_without_terms_is_kept_as_one_that_matches_nothing() -> None:
    required: Json = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    assert pod_class({"affinity": {"nodeAffinity": required}}).node_affinity == (NodeTerm(),)


def test_equal_specs_share_one_class() -> None:
    assert pod_class({"containers": [container({"cpu": 1})]}) is pod_class({"containers": [container({"cpu": 1})]})


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": "all"},
        {"containers": [container({"cpu": "much"})]},
        {"nodeSelector": ["a"]},
        {"overhead": {"cpu": "1x"}},
    ],
)
def test_a_spec_without_sense_is_refused(spec: Json) -> None:
    with pytest.raises(UnreadableError):
        pod_class(spec)
