"""Who waits in a queue, in the order of turns: Kueue's pending-workloads API (visibility.kueue.x-k8s.io, KEP-168; kueue
1.14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from roadstead.kinds.names import LOCAL_QUEUES, WORKLOADS
from roadstead.kinds.object import Json, Object
from roadstead.kinds.views.kueue import LocalQueueView, WorkloadView
from roadstead.runtime.step import Key, Read

DEFAULT_LIMIT: Final = 1000
MOST: Final = 100_000


class PendingWorkloads:
    """Summaries of queues. Positions count from 0 and are those of the deciding core at this moment."""

    def __init__(self, read: Read, line: Callable[[str, int], Sequence[Key] | None], clock: Callable[[], int]) -> None:
        """`read` sees Workloads and LocalQueues. `line` gives everybody who waits in a ClusterQueue at a time (active
        or not), in the order of turns; None if there is no such queue."""
        self._read = read
        self._line = line
        self._clock = clock

    def in_cluster_queue(self, name: str, limit: int, offset: int) -> list[Json] | None:
        """Items of a ClusterQueue; None if it does not exist. O(n log n) of those who wait in it."""
        line = self._line(name, self._clock())
        return None if line is None else self._items(line, limit, offset, lambda workload: True)

    def in_local_queue(self, namespace: str, name: str, limit: int, offset: int) -> list[Json] | None:
        """Items of a LocalQueue; None if it does not exist, or leads nowhere."""
        local = self._read.get(LOCAL_QUEUES, namespace, name)
        line = self._line(local.view(LocalQueueView).spec.cluster_queue, self._clock()) if local is not None else None
        if line is None:
            return None

        def is_here(workload: Object) -> bool:
            return workload.meta.namespace == namespace and workload.view(WorkloadView).spec.queue_name == name

        return self._items(line, limit, offset, is_here)

    def _items(self, line: Sequence[Key], limit: int, offset: int, is_shown: Callable[[Object], bool]) -> list[Json]:
        limit = min(limit or DEFAULT_LIMIT, MOST)  # a negative one gives nothing
        items: list[Json] = []
        ahead: dict[tuple[str, str], int] = {}  # LocalQueue -> how many of it came before
        skipped = 0
        for position, key in enumerate(line):
            if len(items) >= limit:
                break
            workload = self._read.get(WORKLOADS, *key)
            if workload is None:
                continue  # just gone
            local = (key[0], workload.view(WorkloadView).spec.queue_name)
            in_local = ahead.get(local, 0)
            ahead[local] = in_local + 1
            if not is_shown(workload):
                continue
            if skipped < offset:
                skipped += 1
                continue
            items.append(_item(workload, position, in_local))
        return items


def _item(workload: Object, position: int, in_local: int) -> Json:
    meta, spec = workload.meta, workload.view(WorkloadView).spec
    metadata: Json = {"name": meta.name, "namespace": meta.namespace, "creationTimestamp": meta.creation_timestamp}
    if meta.labels:
        metadata["labels"] = dict(meta.labels)
    if meta.owner_references:
        metadata["ownerReferences"] = [
            {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
            for owner in meta.owner_references
        ]
    return {
        "metadata": metadata,
        "priority": spec.priority or 0,
        "localQueueName": spec.queue_name,
        "positionInClusterQueue": position,
        "positionInLocalQueue": in_local,
    }
