"""A gang has its places all or none, and its pods are bound exactly there: each member once, to the node and devices of
its Placement.

A Placement that a user deletes is missed where it should have been: whoever is admitted or bound at that very moment is
then evicted.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from roadstead.kinds.names import MEMBER_ANNOTATION, POD_DEVICES_ANNOTATION
from roadstead.kinds.object import Json
from roadstead.kinds.roadstead.released import released
from roadstead.sim.judges.base import (
    Change,
    Judge,
    annotation,
    has_ended,
    holds_quota,
    is_true,
    node_of,
    uid_of,
    workload_path,
)


class PodsJudge(Judge):
    """See the module."""

    name: ClassVar[str] = "pods"

    def begin(self) -> None:
        self.lost: Collection[str] = ()
        """Uids of Placements that users have deleted."""
        self._last_deleted: dict[str, str] = {}

    def changed(self, change: Change) -> None:
        if change.kind == "pods" and change.new is not None:
            was = change.old if change.old is not None and uid_of(change.old) == uid_of(change.new) else None
            if node_of(change.new) and (was is None or not node_of(was)):
                self._bound(change.path, change.new)
            if was is not None and node_of(was) not in ("", node_of(change.new)):
                self.complain(f"pod {change.path} moved from {node_of(was)} to {node_of(change.new)}")
            if was is not None and has_ended(was) and not has_ended(change.new):
                self.complain(f"pod {change.path} had ended and lives again")
        elif change.kind == "placements" and change.new is None:
            self._last_deleted[change.path] = uid_of(change.either)
        elif change.kind == "workloads" and change.new is not None:
            self._reserved(change)

    def _reserved(self, change: Change) -> None:
        """All or none: who newly holds a reservation has a place for every pod of it. (A Placement alone binds nobody:
        the gang may have changed since it was decided, and then it is undone.)"""
        workload = change.new
        assert workload is not None
        if not holds_quota(workload) or holds_quota(change.old):
            return
        placement = self.past.get("placements", change.path)
        if placement is None and self._is_lost_on_purpose(change.path):
            return
        if placement is None or placement["spec"]["workload"]["uid"] != uid_of(workload):
            self.complain(f"Workload {change.path} holds a reservation and no Placement")
            return
        given = {one["name"]: len(one["members"]) for one in placement["spec"]["podSets"]}
        for one in workload["status"]["admission"]["podSetAssignments"]:
            if given.get(one["name"], 0) != one["count"]:
                text = f"{one['count']} pods of {one['name']} and its Placement {given.get(one['name'], 0)}"
                self.complain(f"Workload {change.path} is admitted for {text}")

    def _bound(self, path: str, pod: Json) -> None:
        workload = workload_path(pod)
        if not workload:
            return
        placement = self.past.get("placements", workload)
        owner = self.past.get("workloads", workload)
        if placement is None and self._is_lost_on_purpose(workload):
            return
        if placement is None or owner is None or placement["spec"]["workload"]["uid"] != uid_of(owner):
            self.complain(f"pod {path} is bound to {node_of(pod)} and its Workload has no Placement")
            return
        if not is_true(owner, "QuotaReserved"):
            self.complain(f"pod {path} is bound to {node_of(pod)} and its Workload holds no reservation")
        number = annotation(pod, MEMBER_ANNOTATION)
        pod_set = placement["spec"]["podSets"][0]
        if not number.isdigit() or int(number) >= len(pod_set["members"]):
            self.complain(f"pod {path} is bound as member {number!r} of {len(pod_set['members'])}")
            return
        if int(number) in released(placement["metadata"].get("annotations") or {}, pod_set["name"]):
            self.complain(f"pod {path} is bound as member {number} of {workload}, whose place was given back")
        member = pod_set["members"][int(number)]
        devices = [name for name in annotation(pod, POD_DEVICES_ANNOTATION).split(",") if name]
        if (member["node"], member.get("devices") or []) != (node_of(pod), devices):
            self.complain(f"pod {path} is bound to {node_of(pod)} {devices}; its Placement says {member}")
        for other_path, other in self.past.all("pods").items():
            if (
                other_path != path
                and workload_path(other) == workload
                and annotation(other, MEMBER_ANNOTATION) == number
                and node_of(other)
                and not has_ended(other)
                and not self._is_lost(other)
            ):
                self.complain(f"pods {path} and {other_path} are both member {number} of {workload}")

    def _is_lost_on_purpose(self, path: str) -> bool:
        return self._last_deleted.get(path) in self.lost

    def _is_lost(self, pod: Json) -> bool:
        """It was told to go and nobody can tell whether it did: its node is gone or silent."""
        node = self.past.get("nodes", node_of(pod))
        return bool(pod["metadata"].get("deletionTimestamp")) and not is_true(node, "Ready")
