"""What the real server's admission does about service accounts (k8s plugin/pkg/admission/serviceaccount): every pod has
one, and finds its token, the cluster's authority and its namespace at a well-known place."""

from __future__ import annotations

import hashlib
from typing import Final

import orjson

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.kinds.errors import access_denied
from roadstead.kinds.names import PODS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json

DEFAULT_ACCOUNT: Final = "default"
VOLUME_PREFIX: Final = "kube-api-access-"
MOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR_ANNOTATION: Final = "kubernetes.io/config.mirror"
SOURCE: Final[Json] = {
    "projected": {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
        "defaultMode": 420,
    }
}
_SOURCE: Final = orjson.dumps(SOURCE)
"""Each pod gets one of its own; decoding costs a twentieth of copying."""
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""Those of generated names: no vowels, nothing that looks like something else."""


class ServiceAccount:
    """Sets `serviceAccountName`, adds the volume with its token, and the account's pull secrets. The account must
    exist.

    `default` may be taken as given where a controller makes it in every namespace: the real server waits a second for
    it, we need not, since whoever runs the pod asks for its token only later.
    """

    def __init__(self, *, default_is_given: bool = True) -> None:
        self._default_is_given = default_is_given

    def admit(self, request: AdmissionRequest) -> None:
        if request.kind.resource != PODS or request.subresource or request.operation != "CREATE":
            return
        pod = request.object
        assert pod is not None
        spec = pod["spec"]
        if MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or {}):
            _check_mirror(request, spec)
            return
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT_ACCOUNT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._account(request, name)
        if spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
            _mount(spec, request.namespace, request.name or pod["metadata"].get("uid", ""))
        secrets = account.get("imagePullSecrets")
        if secrets and not spec.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [{"name": secret.get("name", "")} for secret in secrets]

    def _account(self, request: AdmissionRequest, name: str) -> Json:
        found = request.lookup(SERVICE_ACCOUNTS, request.namespace, name)
        if found is not None:
            return found.decode()
        if name == DEFAULT_ACCOUNT and self._default_is_given:
            return {}
        why = f'error looking up service account {request.namespace}/{name}: serviceaccount "{name}" not found'
        raise access_denied(PODS, request.name, why)


def _check_mirror(request: AdmissionRequest, spec: Json) -> None:
    """A mirror pod shows what a node runs by itself: it can have no credentials of the cluster."""
    what = "service accounts" if spec.get("serviceAccountName") else ""
    if not what and any("secret" in volume for volume in spec.get("volumes") or ()):
        what = "secrets"
    if what:
        raise access_denied(PODS, request.name, f"a mirror pod may not reference {what}")


def _mount(spec: Json, namespace: str, seed: str) -> None:
    """Mount the volume in every container that has nothing at its place; add it if one needs it.

    Its name ends in five letters that look random and are not: the same pod gets the same volume, whenever it is made.
    """
    volumes = spec.get("volumes") or []
    name = next((volume["name"] for volume in volumes if volume.get("name", "").startswith(VOLUME_PREFIX)), None)
    is_there = name is not None
    if name is None:
        digest = hashlib.sha256(f"{namespace}/{seed}".encode()).digest()
        name = VOLUME_PREFIX + "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:5])
    is_needed = False
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            mounts = container.get("volumeMounts") or []
            if not any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
                container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
                is_needed = True
    if is_needed and not is_there:
        spec["volumes"] = [*volumes, {"name": name, **orjson.loads(_SOURCE)}]
