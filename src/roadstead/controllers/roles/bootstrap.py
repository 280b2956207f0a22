"""The policy that a cluster has from its first second, and is brought back to at each start (the real server's
auto-reconciliation; k8s `component-helpers/auth/rbac/reconciliation`): what is missing is added, what was added by hand
stays. An object with annotation `rbac.authorization.kubernetes.io/autoupdate: "false"` is left alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from roadstead.auth.escalation import missing_rules
from roadstead.kinds.names import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.rbac.policy import AUTOUPDATE, bootstrap_policy
from roadstead.kinds.views.rbac import PolicyRule
from roadstead.runtime.cluster import Create, Delete, Update

_RESOURCES: Final = {
    "ClusterRole": CLUSTER_ROLES,
    "ClusterRoleBinding": CLUSTER_ROLE_BINDINGS,
    "Role": ROLES,
    "RoleBinding": ROLE_BINDINGS,
}

Lookup = Callable[[Resource, str, str], Object | None]
"""(resource, namespace, name) -> the stored object, or None."""


def policy() -> Iterator[tuple[Resource, Json]]:
    """What there must be. Roles of namespaces need theirs to be there first."""
    for value in bootstrap_policy():
        yield _RESOURCES[value["kind"]], value


def bootstrap_writes(lookup: Lookup) -> Iterator[Create | Update | Delete]:
    """What is to be written so that the policy holds again, in order. O(policy); nothing if nobody touched it."""
    for resource, wanted in policy():
        metadata = wanted["metadata"]
        found = lookup(resource, metadata.get("namespace", ""), metadata["name"])
        if found is None:
            yield Create(resource, copy.deepcopy(wanted))
            continue
        stored = found.decode()
        if (stored["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
            continue
        if "roleRef" in wanted and stored["roleRef"] != wanted["roleRef"]:  # a binding's role never changes
            yield Delete(found.ref, found.meta.uid)
            yield Create(resource, copy.deepcopy(wanted))
            continue
        value = _reconciled(stored, wanted)
        if value != found.decode():
            yield Update(resource, value)


def _reconciled(stored: Json, wanted: Json) -> Json:
    """`stored` with everything that is wanted."""
    for name in ("labels", "annotations"):
        merged: Mapping[str, str] = {**(wanted["metadata"].get(name) or {}), **(stored["metadata"].get(name) or {})}
        if merged:
            stored["metadata"][name] = dict(merged)
    if "aggregationRule" in wanted:
        having = stored.setdefault("aggregationRule", {}).setdefault("clusterRoleSelectors", [])
        having += [one for one in wanted["aggregationRule"]["clusterRoleSelectors"] if one not in having]
    elif "roleRef" not in wanted:
        stored.pop("aggregationRule", None)
        missing = missing_rules(_rules(stored), _rules(wanted))
        if missing:
            stored["rules"] = [*(stored.get("rules") or ()), *map(_written, missing)]
    if wanted.get("subjects"):
        subjects = stored.get("subjects") or []
        stored["subjects"] = [*subjects, *(one for one in wanted["subjects"] if one not in subjects)]
    return stored


def _rules(value: Json) -> list[PolicyRule]:
    return msgspec.convert(value.get("rules") or [], list[PolicyRule])


def _written(rule: PolicyRule) -> Json:
    value: Json = {name: list(values) for name, values in msgspec.to_builtins(rule).items() if values}
    return value
