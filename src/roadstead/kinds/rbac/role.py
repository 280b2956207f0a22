"""Role and ClusterRole (rbac.authorization.k8s.io/v1): what may be done, in a namespace or everywhere."""

from __future__ import annotations

from typing import Any

from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.core.checks import label_selector
from roadstead.kinds.errors import FieldError, invalid, required
from roadstead.kinds.names import CLUSTER_ROLES, ROLES
from roadstead.kinds.object import Json
from roadstead.kinds.rbac.checks import policy_rules, segment_name
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy


class RoleStrategy(Strategy):
    """Roles of a namespace."""

    create_on_update = True
    name_rule = staticmethod(segment_name)
    columns = (Column("Name", format="name"), Column("Created At", "date"))

    def default(self, obj: Json) -> None:
        obj["rules"] = obj.get("rules") or None  # Go's nil slice, which is always written

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        policy_rules(obj.get("rules"), found, namespaced=True)
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


class ClusterRoleStrategy(RoleStrategy):
    """Roles of the cluster. With `aggregationRule`, their rules are those of all roles that it selects."""

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        policy_rules(obj.get("rules"), found, namespaced=False)
        aggregation = obj.get("aggregationRule")
        if aggregation is None:
            return found
        path = "aggregationRule.clusterRoleSelectors"
        selectors = aggregation.get("clusterRoleSelectors")
        if not selectors:
            found.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
        for index, selector in enumerate(selectors or ()):
            before = len(found)
            label_selector(selector, f"{path}[{index}]", found)
            if len(found) > before:  # no selector can be made of it
                found.append(invalid(f"{path}[{index}]", None, "invalid label selector."))
        return found


def role() -> Kind:
    return builtin_kind(ROLES, "Role", RoleStrategy())


def cluster_role() -> Kind:
    return builtin_kind(CLUSTER_ROLES, "ClusterRole", ClusterRoleStrategy(), namespaced=False)
