"""Rules of the custom kinds as CEL, for a real server, which cannot be told them in Python: as many of the strategies'
rules as the server's cost limits allow. Kind -> place in the schema ("spec.podSets.[]"; "" is the object) -> (rule,
message).

The strategies stay the truth (tests/realcluster/test_crds.py sends a real server what they refuse); what only they know
a real server accepts, and the queue it makes is inactive or the workload refused with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from roadstead.kinds.names import HOSTNAME_LABEL, KUEUE

Rules = Mapping[str, Sequence[tuple[str, str]]]

_EFFECTS: Final = "['NoSchedule', 'PreferNoSchedule', 'NoExecute']"
_LIMITS: Final = (
    "!has(self.resourceGroups) || self.resourceGroups.all(group, group.flavors.all(flavor, flavor.resources.all(quota, "
    "!has(quota.borrowingLimit) && !has(quota.lendingLimit))))"
)
_GROUP: Final = (
    "self.flavors.all(flavor, flavor.resources.map(quota, quota.name) == self.coveredResources)",
    "flavors must have the resources of coveredResources, in the same order",
)
_CLASSES: Final = (
    f"(self.group == 'scheduling.k8s.io' && self.kind == 'PriorityClass') || "
    f"(self.group == '{KUEUE}' && self.kind == 'WorkloadPriorityClass')"
)


def _was(condition: str, of: str = "oldSelf") -> str:
    """CEL: the condition is True."""
    return (
        f"(has({of}.status) && has({of}.status.conditions) && {of}.status.conditions.exists(condition, "
        f"condition.type == '{condition}' && condition.status == 'True'))"
    )


def _same(field: str) -> str:
    """CEL: an optional field of the spec is as it was."""
    now, old = f"self.{field}", f"oldSelf.{field}"
    return f"has({now}) == has({old}) && (!has({now}) || {now} == {old})"


RULES: Final[Mapping[str, Rules]] = {
    "AdmissionCheck": {"spec.controllerName": [("self == oldSelf", "field is immutable")]},
    "ClusterQueue": {
        "spec": [
            (
                "!has(self.preemption) || !has(self.preemption.borrowWithinCohort) || "
                "!has(self.preemption.borrowWithinCohort.policy) || self.preemption.borrowWithinCohort.policy == 'Never' || "
                "(has(self.preemption.reclaimWithinCohort) && self.preemption.reclaimWithinCohort != 'Never')",
                "reclaimWithinCohort=Never and borrowWithinCohort.Policy!=Never",
            ),
            (
                f"(has(self.cohortName) && self.cohortName != '') || {_LIMITS}",
                "borrowingLimit and lendingLimit must be nil when cohortName is empty",
            ),
            (
                "has(self.concurrentAdmissionPolicy) == has(oldSelf.concurrentAdmissionPolicy) && "
                "(!has(self.concurrentAdmissionPolicy) || self.concurrentAdmissionPolicy == oldSelf.concurrentAdmissionPolicy)",
                "concurrentAdmissionPolicy is immutable",
            ),
        ],
        "spec.resourceGroups.[]": [_GROUP],
        "spec.flavorFungibility": [
            (
                "!has(self.preference) || (has(self.whenCanBorrow) && self.whenCanBorrow == 'TryNextFlavor' && "
                "has(self.whenCanPreempt) && self.whenCanPreempt == 'TryNextFlavor')",
                "preference can be set only if both whenCanBorrow and whenCanPreempt are TryNextFlavor",
            )
        ],
    },
    "Cohort": {
        "spec": [
            (
                f"(has(self.parentName) && self.parentName != '') || {_LIMITS}",
                "borrowingLimit and lendingLimit must be nil when parentName is empty",
            )
        ],
        "spec.resourceGroups.[]": [_GROUP],
    },
    "LocalQueue": {"spec.clusterQueue": [("self == oldSelf", "field is immutable")]},
    "Placement": {"spec": [("self == oldSelf", "a placement does not change; delete it and create another")]},
    "ResourceFlavor": {
        "spec": [
            (
                "!has(self.topologyName) || (has(self.nodeLabels) && self.nodeLabels.size() >= 1)",
                "at least one nodeLabel is required when topology is set",
            ),
            (
                "!has(oldSelf.topologyName) || self == oldSelf",
                "resourceFlavorSpec are immutable when topologyName is set",
            ),
        ],
        "spec.nodeTaints": [
            (
                f"self.all(taint, taint.effect in {_EFFECTS})",
                "supported taint effect values: 'NoSchedule', 'PreferNoSchedule', 'NoExecute'",
            )
        ],
        "spec.tolerations.[]": [
            (
                "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
                "operator must be Exists when 'key' is empty, which means 'match all values and all keys'",
            ),
            (
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "effect must be 'NoExecute' when 'tolerationSeconds' is set",
            ),
            (
                "!has(self.operator) || self.operator in ['', 'Equal', 'Exists']",
                "supported toleration values: 'Equal'(default), 'Exists'",
            ),
            (
                "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
                "a value must be empty when 'operator' is 'Exists'",
            ),
            (
                f"!has(self.effect) || self.effect == '' || self.effect in {_EFFECTS}",
                "supported taint effect values: 'NoSchedule', 'PreferNoSchedule', 'NoExecute'",
            ),
        ],
    },
    "Topology": {
        "spec.levels": [
            ("self == oldSelf", "field is immutable"),
            (
                "self.all(level, self.filter(other, other.nodeLabel == level.nodeLabel).size() == 1)",
                "must be unique",
            ),
            (
                f"self.filter(level, level.nodeLabel == '{HOSTNAME_LABEL}').size() == 0 || "
                f"self[self.size() - 1].nodeLabel == '{HOSTNAME_LABEL}'",
                f"the {HOSTNAME_LABEL} label can only be used at the lowest level of topology",
            ),
        ]
    },
    "Workload": {
        "": [
            (
                f"!{_was('QuotaReserved')} || !{_was('QuotaReserved', 'self')} || ({_same('spec.queueName')})",
                "queueName is immutable while workload quota reserved",
            ),
            (
                f"!{_was('QuotaReserved')} || has(self.spec.priorityClassRef) == has(oldSelf.spec.priorityClassRef)",
                "priorityClassRef cannot be added or removed while workload quota reserved",
            ),
            (
                f"!{_was('Admitted')} || !{_was('Admitted', 'self')} || ({_same('spec.maximumExecutionTimeSeconds')})",
                "maximumExecutionTimeSeconds is immutable while admitted",
            ),
            (
                f"!{_was('QuotaReserved')} || "
                "(self.spec.podSets.size() == oldSelf.spec.podSets.size() && "
                "self.spec.podSets.all(now, oldSelf.spec.podSets.exists(old, old.name == now.name && old.count >= now.count)))",
                "podSets are immutable while workload quota reserved",
            ),
        ],
        "spec": [
            (
                "!has(self.priorityClassRef) || has(self.priority)",
                "priority should not be nil when priorityClassRef is set",
            )
        ],
        "spec.podSets": [
            ("self.filter(set, has(set.minCount)).size() <= 1", "at most one podSet can use minCount"),
        ],
        "spec.podSets.[]": [
            (
                "!has(self.minCount) || self.minCount <= self.count",
                "minCount should be positive and less or equal to count",
            )
        ],
        "spec.priorityClassRef": [
            (_CLASSES, f"must be scheduling.k8s.io PriorityClass or {KUEUE} WorkloadPriorityClass"),
        ],
        "status": [
            (
                "!has(self.clusterName) || !has(self.nominatedClusterNames)",
                "clusterName and nominatedClusterNames are mutually exclusive",
            ),
            (
                "!has(oldSelf.admission) || !has(self.admission) || "
                "(self.admission.clusterQueue == oldSelf.admission.clusterQueue && "
                "self.admission.podSetAssignments.size() == oldSelf.admission.podSetAssignments.size())",
                "admission may be set or cleared, not changed",
            ),
        ],
    },
}
