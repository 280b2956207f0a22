"""What may be configured about Workloads and their jobs, apart from deciding (that is `core.rules`). One frozen
value."""

from __future__ import annotations

from dataclasses import dataclass, field

from roadstead.core.rules import AdmissionFairSharing, WaitForPodsReady
from roadstead.expr.selectors import matches_selector
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.object import Object
from roadstead.model.selection import LabelSelector
from roadstead.runtime.step import Read


@dataclass(frozen=True, slots=True)
class Policy:
    """`pods_ready`: the same as the rules say; None: nobody looks at pods.

    `delete_finished`: a finished Workload is deleted so many nanoseconds after its end; its job stays.
    `delete_deactivated`: a job whose workload was deactivated for a cause (not by hand) is deleted so long after the
    eviction (KEP-1618). None: never.

    `manage_all`: jobs that name no queue are held too, until somebody gives them one, in `namespaces` that match (kueue
    5.7).

    `admission_sharing`: the same as the rules say; LocalQueues are sampled for it. None: nobody does.

    `labels_to_copy`: labels with these keys are copied from a job to its Workload, when that is created.
    """

    pods_ready: WaitForPodsReady | None = None
    delete_finished: int | None = None
    delete_deactivated: int | None = None
    manage_all: bool = False
    labels_to_copy: tuple[str, ...] = ()
    admission_sharing: AdmissionFairSharing | None = None
    namespaces: LabelSelector = field(default_factory=LabelSelector)

    def holds(self, job: Object, read: Read) -> bool:
        """Is this job, which names no queue, held all the same?"""
        if not self.manage_all:
            return False
        namespace = read.get(NAMESPACES, "", job.meta.namespace)
        return namespace is not None and matches_selector(self.namespaces, namespace.meta.labels)


NO_POLICY = Policy()
