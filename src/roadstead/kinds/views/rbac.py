"""Roles and bindings as `rbac.authorization.k8s.io/v1` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadstead.kinds.object import ObjectMeta


class PolicyRule(msgspec.Struct, frozen=True, rename="camel", gc=False):
    verbs: tuple[str, ...] | None = ()
    api_groups: tuple[str, ...] | None = ()
    resources: tuple[str, ...] | None = ()
    resource_names: tuple[str, ...] | None = ()
    non_resource_urls: tuple[str, ...] | None = msgspec.field(default=(), name="nonResourceURLs")


class AggregationRuleView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    cluster_role_selectors: tuple[Mapping[str, Any], ...] | None = ()


class RoleView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A Role or a ClusterRole."""

    metadata: ObjectMeta = ObjectMeta()
    rules: tuple[PolicyRule, ...] | None = ()
    aggregation_rule: AggregationRuleView | None = None


class RoleRef(msgspec.Struct, frozen=True, rename="camel", gc=False):
    kind: str = ""
    name: str = ""
    api_group: str = ""


class Subject(msgspec.Struct, frozen=True, rename="camel", gc=False):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class RoleBindingView(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A RoleBinding or a ClusterRoleBinding."""

    metadata: ObjectMeta = ObjectMeta()
    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] | None = ()
