"""Built-in admission of nodes."""

from __future__ import annotations

import pytest

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.cluster.embedded.plugins import TaintNodesByCondition
from roadstead.cluster.embedded.requests import SYSTEM
from roadstead.kinds.names import NODES, PODS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.served import default_registry

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
GPU = {"key": "gpu", "value": "true", "effect": "NoSchedule"}


def admitted(spec: Json, operation: str = "CREATE", resource: Resource = NODES, subresource: str = "") -> Json:
    kind = default_registry().get(resource)
    assert kind is not None
    value = {"metadata": {"name": "n"}, "spec": spec}
    asked = AdmissionRequest(
        operation, kind, "", "n", subresource, value, None, SYSTEM, False, lambda resource, namespace, name: None
    )
    TaintNodesByCondition().admit(asked)
    return spec


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, [NOT_READY]),
        ([GPU], [GPU, NOT_READY]),
        ([NOT_READY, GPU], [NOT_READY, GPU]),
        ([{**NOT_READY, "effect": "NoExecute"}], [{**NOT_READY, "effect": "NoExecute"}, NOT_READY]),
    ],
)
def test_a_new_node_takes_no_pods_yet(before: list[Json] | None, after: list[Json]) -> None:
    assert admitted({} if before is None else {"taints": before})["taints"] == after


def test_only_new_nodes_are_tainted() -> None:
    assert admitted({}, operation="UPDATE") == {}
    assert admitted({}, resource=PODS, subresource="binding") == {}
