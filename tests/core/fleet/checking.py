"""An independent reading of what placements may do with devices: written from the rules, sharing no code with what
places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, product

from roadstead.core.fleet.claims import DEVICE_ATTRIBUTE
from roadstead.model.dra import Claim, Device, DeviceId, ResourceSlice
from roadstead.model.nodes import Node
from roadstead.model.workload import Placement, PodClass

MODEL = "model"
"""The attribute that selectors of these worlds look at: `device.attributes["gpu.example.com"].model == "<x>"`."""


def offered(slices: Iterable[ResourceSlice], node: str) -> dict[DeviceId, Device]:
    """Devices that a node sees. Every pool of these worlds is one slice."""
    return {
        DeviceId(of.driver, of.pool, device.name): device
        for of in slices
        for device in of.devices
        if of.nodes.all or of.nodes.name == node
    }


def listed_as(device: Device) -> str:
    for name, attribute in device.attributes:
        if name == DEVICE_ATTRIBUTE:
            return str(attribute.values[0])
    return ""


def value_of(device: Device, name: str) -> object:
    return next((attribute.values[0] for key, attribute in device.attributes if key == name), None)


def does(device: Device, selectors: Sequence[str | None]) -> bool:
    """Selectors of these worlds are `...model == "x"` or nothing."""
    return all(text is None or text.endswith(f'"{value_of(device, MODEL)}"') for text in selectors)


def counters_hold(slices: Iterable[ResourceSlice], taken: Iterable[DeviceId]) -> bool:
    """No counter set gives more than it has."""
    left: dict[tuple[str, str, str, str], int] = {}
    devices: dict[DeviceId, Device] = {}
    for of in slices:
        devices |= {DeviceId(of.driver, of.pool, device.name): device for device in of.devices}
        for each in of.counter_sets:
            for name, amount in each.counters:
                left[of.driver, of.pool, each.name, name] = amount.nano
    for at in set(taken):
        for use in devices[at].consumes:
            for name, amount in use.counters:
                left[at.driver, at.pool, use.counter_set, name] -= amount.nano
    return all(amount >= 0 for amount in left.values())


def check(nodes: Iterable[Node], slices: Sequence[ResourceSlice], held: Iterable[tuple[PodClass, Placement]]) -> None:
    """AssertionError unless every holder's members have what they ask for and nothing is given twice."""
    known = {node.name: node for node in nodes}
    whole: Counter[tuple[str, str]] = Counter()  # (node, listed name) or ("", device id)
    claimed: list[DeviceId] = []
    used: dict[str, Counter[str]] = {name: Counter() for name in known}
    for pod, placement in held:
        for pod_set in placement.pod_sets:
            for member in pod_set.members:
                node = known[member.node]
                used[node.name].update({**dict(pod.requests), "pods": 1})
                by_name = Counter(device.resource for device in node.devices if device.name in member.devices)
                assert by_name == Counter(
                    {r: n for r, n in pod.requests if any(d.resource == r for d in node.devices) and n}
                )
                whole.update((node.name, name) for name in member.devices)
                given = dict(member.claims)
                assert given.keys() == {each.name for each in pod.claims}
                seen = offered(slices, node.name)
                for each in pod.claims:
                    assert each.claim is not None
                    assert satisfies(each.claim, [seen[r.id] for r in given[each.name].results]), (each.claim, given)
                    for result in given[each.name].results:
                        claimed.append(result.id)
                        name = listed_as(seen[result.id])
                        if name and not seen[result.id].consumes:
                            whole[node.name, name] += 1
    assert all(count == 1 for count in Counter(claimed).values()), "a device was given to two claims"
    assert all(count == 1 for count in whole.values()), "a device was given in two ways"
    assert counters_hold(slices, claimed), "a counter is overdrawn"
    for name, amounts in used.items():
        allocatable = dict(known[name].allocatable)
        assert all(amount <= allocatable.get(resource, 0) for resource, amount in amounts.items())


def satisfies(claim: Claim, devices: Sequence[Device]) -> bool:
    """Do these devices, in the order of the requests, satisfy the claim?"""
    at = 0
    for request in claim.requests:
        [body] = request.alternatives
        part = devices[at : at + body.count]
        if len(part) != body.count or not all(does(device, body.selectors) for device in part):
            return False
        at += body.count
    if at != len(devices):
        return False
    for constraint in claim.constraints:
        name = (constraint.match or constraint.distinct).partition("/")[2]
        values = [value_of(device, name) for device in devices]
        if None in values or len(set(values)) not in ((0, 1) if constraint.match else (len(values),)):
            return False
    return True


def can_hold(
    node: Node, slices: Sequence[ResourceSlice], claims: Sequence[Claim], pods: int, busy: set[DeviceId]
) -> bool:
    """Is there any way at all to give `pods` pods of one node these claims, beside what is busy? Exhaustive."""
    seen = offered(slices, node.name)

    def ways(claim: Claim, free: set[DeviceId]) -> Iterable[set[DeviceId]]:
        choices = [
            list(combinations(sorted(d for d in free if does(seen[d], body.selectors)), body.count))
            for request in claim.requests
            for body in request.alternatives
        ]
        for picked in product(*choices):
            flat = [device for part in picked for device in part]
            if len(set(flat)) == len(flat) and satisfies(claim, [seen[device] for device in flat]):
                yield set(flat)

    def go(todo: list[Claim], taken: set[DeviceId]) -> bool:
        if not todo:
            return True
        free = set(seen) - busy - taken
        return any(
            counters_hold(slices, busy | taken | way) and go(todo[1:], taken | way) for way in ways(todo[0], free)
        )

    return go([*claims] * pods, set())
