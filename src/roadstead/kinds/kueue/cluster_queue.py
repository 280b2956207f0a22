"""ClusterQueue (kueue.x-k8s.io/v1beta2): quotas per flavor and resource, and the policies of admission (kueue reference
1.2)."""

from __future__ import annotations

from typing import Final

from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.custom import CustomStrategy, custom_kind, rule_error
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.kueue.quotas import QuotaRules, validate_fair_sharing, validate_groups
from roadstead.kinds.names import CLUSTER_QUEUES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

_QUOTAS: Final = QuotaRules(without_parent="must be nil when cohort is empty", lends_at_most_its_own=True)


class ClusterQueueStrategy(CustomStrategy):
    """Rules of ClusterQueues."""

    def rules(self, obj: Json) -> list[FieldError]:
        spec = obj.get("spec") or {}
        found: list[FieldError] = []
        _preemption(spec.get("preemption") or {}, found)
        groups = spec.get("resourceGroups") or []
        has_parent = bool(spec.get("cohortName"))
        validate_groups(groups, "spec.resourceGroups", _QUOTAS, has_parent=has_parent, found=found)
        checks.label_selector(spec.get("namespaceSelector"), "spec.namespaceSelector", found)
        _checks(spec, groups, found)
        _fungibility(spec.get("flavorFungibility") or {}, found)
        validate_fair_sharing(spec.get("fairSharing"), "spec.fairSharing", found)
        _concurrent(spec, groups, found)
        return found

    def update_rules(self, new: Json, old: Json) -> list[FieldError]:
        name = "concurrentAdmissionPolicy"
        if (new.get("spec") or {}).get(name) == (old.get("spec") or {}).get(name):
            return []
        return [rule_error(f"spec.{name}", "field is immutable")]


def _preemption(preemption: Json, found: list[FieldError]) -> None:
    borrow = (preemption.get("borrowWithinCohort") or {}).get("policy", "Never")
    if preemption.get("reclaimWithinCohort", "Never") == "Never" and borrow != "Never":
        why = "reclaimWithinCohort=Never and borrowWithinCohort.Policy!=Never"
        found.append(invalid("spec.preemption", preemption, why))


def _checks(spec: Json, groups: list[Json], found: list[FieldError]) -> None:
    known = {flavor["name"] for group in groups for flavor in group.get("flavors") or ()}
    strategy = spec.get("admissionChecksStrategy") or {}
    for i, check in enumerate(strategy.get("admissionChecks") or ()):
        for j, flavor in enumerate(check.get("onFlavors") or ()):
            if flavor not in known:
                path = f"spec.admissionChecksStrategy.admissionChecks[{i}].onFlavors[{j}]"
                found.append(FieldError(errors.NOT_FOUND, path, f"Not found: {errors.go_value(flavor)}"))


def _fungibility(fungibility: Json, found: list[FieldError]) -> None:
    others = (fungibility.get("whenCanBorrow"), fungibility.get("whenCanPreempt"))
    if fungibility.get("preference") and others != ("TryNextFlavor", "TryNextFlavor"):
        why = "preference can be set only if both whenCanBorrow and whenCanPreempt are TryNextFlavor"
        found.append(rule_error("spec.flavorFungibility", why))


def _concurrent(spec: Json, groups: list[Json], found: list[FieldError]) -> None:
    policy = spec.get("concurrentAdmissionPolicy")
    if policy is None:
        return
    path = "spec.concurrentAdmissionPolicy"
    migration = policy["migration"]
    last = (migration.get("constraints") or {}).get("lastAcceptableFlavorName")
    if last is not None:
        at = f"{path}.migration.constraints.lastAcceptableFlavorName"
        if migration["mode"] != "TryPreferredFlavors":
            found.append(errors.forbidden(at, "only allowed when mode is TryPreferredFlavors"))
        known = {flavor["name"] for group in groups for flavor in group.get("flavors") or ()}
        if last not in known:
            found.append(FieldError(errors.NOT_FOUND, at, f"Not found: {errors.go_value(last)}"))
    if len(groups) != 1:
        found.append(rule_error(path, "exactly one resource group is required"))
    elif len(groups[0].get("flavors") or ()) > 16:
        found.append(rule_error(path, "at most 16 flavors are allowed in the resource group"))
    if spec.get("queueingStrategy") == "StrictFIFO":
        found.append(rule_error(path, "queueingStrategy must not be StrictFIFO"))


def kind() -> Kind:
    return custom_kind(CLUSTER_QUEUES, "ClusterQueue", ClusterQueueStrategy)
