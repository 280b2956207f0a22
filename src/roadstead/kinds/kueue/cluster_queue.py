"""ClusterQueue (kueue.x-k8s.io/v1beta2): quotas per flavor and resource, and the policies of admission (kueue reference 1.2)."""

from __future__ import annotations

from typing import Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.custom import CustomStrategy, custom_kind, rule_error
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import CLUSTER_QUEUES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

FLAVORS_LIMIT: Final = 256
RESOURCES_LIMIT: Final = 256
CELLS_LIMIT: Final = 512
_NO_COHORT: Final = "must be nil when cohort is empty"
_ABOVE_NOMINAL: Final = "must be less than or equal to the nominalQuota"


class ClusterQueueStrategy(CustomStrategy):
    """Rules of ClusterQueues."""

    def rules(self, obj: Json) -> list[FieldError]:
        spec = obj.get("spec") or {}
        found: list[FieldError] = []
        _preemption(spec.get("preemption") or {}, found)
        groups = spec.get("resourceGroups") or []
        validate_groups(groups, "spec.resourceGroups", has_parent=bool(spec.get("cohortName")), found=found)
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


def validate_groups(groups: list[Json], path: str, *, has_parent: bool, found: list[FieldError]) -> None:
    """Resource groups of a queue or a cohort: each resource and each flavor in one group only, quotas that make sense."""
    resources: set[str] = set()
    flavors: set[str] = set()
    cells = 0
    for i, group in enumerate(groups):
        here = f"{path}[{i}]"
        covered = group.get("coveredResources") or []
        for j, name in enumerate(covered):
            at = f"{here}.coveredResources[{j}]"
            found.extend(invalid(at, name, why) for why in syntax.qualified_name(name))
            if name in resources:
                found.append(errors.duplicate(at, name))
            resources.add(name)
        for j, flavor in enumerate(group.get("flavors") or ()):
            at = f"{here}.flavors[{j}]"
            _flavor(flavor, covered, at, has_parent=has_parent, found=found)
            if flavor["name"] in flavors:
                found.append(errors.duplicate(f"{at}.name", flavor["name"]))
            flavors.add(flavor["name"])
        if any(len(flavor.get("resources") or ()) != len(covered) for flavor in group.get("flavors") or ()):
            found.append(rule_error(here, "flavors must have the same number of resources as the coveredResources"))
        cells = len(covered) * len(group.get("flavors") or ())
        if cells > CELLS_LIMIT:
            why = f"a group may have at most {CELLS_LIMIT} quotas (flavors times resources), this one has {cells}"
            found.append(rule_error(here, why))
    if len(flavors) > FLAVORS_LIMIT:
        found.append(rule_error(path, f"at most {FLAVORS_LIMIT} flavors are allowed in all groups together"))
    if len(resources) > RESOURCES_LIMIT:
        found.append(rule_error(path, f"at most {RESOURCES_LIMIT} resources are allowed in all groups together"))


def _flavor(flavor: Json, covered: list[str], path: str, *, has_parent: bool, found: list[FieldError]) -> None:
    for i, quota in enumerate(flavor.get("resources") or ()):
        if i >= len(covered):
            break
        here = f"{path}.resources[{i}]"
        if quota["name"] != covered[i]:
            found.append(invalid(f"{here}.name", quota["name"], "must match the name in coveredResources"))
        nominal = checks.amount(quota["nominalQuota"], f"{here}.nominalQuota", found)
        for name in ("borrowingLimit", "lendingLimit"):
            value = quota.get(name)
            if value is None:
                continue
            limit = checks.amount(value, f"{here}.{name}", found)
            if not has_parent:
                found.append(invalid(f"{here}.{name}", str(limit), _NO_COHORT))
            if name == "lendingLimit" and has_parent and limit > nominal:
                found.append(invalid(f"{here}.{name}", str(limit), _ABOVE_NOMINAL))


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


def validate_fair_sharing(fair_sharing: Json | None, path: str, found: list[FieldError]) -> None:
    """A weight of 0, or one that is more than the smallest quantity there is."""
    weight = (fair_sharing or {}).get("weight")
    if weight is None:
        return
    parsed = checks.amount(weight, f"{path}.weight", found)
    if parsed.nano == 1:
        found.append(invalid(f"{path}.weight", str(parsed), "When not 0, Weight must be greater than 10^-9"))


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
