"""What a job kind must say so that the queue can hold, start and stop it: one value per kind, called by the workload
controller and by the admission plugin that holds new jobs.

A kind that suspends by one boolean field and reports its end by conditions is described by data alone (`JobKind`'s
fields); what differs per kind (pod sets, activity) are the few methods below. A further kind is a further module and a
line in `integrations/__init__.py`. The contract is Kueue's generic job contract (kueue 5.1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from roadstead.kinds.names import MAX_EXECUTION_LABEL, PRIORITY_CLASS_LABEL, QUEUE_LABEL
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.common import Conditioned

LONGEST_EXECUTION: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PodSetInfo:
    """What one pod set gets when its job starts: the admitted count, and what is merged into its pod template."""

    name: str
    count: int
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Json] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """A job that is over, and its own last words."""

    succeeded: bool
    message: str


class CannotInject(Exception):
    """The pod template already says something else: starting would change what the user asked for. Permanent."""


class JobKind(ABC):
    """One kind of job. Methods that take `Json` edit or read a decoded whole object; those that take `Object` read a
    stored one."""

    resource: ClassVar[Resource]
    kind: ClassVar[str]
    suspend_path: ClassVar[tuple[str, ...]] = ("spec", "suspend")
    succeeded_condition: ClassVar[str] = "Complete"
    failed_condition: ClassVar[str] = "Failed"

    # ------------------------------------------------------------------ the same for every kind, driven by the fields
    # above

    def is_suspended(self, job: Json) -> bool:
        value: Any = job
        for step in self.suspend_path:
            value = value.get(step) if isinstance(value, dict) else None
        return value is True

    def set_suspended(self, job: Json, suspended: bool) -> None:
        """Set the suspend field, in place; its parents exist in every valid object."""
        parent = job
        for step in self.suspend_path[:-1]:
            parent = parent.setdefault(step, {})
        parent[self.suspend_path[-1]] = suspended

    def finished(self, job: Object) -> Finish | None:
        """How it ended, or None while it has not."""
        for condition in job.view(Conditioned).status.conditions:
            if condition.is_true and condition.type in (self.succeeded_condition, self.failed_condition):
                return Finish(condition.type == self.succeeded_condition, condition.message)
        return None

    # ------------------------------------------------------------------ what every kind says for itself

    @abstractmethod
    def pod_sets(self, job: Object) -> list[Json]:
        """The Workload's podSets for the job as its user wrote it: name, count, minCount, template."""

    @abstractmethod
    def is_active(self, job: Object, out_of_reach: int = 0) -> bool:
        """True while pods of it run or terminate, or its own controller has not yet acknowledged that it is suspended.
        `out_of_reach`: so many of the terminating ones are on nodes that are lost, and nobody waits for them."""

    @abstractmethod
    def start(self, job: Json, infos: Sequence[PodSetInfo]) -> None:
        """Inject and unsuspend, in place. CannotInject if the template contradicts what must be injected."""

    @abstractmethod
    def restore(self, job: Json, pod_sets: Sequence[Json]) -> bool:
        """Give the job's pod templates back their content before `start`, in place; True if anything changed."""

    def forget_start(self, job: Json) -> bool:
        """Take from the status of a suspended job what makes older API servers refuse changes of its templates, in
        place; True if anything changed."""
        return False

    def may_restore(self, job: Object) -> bool:
        """True if the API lets templates of the suspended job change now."""
        return True

    def reclaimable(self, job: Object) -> dict[str, int]:
        """Pod set -> pods that ended and whose quota others may have, while the rest goes on."""
        return {}

    def pods_ready(self, job: Object) -> bool:
        """True if all pods that the running job wants run and are ready, or have succeeded."""
        return True

    def annotation_errors(self, job: Json) -> list[tuple[str, str, str]]:
        """(annotation, value, what is wrong) for the kind's own queueing annotations; empty if all is well."""
        return []


def queue_of(job: Json) -> str:
    """The LocalQueue that the job asks for, or "" if it is in no queue."""
    labels = (job.get("metadata") or {}).get("labels") or {}
    return str(labels.get(QUEUE_LABEL) or "")


def priority_class_of(job: Json) -> str:
    """The WorkloadPriorityClass that the job asks for by label, or ""."""
    labels = (job.get("metadata") or {}).get("labels") or {}
    return str(labels.get(PRIORITY_CLASS_LABEL) or "")


def max_execution_of(labels: Mapping[str, str]) -> int | None:
    """The seconds that a job with these labels may run (KEP-3125); None if it does not say, or nothing that makes
    sense."""
    text = labels.get(MAX_EXECUTION_LABEL, "")
    return int(text) if not max_execution_error(labels) and text else None


def max_execution_error(labels: Mapping[str, str]) -> str:
    """What is wrong with the label that limits the time of a job; "" if nothing is."""
    text = labels.get(MAX_EXECUTION_LABEL)
    if text is None:
        return ""
    if not text.isascii() or not text.isdigit():
        return 'must be a number of seconds, such as "3600"'
    if not 0 < int(text) <= LONGEST_EXECUTION:
        return f"should be between 1 and {LONGEST_EXECUTION}"
    return ""


def inject(template: Json, info: PodSetInfo) -> None:
    """Merge `info` into a pod template, in place. A key that is there with another value is a conflict (kueue 5.1)."""
    metadata = template.setdefault("metadata", {})
    spec = template.setdefault("spec", {})
    _merge(metadata, "labels", info.labels, f"pod set {info.name}: label")
    _merge(metadata, "annotations", info.annotations, f"pod set {info.name}: annotation")
    _merge(spec, "nodeSelector", info.node_selector, f"pod set {info.name}: node selector")
    if info.tolerations:
        present = list(spec.get("tolerations") or ())
        spec["tolerations"] = present + [dict(new) for new in info.tolerations if new not in present]


def withdraw(template: Json, original: Mapping[str, Any], *, keep: Sequence[str] = ()) -> None:
    """Undo `inject`, in place: what it touches becomes what it was in `original`; labels named in `keep` stay.

    The rest of the template is left alone: nothing changed it, and a server may know fields of pods that the Workload
    it was copied into does not.
    """
    metadata, spec = template.get("metadata") or {}, template["spec"]
    was = original.get("metadata") or {}
    own = {key: value for key, value in (metadata.get("labels") or {}).items() if key in keep}
    _put(metadata, "labels", {**(was.get("labels") or {}), **own})
    _put(metadata, "annotations", was.get("annotations"))
    if metadata:
        template["metadata"] = metadata
    for name in ("nodeSelector", "tolerations"):
        _put(spec, name, (original.get("spec") or {}).get(name))


def _put(parent: Json, name: str, value: Any) -> None:
    if value:
        parent[name] = deepcopy(value)
    else:
        parent.pop(name, None)


def _merge(parent: Json, name: str, additions: Mapping[str, str], what: str) -> None:
    if not additions:
        return
    present = dict(parent.get(name) or {})
    for key, value in additions.items():
        if present.get(key, value) != value:
            raise CannotInject(
                f'{what} "{key}" is "{present[key]}" in the job and would have to be "{value}"; '
                f"remove it from the job's pod template, or choose a queue whose flavor agrees"
            )
        present[key] = value
    parent[name] = present
