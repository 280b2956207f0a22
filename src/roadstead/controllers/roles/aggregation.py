"""A ClusterRole with an aggregationRule has the rules of all ClusterRoles that it selects (k8s
`pkg/controller/clusterroleaggregation`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from roadstead.expr.selectors import from_object, matches_selector
from roadstead.kinds.names import CLUSTER_ROLES
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.views.rbac import RoleView
from roadstead.runtime.cluster import Update
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, in_order


def _all_aggregated(changed: Object, read: Read) -> Iterable[Key]:
    """Whoever changed, any of those that are made of others may be meant: there are few."""
    del changed
    return tuple(found.key for found in read.list(CLUSTER_ROLES) if found.view(RoleView).aggregation_rule is not None)


class ClusterRoleAggregation:
    """Keeps the rules of such roles. See the module."""

    name: ClassVar[str] = "clusterrole-aggregation"
    watches: Mapping[Resource, KeysOf] = {CLUSTER_ROLES: _all_aggregated}
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        found = read.get(CLUSTER_ROLES, *key)
        if found is None:
            return NOTHING
        aggregation = found.view(RoleView).aggregation_rule
        if aggregation is None:
            return NOTHING
        rules: list[Json] = []
        for written in aggregation.cluster_role_selectors or ():
            for role in _selected(written, found, read):
                for rule in role.decode().get("rules") or ():
                    if rule not in rules:
                        rules.append(rule)
        value = found.decode()
        if (value.get("rules") or []) == rules:
            return NOTHING
        value["rules"] = rules
        return in_order(Update(CLUSTER_ROLES, value))


def _selected(selector: Mapping[str, Any], but: Object, read: Read) -> list[Object]:
    """The other roles with these labels, by name."""
    wanted = from_object(selector)
    return [
        role
        for role in read.list(CLUSTER_ROLES)
        if role.meta.name != but.meta.name and matches_selector(wanted, role.meta.labels or {})
    ]
