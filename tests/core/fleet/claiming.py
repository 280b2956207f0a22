"""Builders for tests about claims: GPUs that nodes publish, and pods that claim some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from roadstead.core.fleet.claims import DEVICE_ATTRIBUTE
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.undo import UndoLog
from roadstead.model.dra import (
    Allocation,
    Attribute,
    Claim,
    Constraint,
    Device,
    DeviceClass,
    DeviceId,
    DeviceRequest,
    DeviceResult,
    NodeChoice,
    PodClaim,
    Request,
    ResourceClaim,
    ResourceSlice,
)
from roadstead.model.nodes import Node
from roadstead.model.workload import Member, Placement, PodClass, PodSetPlacement

DRIVER = "gpu.example.com"
CLASS = DeviceClass("gpu", (f'device.driver == "{DRIVER}"',))


def gpu(number: int, numa: int | None = None, *, listed: bool = True) -> Device:
    """gpu-<number>; four of them are on one NUMA node."""
    attributes = [
        ("index", Attribute("int", (number,))),
        ("numa", Attribute("int", (number // 4 if numa is None else numa,))),
    ]
    if listed:
        attributes.append((DEVICE_ATTRIBUTE, Attribute("string", (f"gpu-{number}",))))
    return Device(f"gpu-{number}", tuple(attributes))


def published(
    node: str, gpus: int | Sequence[Device] = 2, *, generation: int = 1, listed: bool = True
) -> ResourceSlice:
    """The slice of a node's own pool."""
    devices = tuple(gpu(at, listed=listed) for at in range(gpus)) if isinstance(gpus, int) else tuple(gpus)
    return ResourceSlice(f"{node}-gpus", DRIVER, node, generation, 1, NodeChoice(name=node), devices)


def fleet_with(nodes: Iterable[Node], slices: Iterable[ResourceSlice], undo: UndoLog | None = None) -> Fleet:
    made = Fleet(undo or UndoLog())
    made.claims.set_class(CLASS.name, CLASS)
    for node in nodes:
        made.set_node(node)
    for each in slices:
        made.claims.set_slice(each.name, each)
    return made


def claim(count: int = 1, *, cel: str = "", match: str = "", mode: str = "ExactCount", name: str = "") -> Claim:
    body = DeviceRequest(
        "r", "gpu", mode=mode, count=count if mode == "ExactCount" else 0, selectors=(cel,) if cel else ()
    )
    constraints = (Constraint(match=match),) if match else ()
    return Claim("ns" if name else "", name, (Request("r", (body,)),), constraints)


def claiming(*claims: Claim | str, cpu: int = 1, gpus: int = 0) -> PodClass:
    """A pod with a claim of its own for each `Claim`, and sharing the ResourceClaim ns/<name> for each name."""
    requests = {"cpu": cpu * 1000} | ({"nvidia.com/gpu": gpus} if gpus else {})
    return PodClass(
        requests=tuple(sorted(requests.items())),
        claims=tuple(
            PodClaim(f"c{at}", shared=("ns", each)) if isinstance(each, str) else PodClaim(f"c{at}", each)
            for at, each in enumerate(claims)
        ),
    )


def resource_claim(
    name: str,
    wanted: Claim | None = None,
    given: Allocation | None = None,
    *,
    consumers: tuple[str, ...] = (),
    deleting: bool = False,
) -> ResourceClaim:
    return ResourceClaim("ns", name, f"uid-{name}", wanted or claim(name=name), given, consumers, "", deleting)


def given(node: str, *numbers: int) -> Allocation:
    """An allocation of whole GPUs of a node's pool."""
    return Allocation(tuple(DeviceResult("r", DeviceId(DRIVER, node, f"gpu-{at}")) for at in numbers))


def holding(node: str, *numbers: int, claim_name: str = "c0") -> Placement:
    """One member whose claim has these GPUs."""
    return Placement((PodSetPlacement("main", (Member(node, (), ((claim_name, given(node, *numbers)),)),), ()),))


def devices_of(placement: Placement, pod_set: int = 0) -> list[str]:
    """Per member: `node: gpu-0 gpu-1` of its claims."""
    return [
        f"{member.node}: " + " ".join(result.id.device for _, each in member.claims for result in each.results)
        for member in placement.pod_sets[pod_set].members
    ]
