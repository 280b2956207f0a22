"""A gang that is admitted and placed by hand, with claims; whoever makes, binds, releases and evicts; and a kubelet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from roadstead.controllers.binder import Binder
from roadstead.controllers.claims import DeviceTaintController, PodClaimsController, ResourceClaimController
from roadstead.controllers.garbage import GarbageCollector
from roadstead.kinds.names import (
    NODES,
    PLACEMENTS,
    PODS,
    PODSET_LABEL,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    WORKLOAD_ANNOTATION,
    WORKLOADS,
)
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry
from roadstead.runtime.step import Controller
from roadstead.testing.controllers import Fault, Lab
from tests.controllers.queueing.lab import RUN_SECONDS, Kubelet, node

DRIVER: Final = "gpu.example.com"
Devices = Sequence[str]


def controllers() -> Sequence[Controller]:
    return [
        Binder(),
        PodClaimsController(),
        ResourceClaimController(),
        DeviceTaintController(),
        GarbageCollector(default_registry()),
        Kubelet(),
    ]


class ClaimLab(Lab):
    """A node, and claims of its devices."""

    def __init__(self, *, faults: Mapping[int, Fault] | None = None, lag: int = 0, seed: int = 0) -> None:
        super().__init__(controllers, faults=faults, lag=lag, seed=seed)
        self.join("n1")

    def __enter__(self) -> ClaimLab:
        return self

    def join(self, name: str) -> None:
        value = node(name, "8")
        self.create(NODES, value)
        self.edit_status(NODES, name, **value["status"])

    def template(self, name: str = "two", count: int = 2, **request: Any) -> None:
        asked = {"name": "gpus", "exactly": {"deviceClassName": "gpu", "count": count, **request}}
        self.create(
            RESOURCE_CLAIM_TEMPLATES,
            {
                "apiVersion": RESOURCE_CLAIM_TEMPLATES.api_version,
                "kind": "ResourceClaimTemplate",
                "metadata": {"name": name},
                "spec": {"metadata": {"labels": {"team": "a"}}, "spec": {"devices": {"requests": [asked]}}},
            },
        )

    def claim(self, name: str) -> None:
        """A claim that pods may share."""
        asked = {"name": "gpus", "exactly": {"deviceClassName": "gpu", "count": 1}}
        self.create(
            RESOURCE_CLAIMS,
            {
                "apiVersion": RESOURCE_CLAIMS.api_version,
                "kind": "ResourceClaim",
                "metadata": {"name": name},
                "spec": {"devices": {"requests": [asked]}},
            },
        )

    def place(self, members: Iterable[Mapping[str, Json]], *, name: str = "gang", node: str = "n1") -> None:
        """Admit a workload and say what each member's claims are given, by the pod's names for them."""
        members = list(members)
        created = self.create(
            WORKLOADS,
            {
                "apiVersion": WORKLOADS.api_version,
                "kind": "Workload",
                "metadata": {"name": name},
                "spec": {"podSets": [{"name": "main", "count": len(members), "template": {"spec": pod_spec()}}]},
            },
        )
        moment = "2027-01-15T08:00:00Z"
        self.edit_status(
            WORKLOADS,
            name,
            admission={"clusterQueue": "q", "podSetAssignments": [{"name": "main", "count": len(members)}]},
            conditions=[
                {"type": type, "status": "True", "reason": type, "message": "", "lastTransitionTime": moment}
                for type in ("QuotaReserved", "Admitted")
            ],
        )
        placed = [
            {"node": node, "claims": [{"name": each, "allocation": given} for each, given in member.items()]}
            for member in members
        ]
        self.create(
            PLACEMENTS,
            {
                "apiVersion": PLACEMENTS.api_version,
                "kind": "Placement",
                "metadata": {"name": name},
                "spec": {
                    "workload": {"name": name, "uid": created.meta.uid},
                    "podSets": [{"name": "main", "members": placed}],
                },
            },
        )

    def pod(
        self,
        name: str,
        claims: Sequence[Json],
        *,
        seconds: float | None = None,
        workload: str = "gang",
        node: str = "",
    ) -> Json:
        annotations = {WORKLOAD_ANNOTATION: workload} if workload else {}
        if seconds is not None:
            annotations[RUN_SECONDS] = str(seconds)
        metadata = {"name": name, "annotations": annotations, "labels": {PODSET_LABEL: "main"}}
        created = self.create(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {**pod_spec(), "resourceClaims": list(claims), **({"nodeName": node} if node else {})},
            },
        )
        return created.decode()

    def claim_of(self, pod: str, entry: str = "gpus") -> Json:
        """The claim that was made for a pod."""
        status = self.the(PODS, pod)["status"]
        [name] = [each["resourceClaimName"] for each in status["resourceClaimStatuses"] if each["name"] == entry]
        return self.the(RESOURCE_CLAIMS, name)

    def node_of(self, pod: str) -> str:
        return str(self.the(PODS, pod)["spec"].get("nodeName", ""))

    def check_devices(self) -> None:
        """No device is held by two claims, whoever runs is reserved for, and nobody runs on devices that another claim
        holds."""
        holders: dict[str, str] = {}
        for claim in self.all(RESOURCE_CLAIMS):
            for device in devices_of(claim):
                other = holders.setdefault(device, claim["metadata"]["name"])
                assert other == claim["metadata"]["name"], (
                    f"{device} is held by {other} and {claim['metadata']['name']}"
                )
        for pod in self.all(PODS):
            if not pod["spec"].get("nodeName") or pod["status"]["phase"] in ("Succeeded", "Failed"):
                continue
            made = {
                each["name"]: each["resourceClaimName"] for each in pod["status"].get("resourceClaimStatuses") or ()
            }
            for entry in pod["spec"].get("resourceClaims") or ():
                claim = self.the(RESOURCE_CLAIMS, entry.get("resourceClaimName") or made[entry["name"]])
                uids = [each["uid"] for each in claim["status"].get("reservedFor") or ()]
                assert pod["metadata"]["uid"] in uids, f"{pod['metadata']['name']} runs without its claim"


def pod_spec() -> Json:
    return {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}


def from_template(name: str = "two", entry: str = "gpus") -> Json:
    return {"name": entry, "resourceClaimTemplateName": name}


def shared(name: str, entry: str = "gpus") -> Json:
    return {"name": entry, "resourceClaimName": name}


def allocation(*devices: str, node: str = "n1", **result: Any) -> Json:
    """Devices of the node's pool, for the request `gpus`."""
    results = [{"request": "gpus", "driver": DRIVER, "pool": node, "device": device, **result} for device in devices]
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {"devices": {"results": results}, "nodeSelector": {"nodeSelectorTerms": [term]}}


def devices_of(claim: Json) -> list[str]:
    """The devices that a claim holds."""
    given = ((claim.get("status") or {}).get("allocation") or {}).get("devices") or {}
    return [result["device"] for result in given.get("results") or ()]
