"""What the operator may do on a cluster: no more than its controllers and the decider ask for.

What is read follows from what they watch. What is written cannot be seen from outside, so it stands here, and
tests/compose/test_operator.py compares it with every request of a whole story.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from roadstead.kinds.names import (
    ADMISSION_CHECKS,
    CLUSTER_QUEUES,
    EVENTS,
    JOBS,
    LEASES,
    LOCAL_QUEUES,
    PLACEMENTS,
    RESOURCE_FLAVORS,
    WORKLOADS,
)
from roadstead.kinds.object import Json, Resource

READ: Final = ("get", "list", "watch")
"""`list` and `watch` by informers; `get` when the outcome of a write is unknown."""

WRITES: Final[tuple[tuple[Resource, str, tuple[str, ...]], ...]] = (
    (JOBS, "", ("update",)),  # suspend, start, restore
    (JOBS, "status", ("update",)),  # forget that it was started, so that its template may be restored
    (JOBS, "finalizers", ("update",)),  # own a Workload that blocks its deletion (OwnerReferencesPermissionEnforcement)
    (WORKLOADS, "", ("create", "update", "delete")),
    (WORKLOADS, "status", ("update",)),
    (WORKLOADS, "finalizers", ("update",)),
    (PLACEMENTS, "", ("create", "delete")),
    (CLUSTER_QUEUES, "", ("update",)),  # the finalizer
    (CLUSTER_QUEUES, "status", ("update",)),
    (LOCAL_QUEUES, "status", ("update",)),
    (RESOURCE_FLAVORS, "", ("update",)),  # the finalizer
    (ADMISSION_CHECKS, "", ("update",)),  # the finalizer
    (EVENTS, "", ("create", "get", "update")),
)

LEASE_NAME: Final = "roadstead-operator"
LEASE_VERBS: Final = ("get", "update")
"""On the one lease; `create` cannot be tied to a name."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One thing that an identity may do. `namespace` "": everywhere; `selector`: to objects with this field only (key,
    value)."""

    group: str
    resource: str
    subresource: str
    verb: str
    namespace: str = ""
    name: str = ""
    selector: tuple[str, str] | None = None

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {resource}{f'.{self.group}' if self.group else ''}{where}"


def rights(watched: Iterable[Resource], namespace: str, *, deletes_jobs: bool = False) -> list[Right]:
    """All rights of the operator: `watched` by its controllers and decider, the lease in `namespace`. `deletes_jobs`:
    it is configured to delete jobs whose workload was deactivated (objectRetentionPolicies)."""
    found = {Right(resource.group, resource.plural, "", verb) for resource in watched for verb in READ}
    found |= {
        Right(resource.group, resource.plural, subresource, verb)
        for resource, subresource, verbs in WRITES
        for verb in verbs
    }
    if deletes_jobs:
        found.add(Right(JOBS.group, JOBS.plural, "", "delete"))
    group, plural = LEASES.group, LEASES.plural
    found |= {Right(group, plural, "", verb, namespace, LEASE_NAME) for verb in LEASE_VERBS}
    found.add(Right(group, plural, "", "create", namespace))
    return sorted(found)


def cluster_rules(found: Iterable[Right]) -> list[Json]:
    """The rules of the ClusterRole: those that hold everywhere."""
    return list(_rules(right for right in found if not right.namespace))


def lease_rules(found: Iterable[Right]) -> list[Json]:
    """The rules of the Role in the operator's own namespace."""
    return list(_rules(right for right in found if right.namespace))


def _rules(found: Iterable[Right]) -> Iterator[Json]:
    """One rule for all resources of a group that have the same verbs."""
    verbs: dict[tuple[str, str, str], list[str]] = {}
    for right in found:
        resource = f"{right.resource}/{right.subresource}" if right.subresource else right.resource
        verbs.setdefault((right.group, right.name, resource), []).append(right.verb)
    together: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, name, resource), listed in sorted(verbs.items()):
        together.setdefault((group, name, tuple(sorted(listed))), []).append(resource)
    for (group, name, allowed), resources in together.items():
        rule: Json = {"apiGroups": [group], "resources": resources, "verbs": list(allowed)}
        if name:
            rule["resourceNames"] = [name]
        yield rule
