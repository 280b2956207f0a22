"""Nobody grants by a role or a binding what they may not do themselves, unless verb `escalate` or `bind` lets them (k8s
`pkg/registry/rbac/*/policybased`). Not an admission plugin there, but asked at the same moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from roadstead.auth.attributes import Attributes
from roadstead.auth.escalation import EVERYTHING, escalation
from roadstead.auth.identity import MASTERS, Identity
from roadstead.auth.rbac import RESOURCES, Policy, RoleMissing
from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.kinds.errors import StatusError, access_denied, bad_request, not_found
from roadstead.kinds.names import CLUSTER_ROLES, RBAC, ROLES
from roadstead.kinds.object import Json
from roadstead.kinds.views.rbac import PolicyRule, RoleRef

_OF_COLLECTOR: Final = ("ownerReferences", "finalizers", "resourceVersion", "managedFields", "generation")
"""Metadata that the garbage collector changes."""


class Escalation:
    """See the module. Administrators cost one comparison; for others, the whole policy is read anew: such writes are
    few."""

    def admit(self, request: AdmissionRequest) -> None:
        if MASTERS in request.user.groups or request.kind.resource not in RESOURCES or request.object is None:
            return
        new, old = request.object, request.old
        if old is not None and _without_collector(new) == _without_collector(old):
            return
        policy = Policy()
        for resource in RESOURCES:
            for found in request.list_all(resource):
                policy.put(found)
        who = Identity(request.user.name, tuple(request.user.groups))
        if request.kind.resource in (CLUSTER_ROLES, ROLES):
            _check_role(request, policy, who, new, old)
        else:
            _check_binding(request, policy, who, new)


def _check_role(request: AdmissionRequest, policy: Policy, who: Identity, new: Json, old: Json | None) -> None:
    resource = request.kind.resource
    name = new["metadata"].get("name") or ""
    in_url = name if old is not None else ""
    asked = Attributes("escalate", resource.group, resource.plural, namespace=request.namespace, name=in_url)
    if policy.decide(who, asked).is_allowed:
        return
    missing = escalation(policy, who, _rules(new), request.namespace)
    if missing is not None:
        raise access_denied(resource, name, missing)
    is_aggregated = any((value or {}).get("aggregationRule") for value in (new, old))
    if is_aggregated and escalation(policy, who, EVERYTHING, "") is not None:
        raise access_denied(resource, name, "must have cluster-admin privileges to use the aggregationRule")


def _check_binding(request: AdmissionRequest, policy: Policy, who: Identity, new: Json) -> None:
    resource = request.kind.resource
    reference = msgspec.convert(new["roleRef"], RoleRef)
    if not reference.name:
        raise bad_request("Name parameter required.")
    if reference.kind not in ("Role", "ClusterRole"):
        raise StatusError(500, "", f'unsupported role reference kind: "{reference.kind}"')
    plural = "roles" if reference.kind == "Role" else "clusterroles"
    group = reference.api_group or RBAC
    asked = Attributes("bind", group, plural, namespace=request.namespace, name=reference.name)
    if policy.decide(who, asked).is_allowed:
        return
    try:
        rules = policy.rules_behind(reference, request.namespace)
    except RoleMissing as error:
        raise not_found(resource, reference.name) from error  # the real server names the binding's resource
    missing = escalation(policy, who, rules, request.namespace)
    if missing is not None:
        raise access_denied(resource, new["metadata"].get("name") or "", missing)


def _rules(value: Json) -> Sequence[PolicyRule]:
    return msgspec.convert(value.get("rules") or [], list[PolicyRule])


def _without_collector(value: Json) -> Json:
    metadata = {key: found for key, found in value["metadata"].items() if key not in _OF_COLLECTOR}
    return {**value, "metadata": metadata}
