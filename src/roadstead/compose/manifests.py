"""What an administrator applies before an operator can run: `roadstead manifests`. Pure; stable order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead import __version__
from roadstead.compose.configuration import configured
from roadstead.compose.operator import COMPONENT, NAMESPACE, watched
from roadstead.compose.rights import cluster_rules, lease_rules, rights
from roadstead.controllers.workload.policy import NO_POLICY
from roadstead.integrations import ALL
from roadstead.kinds.configuration import read
from roadstead.kinds.crds import definitions
from roadstead.kinds.names import KUEUE, QUEUE_LABEL
from roadstead.kinds.object import Json
from roadstead.kinds.served import default_registry

POLICY: Final = "roadstead-hold-queued-jobs"
POLICY_API: Final = "admissionregistration.k8s.io/v1"
"""MutatingAdmissionPolicy is served in v1 from Kubernetes 1.36 on."""
RBAC: Final = "rbac.authorization.k8s.io"
FILE_NAME: Final = "config.yaml"
MOUNT_PATH: Final = "/etc/roadstead"
USER: Final = 65532
"""The unprivileged user of distroless images."""


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """`image`: what the Deployment runs. `policy`: hold queued jobs at creation. `kueue_crds`, `deployment`: print
    these too."""

    image: str = f"roadstead:{__version__}"
    namespace: str = NAMESPACE
    replicas: int = 2
    policy: bool = True
    kueue_crds: bool = True
    deployment: bool = True
    configuration: str = ""
    """The text of a configuration file: operators are given it, and the rights that it needs."""


def manifests(options: ManifestOptions) -> list[Json]:
    """All objects, in an order in which they can be applied. Raises `Wrong` if the configuration cannot be used."""
    policy = configured(read(options.configuration)).policy if options.configuration else NO_POLICY
    found = rights(watched(policy), options.namespace, deletes_jobs=policy.delete_deactivated is not None)
    subject = {"kind": "ServiceAccount", "name": COMPONENT, "namespace": options.namespace}
    objects = [crd for crd in definitions(default_registry()) if options.kueue_crds or crd["spec"]["group"] != KUEUE]
    objects += [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options.namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(COMPONENT, options.namespace)},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": _named(COMPONENT),
            "rules": cluster_rules(found),
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": _named(COMPONENT),
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": COMPONENT},
            "subjects": [subject],
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            "metadata": _named(COMPONENT, options.namespace),
            "rules": lease_rules(found),
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": _named(COMPONENT, options.namespace),
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": COMPONENT},
            "subjects": [subject],
        },
    ]
    if options.policy:
        objects += hold_policy()
    if options.deployment:
        if options.configuration:
            metadata = _named(COMPONENT, options.namespace)
            data = {FILE_NAME: options.configuration}
            objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        objects.append(_deployment(options))
    return objects


def hold_policy() -> list[Json]:
    """A job that names a queue is born suspended, so that no pod of it starts before the operator has seen it. A job
    that another queued kind controls is that one's business. Without this policy the operator suspends it a moment
    later."""
    rules = [
        {
            "apiGroups": [kind.resource.group],
            "apiVersions": [kind.resource.version],
            "resources": [kind.resource.plural],
            "operations": ["CREATE"],
            "scope": "*",
        }
        for kind in ALL
    ]
    kinds = ", ".join(f"'{kind.resource.api_version}/{kind.kind}'" for kind in ALL)
    return [
        {
            "apiVersion": POLICY_API,
            "kind": "MutatingAdmissionPolicy",
            "metadata": _named(POLICY),
            "spec": {
                "matchConstraints": {"resourceRules": rules},
                "matchConditions": [
                    {
                        "name": "names-a-queue",
                        "expression": f"object.metadata.?labels[?'{QUEUE_LABEL}'].orValue('') != ''",
                    },
                    {
                        "name": "no-job-above",
                        "expression": "!object.metadata.?ownerReferences.orValue([]).exists(owner, "
                        f"owner.?controller.orValue(false) && owner.apiVersion + '/' + owner.kind in [{kinds}])",
                    },
                ],
                "failurePolicy": "Ignore",  # the operator suspends what slips through
                "reinvocationPolicy": "IfNeeded",
                "mutations": [
                    {
                        "patchType": "ApplyConfiguration",
                        "applyConfiguration": {"expression": "Object{spec: Object.spec{suspend: true}}"},
                    }
                ],
            },
        },
        {
            "apiVersion": POLICY_API,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": _named(POLICY),
            "spec": {"policyName": POLICY},
        },
    ]


def _deployment(options: ManifestOptions) -> Json:
    args = ["operator", f"--namespace={options.namespace}"]
    volumes: list[Json] = []
    mounts: list[Json] = []
    if options.configuration:
        args.append(f"--config={MOUNT_PATH}/{FILE_NAME}")
        volumes.append({"name": "configuration", "configMap": {"name": COMPONENT}})
        mounts.append({"name": "configuration", "mountPath": MOUNT_PATH, "readOnly": True})
    labels = {"app.kubernetes.io/name": COMPONENT}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _named(COMPONENT, options.namespace),
        "spec": {
            "replicas": options.replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": COMPONENT,
                    "priorityClassName": "system-cluster-critical",
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "operator",
                            "image": options.image,
                            "args": args,
                            "resources": {
                                "requests": {"cpu": "100m", "memory": "128Mi"},
                                "limits": {"memory": "1Gi"},
                            },
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                                "readOnlyRootFilesystem": True,
                            },
                            **({"volumeMounts": mounts} if mounts else {}),
                        }
                    ],
                    **({"volumes": volumes} if volumes else {}),
                },
            },
        },
    }


def _named(name: str, namespace: str = "") -> Json:
    metadata: Json = {"name": name, "labels": {"app.kubernetes.io/part-of": "roadstead"}}
    if namespace:
        metadata["namespace"] = namespace
    return metadata
