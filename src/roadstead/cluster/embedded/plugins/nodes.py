"""What the real server's built-in admission does to nodes (kubernetes-api 17.1; k8s plugin/pkg/admission/nodetaint)."""

from __future__ import annotations

from typing import Final

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.kinds.names import NODES
from roadstead.kinds.object import Json

NOT_READY: Final[Json] = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition:
    """A new node takes no pods until its Ready condition has been looked at: the node lifecycle controller takes this
    taint off."""

    def admit(self, request: AdmissionRequest) -> None:
        if request.operation != "CREATE" or request.kind.resource != NODES or request.subresource:
            return
        assert request.object is not None
        spec = request.object["spec"]
        taints = spec.get("taints") or []
        if not any((taint.get("key"), taint.get("effect")) == tuple(NOT_READY.values()) for taint in taints):
            spec["taints"] = [*taints, dict(NOT_READY)]
