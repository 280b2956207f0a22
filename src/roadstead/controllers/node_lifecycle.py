"""Nodes that fall silent, and what becomes of their pods (workloads.md section 5.11; node_lifecycle_controller.go,
taint eviction).

A node is silent while neither its Lease nor its status changes *before our eyes*: remote clocks are not compared. Time
in which this controller itself did not look (a stalled loop, a suspended laptop) is not silence: it is taken out of the
count, and after such a pause nobody is evicted before the nodes have had time to speak.

Kept in memory only: when a node was last heard, and since when taints without a time are known. Losing it grants every
node one more grace period.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from roadstead.kinds.names import LEASES, NODES, PODS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.times import SECOND, format_time, parse_time
from roadstead.kinds.views.common import find_condition, has_condition
from roadstead.kinds.views.kueue import TaintView, TolerationView
from roadstead.kinds.views.node import NodeView
from roadstead.kinds.views.pod import PodView, has_ended, node_of
from roadstead.runtime.cluster import Delete, Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Note, Read, Step, in_order, same_key

LEASE_NAMESPACE: Final = "kube-node-lease"
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
PRESSURES: Final = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
ADMITTED_TOLERATION_SECONDS: Final = 300
"""What the DefaultTolerationSeconds admission gives pods that say nothing."""
BY_NODE: Final = "by-node"
"""Index of pods by the node they are bound to."""
TICK: Final[Key] = ("", "")
"""A key that is nobody's: looks at the clock once a period."""
MOST_AT_ONCE: Final = 200


def pods_by_node(pod: Object) -> Iterable[str]:
    """Index function for BY_NODE."""
    node = node_of(pod)
    return (node,) if node else ()


def _pods_node(changed: Object, read: Read) -> Iterable[Key]:
    """A pod concerns its node's key while the node evicts or is not ready."""
    name = node_of(changed)
    node = read.get(NODES, "", name) if name else None
    if node is None:
        return ()
    view = node.view(NodeView)
    return () if _is_ready(view) and not _evicting(view) else (node.key,)


def _leases_node(changed: Object, read: Read) -> Iterable[Key]:
    del read
    return (("", changed.meta.name),) if changed.meta.namespace == LEASE_NAMESPACE else ()


def _node_and_tick(changed: Object, read: Read) -> Iterable[Key]:
    return (*same_key(changed, read), TICK)


@dataclass(slots=True)
class _Heard:
    """The last sign of life of a node: what was seen, and when by the count of watched time."""

    sign: tuple[object, ...]
    at: int


class NodeLifecycleController:
    """Marks silent nodes Unknown, taints nodes by their conditions, evicts pods that do not tolerate it.

    `grace_seconds`: silence until a node is Unknown. `toleration_seconds`: how long pods that say nothing of their own
    stay on a node that is not ready or unreachable (the 300 s that admission writes count as nothing of their own).
    """

    name: ClassVar[str] = "node-lifecycle"
    watches: Mapping[Resource, KeysOf] = {NODES: _node_and_tick, LEASES: _leases_node, PODS: _pods_node}
    indexes: Mapping[tuple[Resource, str], Index] = {(PODS, BY_NODE): pods_by_node}

    def __init__(
        self, grace_seconds: int = 40, toleration_seconds: int = ADMITTED_TOLERATION_SECONDS, period_seconds: int = 5
    ) -> None:
        self._grace = grace_seconds * SECOND
        self._toleration = toleration_seconds * SECOND
        self._period = period_seconds * SECOND
        self._heard: dict[str, _Heard] = {}
        self._untimed: dict[tuple[str, str], int] = {}
        self._last_look: int | None = None
        self._lost = 0
        self._no_eviction_before = 0

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        self._look(now)
        if key == TICK:
            return Step(again_at=now + self._period) if read.list(NODES) else NOTHING
        node = read.get(NODES, *key)
        if node is None:
            self._forget(key[1])
            return NOTHING
        view = node.view(NodeView)
        silence = self._silence(node, view, read, now)
        if silence >= self._grace and not _is_unknown(view):
            return _declare_unknown(node, now)
        wanted = _wanted_taints(node, view, now)
        if wanted is not None:
            return in_order(Update(NODES, wanted))
        again = [] if _is_unknown(view) else [now + self._grace - silence]
        pods = read.by_index(PODS, BY_NODE, node.meta.name)
        step = self._evict(node, view, pods, now, again)
        if step is not None:
            return step
        if not _is_ready(view):
            step = _mark_not_ready(pods, now)
            if step is not None:
                return step
        return Step(again_at=min(again, default=None))

    # ------------------------------------------------------------------ silence

    def _look(self, now: int) -> None:
        """Take time in which nobody looked out of the count."""
        if self._last_look is not None:
            gap = now - self._last_look
            if gap > 2 * self._period:
                self._lost += gap - self._period
                self._no_eviction_before = now + self._grace
        self._last_look = now

    def _silence(self, node: Object, view: NodeView, read: Read, now: int) -> int:
        lease = read.get(LEASES, LEASE_NAMESPACE, node.meta.name)
        heartbeats = tuple(
            condition.last_heartbeat_time for condition in view.status.conditions if condition.status != "Unknown"
        )
        sign = (node.meta.uid, lease.version if lease is not None else None, heartbeats)
        watched = now - self._lost
        heard = self._heard.get(node.meta.name)
        if heard is None or heard.sign != sign:
            heard = self._heard[node.meta.name] = _Heard(sign, watched)
        return watched - heard.at

    def _forget(self, name: str) -> None:
        self._heard.pop(name, None)
        for key in [key for key in self._untimed if key[0] == name]:
            del self._untimed[key]

    # ------------------------------------------------------------------ eviction

    def _evict(self, node: Object, view: NodeView, pods: Sequence[Object], now: int, again: list[int]) -> Step | None:
        """The pods whose patience with the node's NoExecute taints is over; later ones are put into `again`."""
        taints = _evicting(view)
        if not taints:
            return None
        since = {taint.key: self._since(node, taint, now) for taint in taints}
        marks: list[Update] = []
        deletes: list[Delete] = []
        for pod in pods:
            if has_ended(pod) or pod.meta.deletion_timestamp:
                continue  # what has finished keeps its result; what is being deleted waits for its agent
            seen = pod.view(PodView)
            at = self._evict_at(seen, taints, since)
            if at is None:
                continue
            at = max(at, self._no_eviction_before)
            if at > now:
                again.append(at)
            elif len(deletes) < MOST_AT_ONCE:
                if not has_condition(seen.status.conditions, "DisruptionTarget"):
                    marks.append(Update(PODS, disrupted(pod, "DeletionByTaintManager", _EVICTED, now), "status"))
                deletes.append(Delete(pod.ref, pod.meta.uid))
        if not deletes:
            return None
        notes = tuple(Note(pod, "Normal", "TaintManagerEviction", "Marking for deletion Pod " + "/".join(pod.key))
                      for pod in pods if any(delete.uid == pod.meta.uid for delete in deletes))  # fmt: skip
        return Step((tuple(marks), tuple(deletes)) if marks else (tuple(deletes),), None, notes)

    def _since(self, node: Object, taint: TaintView, now: int) -> int:
        if taint.time_added:
            return parse_time(taint.time_added)
        return self._untimed.setdefault((node.meta.name, taint.key), now)

    def _evict_at(self, pod: PodView, taints: Sequence[TaintView], since: Mapping[str, int]) -> int | None:
        """When the pod must go; None: it tolerates everything for ever."""
        times: list[int] = []
        for taint in taints:
            patience = self._patience(pod, taint)
            if patience is not None:
                times.append(since[taint.key] + patience)
        return min(times, default=None)

    def _patience(self, pod: PodView, taint: TaintView) -> int | None:
        """Nanoseconds that the pod tolerates the taint; None for ever."""
        found = next((one for one in pod.spec.tolerations or () if _tolerates(one, taint)), None)
        if taint.key in (NOT_READY, UNREACHABLE) and (found is None or _is_admitted(found)):
            return self._toleration
        if found is None:
            return 0
        return None if found.toleration_seconds is None else max(found.toleration_seconds, 0) * SECOND


_EVICTED: Final = "Taint manager: deleting due to NoExecute taint"


def _evicting(view: NodeView) -> list[TaintView]:
    return [taint for taint in view.spec.taints or () if taint.effect == "NoExecute"]


def _tolerates(toleration: TolerationView, taint: TaintView) -> bool:
    if toleration.effect not in ("", taint.effect):
        return False
    if toleration.operator == "Exists":
        return toleration.key in ("", taint.key)
    return toleration.key == taint.key and toleration.value == taint.value


def _is_admitted(toleration: TolerationView) -> bool:
    """It looks like what admission adds, not like somebody's wish."""
    return (
        toleration.key in (NOT_READY, UNREACHABLE)
        and toleration.operator == "Exists"
        and toleration.toleration_seconds == ADMITTED_TOLERATION_SECONDS
    )


# ---------------------------------------------------------------------- conditions and taints


def _is_ready(view: NodeView) -> bool:
    return has_condition(view.status.conditions, "Ready")


def _is_unknown(view: NodeView) -> bool:
    ready = find_condition(view.status.conditions, "Ready")
    return ready is not None and ready.status == "Unknown"


def _declare_unknown(node: Object, now: int) -> Step:
    value = node.decode()
    conditions: list[Any] = value.setdefault("status", {}).setdefault("conditions", [])
    moment = format_time(now)
    for type in ("Ready", *PRESSURES):
        found = next((condition for condition in conditions if condition["type"] == type), None)
        if found is None:
            found = {"type": type, "reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."}
            found["lastHeartbeatTime"] = node.meta.creation_timestamp or moment
            conditions.append(found)
        else:
            found.update({"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."})
        if found.get("status") != "Unknown":
            found["lastTransitionTime"] = moment
        found["status"] = "Unknown"
    note = Note(node, "Normal", "NodeNotReady", f"Node {node.meta.name} status is now: NodeNotReady")
    return in_order(Update(NODES, value, "status"), notes=(note,))


def _wanted_taints(node: Object, view: NodeView, now: int) -> Json | None:
    """The node with the taints that its conditions ask for; None if it has them."""
    ready = find_condition(view.status.conditions, "Ready")
    wanted: dict[tuple[str, str], bool] = {}
    for key, truth in ((NOT_READY, "False"), (UNREACHABLE, "Unknown")):
        for effect in ("NoSchedule", "NoExecute"):
            wanted[key, effect] = ready is not None and ready.status == truth
    for type, key in PRESSURES.items():
        wanted[key, "NoSchedule"] = has_condition(view.status.conditions, type)
    wanted[UNSCHEDULABLE, "NoSchedule"] = view.spec.unschedulable
    present = {(taint.key, taint.effect) for taint in view.spec.taints or ()}
    missing = [taint for taint, is_wanted in wanted.items() if is_wanted and taint not in present]
    surplus = [taint for taint, is_wanted in wanted.items() if not is_wanted and taint in present]
    if not missing and not surplus:
        return None
    value = node.decode()
    spec: Json = value.setdefault("spec", {})
    taints = [taint for taint in spec.get("taints") or () if (taint["key"], taint["effect"]) not in surplus]
    taints += [{"key": key, "effect": effect, "timeAdded": format_time(now)} for key, effect in missing]
    if taints:
        spec["taints"] = taints
    else:
        spec.pop("taints", None)
    return value


# ---------------------------------------------------------------------- pods


def disrupted(pod: Object, reason: str, message: str, now: int) -> Json:
    """The pod with condition DisruptionTarget (KEP-3329), decoded, for a status write."""
    value = pod.decode()
    conditions = value.setdefault("status", {}).setdefault("conditions", [])
    conditions[:] = [condition for condition in conditions if condition["type"] != "DisruptionTarget"]
    conditions.append(
        {
            "type": "DisruptionTarget",
            "status": "True",
            "lastTransitionTime": format_time(now),
            "reason": reason,
            "message": message,
        }
    )
    return value


def _mark_not_ready(pods: Sequence[Object], now: int) -> Step | None:
    """Pods of a node that is not ready do not count as ready, whatever they last said."""
    writes: list[Update] = []
    for pod in pods:
        if not has_condition(pod.view(PodView).status.conditions, "Ready") or len(writes) == MOST_AT_ONCE:
            continue
        value = pod.decode()
        for condition in value["status"]["conditions"]:
            if condition["type"] == "Ready":
                condition.update({"status": "False", "lastTransitionTime": format_time(now)})
        writes.append(Update(PODS, value, "status"))
    return Step((tuple(writes),)) if writes else None
