"""Which devices a pod was given, as its processes are told."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.kinds.names import POD_DEVICES_ANNOTATION
from roadstead.node.agent import resources
from roadstead.node.agent.problems import Problem
from roadstead.node.agent.profiles import Profile
from roadstead.node.agent.views import Pod


def assigned(pod: Pod) -> tuple[str, ...]:
    """Names of the devices that the binder gave the pod, in the order it gave them."""
    text = pod.metadata.annotations.get(POD_DEVICES_ANNOTATION, "")
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def rejection(pod: Pod, profile: Profile) -> Problem | None:
    """Why the node cannot give this pod what it asks for, if so: no device is handed out that was not assigned."""
    if not profile.resource:
        return None
    asked, names = resources.device_count(pod, profile.resource), assigned(pod)
    if stands_for(pod, profile.resource):
        return None
    unknown = [name for name in names if name not in _indices(profile)]
    if unknown:
        text = f"the pod was given {', '.join(unknown)}; this node has {profile.devices} devices, gpu-0 and following"
        return Problem("UnexpectedAdmissionError", text)
    if asked != len(names):
        text = (
            f"the pod asks for {asked} {profile.resource} and was given {len(names)} devices: "
            "submit it through a queue, or let the scheduler bind it instead of setting spec.nodeName"
        )
        return Problem("UnexpectedAdmissionError", text)
    return None


def _indices(profile: Profile) -> dict[str, int]:
    return {f"gpu-{index}": index for index in range(profile.devices)}


def stands_for(pod: Pod, resource: str) -> bool:
    """Was a claim made for what the pod asks of this resource by count (KEP-5004)?"""
    made = pod.status.extended_resource_claim_status
    return made is not None and any(one.resource_name == resource for one in made.request_mappings)


def variables(pod: Pod, profile: Profile, by_claims: Sequence[str] = ()) -> dict[str, str]:
    """CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES: exactly the pod's devices by node-local index, then those that a
    container has by its claims; none at all if there are none.

    Nodes without devices set nothing: a program there sees what the machine has.
    """
    if not profile.devices:
        return {}
    indices = _indices(profile)
    names = [str(indices[name]) for name in assigned(pod) if name in indices]
    text = ",".join(dict.fromkeys([*names, *by_claims]))
    return {"CUDA_VISIBLE_DEVICES": text, "NVIDIA_VISIBLE_DEVICES": text or "void"}
