"""Quotas as ClusterQueues and Cohorts write them: the rules that both share (kueue reference 1.2, 1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.custom import rule_error
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

FLAVORS_LIMIT: Final = 256
RESOURCES_LIMIT: Final = 256
CELLS_LIMIT: Final = 512
_ABOVE_NOMINAL: Final = "must be less than or equal to the nominalQuota"


@dataclass(frozen=True, slots=True)
class QuotaRules:
    """Where the two kinds differ."""

    without_parent: str
    """What is said of a borrowing or lending limit where there is nobody to borrow from."""
    lends_at_most_its_own: bool
    """The lending limit is bound by the nominal quota; a cohort also lends what its members do."""


def validate_groups(
    groups: list[Json], path: str, rules: QuotaRules, *, has_parent: bool, found: list[FieldError]
) -> None:
    """Resource groups of a queue or a cohort: each resource and each flavor in one group only, quotas that make
    sense."""
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
            _flavor(flavor, covered, at, rules, has_parent=has_parent, found=found)
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


def _flavor(
    flavor: Json, covered: list[str], path: str, rules: QuotaRules, *, has_parent: bool, found: list[FieldError]
) -> None:
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
                found.append(invalid(f"{here}.{name}", str(limit), rules.without_parent))
            if name == "lendingLimit" and rules.lends_at_most_its_own and has_parent and limit > nominal:
                found.append(invalid(f"{here}.{name}", str(limit), _ABOVE_NOMINAL))


def validate_fair_sharing(fair_sharing: Json | None, path: str, found: list[FieldError]) -> None:
    """A weight of 0, or one that is more than the smallest quantity there is."""
    weight = (fair_sharing or {}).get("weight")
    if weight is None:
        return
    parsed = checks.amount(weight, f"{path}.weight", found)
    if parsed.nano == 1:
        found.append(invalid(f"{path}.weight", str(parsed), "When not 0, Weight must be greater than 10^-9"))
