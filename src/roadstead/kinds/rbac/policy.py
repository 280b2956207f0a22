"""The roles and bindings that a Kubernetes API server has from its start, as recorded of a real one
(`scripts/policy.py`), and those for our own kinds and Kueue's."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import orjson

from roadstead.kinds.names import CLUSTER_ROLES, KUEUE, RBAC, ROADSTEAD
from roadstead.kinds.object import Json

BOOTSTRAPPING: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AUTOUPDATE: Final = "rbac.authorization.kubernetes.io/autoupdate"
QUEUE_VIEWER: Final = "roadstead:queue-viewer"
"""ClusterRole: to see what is not in a namespace: queues, flavors, nodes, classes; and to ask for plans."""
NODE_AGENT: Final = "system:roadstead:node-agent"
"""User and ClusterRole: the node agents of an embedded server's own machine."""
_READ: Final = ("get", "list", "watch")
_WRITE: Final = ("create", "delete", "deletecollection", "patch", "update")


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Json:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _role(name: str, rules: Sequence[Json], aggregate_to: str = "") -> Json:
    labels = dict(BOOTSTRAPPING)
    if aggregate_to:
        labels[f"{RBAC}/aggregate-to-{aggregate_to}"] = "true"
    metadata = {"name": name, "labels": labels, "annotations": {AUTOUPDATE: "true"}}
    return {"apiVersion": CLUSTER_ROLES.api_version, "kind": "ClusterRole", "metadata": metadata, "rules": list(rules)}


def _own() -> list[Json]:
    """Who may read a namespace may read its queues and what waits in them; who administers it may change them."""
    visibility = "visibility.kueue.x-k8s.io"
    viewing = [
        _rule(KUEUE, ("localqueues", "localqueues/status", "workloads", "workloads/status"), _READ),
        _rule(ROADSTEAD, ("placements",), _READ),
        _rule(visibility, ("localqueues/pendingworkloads",), ("get",)),
    ]
    everywhere = (
        "admissionchecks", "clusterqueues", "clusterqueues/status", "cohorts", "resourceflavors", "topologies", "workloadpriorityclasses",
    )  # fmt: skip
    looking = [
        _rule(KUEUE, everywhere, _READ),
        _rule(visibility, ("clusterqueues/pendingworkloads",), ("get",)),
        _rule("", ("namespaces", "nodes"), _READ),
        _rule("resource.k8s.io", ("deviceclasses", "resourceslices"), _READ),
        _rule("scheduling.k8s.io", ("priorityclasses",), _READ),
        {"nonResourceURLs": ["/roadstead/v1/", "/roadstead/v1/plan"], "verbs": ["get", "post"]},
    ]
    return [
        _role("roadstead:aggregate-to-view", viewing, "view"),
        _role("roadstead:aggregate-to-edit", [_rule(KUEUE, ("workloads",), ("patch", "update"))], "edit"),
        _role("roadstead:aggregate-to-admin", [_rule(KUEUE, ("localqueues", "workloads"), _WRITE)], "admin"),
        _role(QUEUE_VIEWER, looking),
    ]


def _of_node_agents() -> list[Json]:
    """An agent is its nodes and runs what is bound to them: any pod may be, so it may read what pods refer to."""
    rules = [
        _rule("", ("nodes",), ("create", "delete", "get", "update")),
        _rule("", ("nodes/status",), ("update",)),
        _rule("", ("pods",), ("delete", "get", "list", "watch")),
        _rule("", ("pods/status",), ("update",)),
        _rule("", ("configmaps", "secrets"), ("get",)),
        _rule("", ("serviceaccounts/token",), ("create",)),
        _rule("", ("events",), ("create", "get", "update")),
        _rule("coordination.k8s.io", ("leases",), ("create", "get", "update")),
        _rule("resource.k8s.io", ("resourceclaims",), ("get",)),
        _rule("resource.k8s.io", ("resourceclaims/status",), ("update",)),
        _rule("resource.k8s.io", ("resourceslices",), ("create", "delete", "get", "list", "update", "watch")),
    ]
    metadata = {"name": NODE_AGENT, "labels": dict(BOOTSTRAPPING), "annotations": {AUTOUPDATE: "true"}}
    binding = {
        "apiVersion": CLUSTER_ROLES.api_version,
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": NODE_AGENT},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": NODE_AGENT}],
    }
    return [_role(NODE_AGENT, rules), binding]


@lru_cache(maxsize=1)
def _recorded() -> list[Json]:
    packed = files(__package__).joinpath("policy.json.gz").read_bytes()
    value: Any = orjson.loads(gzip.decompress(packed))
    return list(value)


def bootstrap_policy() -> list[Json]:
    """All of them, roles before bindings; the caller may keep them and not change them."""
    return [*_recorded(), *_own(), *_of_node_agents()]
