"""Claims as the control plane leaves them for a node: allocated and reserved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roadstead.kinds.names import RESOURCE_CLAIMS
from roadstead.kinds.object import Json, Object

GPU, NIC = "gpu.nvidia.com", "dra.net"


def result(device: str, request: str = "gpu", *, driver: str = GPU, pool: str = "n1", **more: Any) -> Json:
    return {"request": request, "driver": driver, "pool": pool, "device": device, **more}


def allocation(*results: Json, config: Sequence[Json] = (), node: str = "n1") -> Json:
    found: Json = {"devices": {"results": list(results)}}
    if config:
        found["devices"]["config"] = list(config)
    if node:
        fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
        found["nodeSelector"] = {"nodeSelectorTerms": [{"matchFields": fields}]}
    return found


def claim(
    name: str = "c",
    *results: Json,
    consumers: Sequence[str] = ("uid-1",),
    owner: str = "",
    allocated: Json | None = None,
    uid: str = "",
    **more: Any,
) -> Object:
    """A claim that gives these results on node n1 to the pods of these uids. `owner`: the pod that it was made for."""
    metadata: Json = {"name": name, "namespace": "ns", "uid": uid or f"{name}-uid"}
    if owner:
        reference = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": owner, "controller": True}
        metadata["ownerReferences"] = [reference]
    status: Json = {
        "allocation": allocation(*results, **more) if allocated is None else allocated,
        "reservedFor": [{"resource": "pods", "name": "p", "uid": each} for each in consumers],
    }
    value = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": metadata, "status": status}
    return Object.of(RESOURCE_CLAIMS, value)
