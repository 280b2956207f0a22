"""Requests and limits as numbers, for `resourceFieldRef`, memory limits and device checks."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.expr import quantity
from roadstead.node.agent.problems import config_error
from roadstead.node.agent.views import Container, Pod, Quantity, ResourceFieldRef


def memory_limit(container: Container) -> int | None:
    """Bytes, or None if there is no limit."""
    limit = container.resources.limits.get("memory")
    return quantity.parse(limit).value if limit is not None else None


def device_count(pod: Pod, resource: str) -> int:
    """How many devices of an extended resource a pod asks for: of init containers the largest, of the others the
    sum."""

    def asked(container: Container) -> int:
        resources = container.resources
        amount = resources.requests.get(resource, resources.limits.get(resource, 0))
        return quantity.parse(amount).value

    together = sum(map(asked, pod.spec.containers))
    return max([together, *map(asked, pod.spec.init_containers)])


def field_value(
    pod: Pod, container: Container | None, ref: ResourceFieldRef, allocatable: Mapping[str, Quantity]
) -> str:
    """The text of a resourceFieldRef: the amount divided by the divisor, rounded up (k8s `pkg/api/v1/resource`).

    A missing limit is what the node can give; a missing request is the limit, else 0.
    """
    if ref.container_name:
        container = next((one for one in pod.spec.all_containers if one.name == ref.container_name), None)
    if container is None:
        raise config_error(f"resourceFieldRef names container {ref.container_name!r}, which the pod does not have")
    kind, _, name = ref.resource.partition(".")
    limits, requests = container.resources.limits, container.resources.requests
    amount: Quantity
    if kind == "limits":
        amount = limits.get(name, allocatable.get(name, 0))
    elif kind == "requests":
        amount = requests.get(name, limits.get(name, 0))
    else:
        raise config_error(f"resourceFieldRef {ref.resource!r}: write limits.<resource> or requests.<resource>")
    divisor = quantity.parse(ref.divisor or 1).nano or 10**9
    return str(-(-quantity.parse(amount).nano // divisor))
