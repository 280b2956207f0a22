"""No node is overcommitted and no device is in two live places, counting what Placements and bound pods say.

A place is live while its Placement exists and its Workload holds a reservation: a Placement alone is the first half of
an admission, and an orphan is undone; nothing is ever bound by one. A bound pod that no live Placement speaks for (by
its member, its node and its devices) counts by itself until it has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from roadstead.expr.quantity import canonical
from roadstead.kinds.names import MEMBER_ANNOTATION, POD_DEVICES_ANNOTATION
from roadstead.kinds.object import Json
from roadstead.kinds.roadstead.released import released
from roadstead.sim.judges.base import (
    Change,
    Judge,
    annotation,
    has_ended,
    holds_quota,
    node_of,
    uid_of,
    workload_path,
)


@dataclass(frozen=True, slots=True)
class Place:
    who: str
    node: str
    devices: tuple[str, ...]
    requests: tuple[tuple[str, int], ...]


def requests_of(spec: Json) -> tuple[tuple[str, int], ...]:
    """Of a pod: its containers added up (stories have no init containers)."""
    found: dict[str, int] = {}
    for container in spec["containers"]:
        for name, amount in ((container.get("resources") or {}).get("requests") or {}).items():
            found[name] = found.get(name, 0) + canonical(name, amount)
    return tuple(sorted(found.items()))


class PlacesJudge(Judge):
    """See the module."""

    name: ClassVar[str] = "places"

    def begin(self) -> None:
        self._of: dict[str, list[Place]] = {}

    def changed(self, change: Change) -> None:
        if change.kind in ("placements", "workloads"):
            self._refresh(f"placement {change.path}", self._of_placement(change.path))
            for pod in self.past.all("pods").values():
                if workload_path(pod) == change.path:
                    self._refresh_pod(pod)
        elif change.kind == "pods":
            if change.new is None or (change.old is not None and uid_of(change.old) != uid_of(change.new)):
                assert change.old is not None
                self._of.pop(f"pod {change.path} {uid_of(change.old)}", None)
            if change.new is not None:
                self._refresh_pod(change.new)

    def live_placement(self, path: str) -> Json | None:
        """The Placement of this Workload, while it holds its places."""
        placement, workload = self.past.get("placements", path), self.past.get("workloads", path)
        if placement is None or workload is None or not holds_quota(workload):
            return None
        return placement if placement["spec"]["workload"]["uid"] == uid_of(workload) else None

    def _of_placement(self, path: str) -> list[Place]:
        placement = self.live_placement(path)
        return list(_places(path, placement)) if placement is not None else []

    def _refresh_pod(self, pod: Json) -> None:
        meta = pod["metadata"]
        who = f"pod {meta['namespace']}/{meta['name']} {uid_of(pod)}"
        speaks_for_itself = node_of(pod) and not has_ended(pod) and not self._is_spoken_for(pod)
        devices = annotation(pod, POD_DEVICES_ANNOTATION)
        place = Place(who, node_of(pod), tuple(devices.split(",")) if devices else (), requests_of(pod["spec"]))
        self._refresh(who, [place] if speaks_for_itself else [])

    def _is_spoken_for(self, pod: Json) -> bool:
        """Is it where the live Placement of its Workload has its member? One that has outlived the Placement that it
        was bound by may be elsewhere."""
        path, number = workload_path(pod), annotation(pod, MEMBER_ANNOTATION)
        placement = self.live_placement(path) if path and number.isdigit() else None
        if placement is None:
            return False
        pod_set = placement["spec"]["podSets"][0]
        if int(number) >= len(pod_set["members"]) or int(number) in released(
            placement["metadata"].get("annotations") or {}, pod_set["name"]
        ):
            return False
        member = pod_set["members"][int(number)]
        devices = annotation(pod, POD_DEVICES_ANNOTATION)
        return bool(member["node"] == node_of(pod) and ",".join(member.get("devices") or ()) == devices)

    def _refresh(self, who: str, places: list[Place]) -> None:
        if places == self._of.get(who, []):
            return
        if places:
            self._of[who] = places
            for node in dict.fromkeys(place.node for place in places):
                self._check(node, who)
        else:
            self._of.pop(who, None)

    def _check(self, name: str, who: str) -> None:
        here = [place for places in self._of.values() for place in places if place.node == name]
        holders: dict[str, str] = {}
        for place in here:
            for device in place.devices:
                if device in holders:
                    self.complain(f"{who}: {device} of {name} is given to {holders[device]} and to {place.who}")
                holders[device] = place.who
        node = self.past.get("nodes", name)
        if node is None:
            return
        offered = {
            resource: canonical(resource, amount)
            for resource, amount in (node.get("status") or {}).get("allocatable", {}).items()
        }
        used: dict[str, int] = {"pods": len(here)}
        for place in here:
            for resource, amount in place.requests:
                used[resource] = used.get(resource, 0) + amount
        for resource, amount in used.items():
            if amount > offered.get(resource, 0):
                self.complain(f"{who}: {amount} of {offered.get(resource, 0)} {resource} of node {name} are given away")


def _places(path: str, placement: Json) -> Iterator[Place]:
    for pod_set in placement["spec"]["podSets"]:
        requests = tuple(sorted((name, canonical(name, amount)) for name, amount in pod_set["requests"].items()))
        for number, member in enumerate(pod_set["members"]):
            if number in released(placement["metadata"].get("annotations") or {}, pod_set["name"]):
                continue
            who = f"{path}/{pod_set['name']}/{number}"
            yield Place(who, member["node"], tuple(member.get("devices") or ()), requests)
