"""The pods of ReplicaSets and StatefulSets: what state they are in, which of them is missed least, and how new ones are
made and named."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.kinds.times import SECOND, parse_time
from roadstead.kinds.views.common import find_condition
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.cluster import Write
from roadstead.runtime.step import Stage

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names are made of (apimachinery util/rand): no vowels, so no words."""
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_VALUE: Final = {"Pending": 0, "Unknown": 1, "Running": 2}
_SUFFIX: Final = 5
_LONGEST_BASE: Final = 63 - _SUFFIX


@dataclass(frozen=True)
class ReplicaPod:
    """One pod, as the informer knows it."""

    obj: Object
    view: PodView

    @classmethod
    def of(cls, obj: Object) -> ReplicaPod:
        return cls(obj, obj.view(PodView))

    @property
    def name(self) -> str:
        return self.obj.meta.name

    @property
    def is_marked(self) -> bool:
        """Someone asked for its deletion."""
        return self.obj.meta.deletion_timestamp is not None

    @property
    def has_ended(self) -> bool:
        return self.view.has_ended

    @property
    def is_active(self) -> bool:
        return not self.has_ended and not self.is_marked

    @property
    def is_terminating(self) -> bool:
        return self.is_marked and not self.has_ended

    @cached_property
    def ready_since(self) -> int | None:
        """When it became ready; None if it is not."""
        ready = find_condition(self.view.status.conditions, "Ready")
        if ready is None or ready.status != "True":
            return None
        return parse_time(ready.last_transition_time) if ready.last_transition_time else 0

    @property
    def is_ready(self) -> bool:
        return self.ready_since is not None

    def is_available(self, min_ready_seconds: int, now: int) -> bool:
        """Ready for so long that it counts."""
        return self.ready_since is not None and (
            min_ready_seconds == 0 or self.ready_since + min_ready_seconds * SECOND <= now
        )

    @property
    def created(self) -> int:
        text = self.obj.meta.creation_timestamp
        return parse_time(text) if text else 0

    @property
    def restarts(self) -> int:
        return max((container.restart_count for container in self.view.status.container_statuses or ()), default=0)

    @property
    def deletion_cost(self) -> int:
        text = self.obj.meta.annotations.get(DELETION_COST, "")
        return int(text) if text.removeprefix("-").isdigit() and text.isascii() else 0


def next_availability(pods: Sequence[ReplicaPod], min_ready_seconds: int, now: int) -> int | None:
    """When the next pod that is ready will have been so for long enough."""
    moments = [
        pod.ready_since + min_ready_seconds * SECOND
        for pod in pods
        if pod.ready_since is not None and not pod.is_available(min_ready_seconds, now)
    ]
    return min(moments, default=None)


def missed_least(pods: Sequence[ReplicaPod], number: int, related: Sequence[ReplicaPod], now: int) -> list[ReplicaPod]:
    """The pods to delete first (controller_utils.go ActivePodsWithRanks): unbound, pending, not ready, cheap to delete,
    with most siblings on their node, ready for a short time, restarted often, young. Ages count by their order of
    magnitude. O(n log n)."""
    beside: dict[str, int] = {}
    for pod in related:
        if pod.is_active:
            beside[pod.view.spec.node_name] = beside.get(pod.view.spec.node_name, 0) + 1

    def value(pod: ReplicaPod) -> tuple[bool, int, bool, int, int, int, int, int, str]:
        node = pod.view.spec.node_name
        return (
            bool(node),
            _PHASE_VALUE.get(pod.view.status.phase, 1),
            pod.is_ready,
            pod.deletion_cost,
            -beside.get(node, 0),
            _magnitude(now - pod.ready_since) if pod.ready_since else 0,
            -pod.restarts,
            _magnitude(now - pod.created),
            pod.obj.meta.uid,
        )

    return sorted(pods, key=value)[:number]


def _magnitude(nanoseconds: int) -> int:
    return max(0, nanoseconds).bit_length()


def letters(seed: str, length: int) -> str:
    """So many characters that generated names may have, as a function of the seed."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "big")
    found = []
    for _ in range(length):
        number, letter = divmod(number, len(ALPHABET))
        found.append(ALPHABET[letter])
    return "".join(found)


def pod_name(owner: Object, attempt: int) -> str:
    """The name that an owner gives its pods, in an order of its own: a creation without an answer meets its own pod
    (EXISTS) when it is tried again."""
    base = f"{owner.meta.name}-"[:_LONGEST_BASE]
    return base + letters(f"{owner.meta.uid}/{attempt}", _SUFFIX)


def pod_from(owner: Object, template: Json, name: str) -> Json:
    """The pod to create. `template` is a fresh copy and is used up."""
    given = template.get("metadata") or {}
    metadata: Json = {"name": name, "namespace": owner.meta.namespace}
    for field in ("labels", "annotations", "finalizers"):
        if given.get(field):
            metadata[field] = given[field]
    metadata["ownerReferences"] = [owner_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}


def slow_start(writes: Sequence[Write]) -> list[Stage]:
    """Batches of 1, 2, 4, ...: what every pod is refused is found out with one request, not with five hundred."""
    batches: list[Stage] = []
    start, size = 0, 1
    while start < len(writes):
        batches.append(tuple(writes[start : start + size]))
        start, size = start + size, size * 2
    return batches
