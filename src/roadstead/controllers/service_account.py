"""What every active namespace is given: ServiceAccount `default` and ConfigMap `kube-root-ca.crt` (kubernetes-api.md
section 20)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from roadstead.kinds.object import Object, Resource
from roadstead.runtime.cluster import Create, Update, Write
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step, same_key, together

DEFAULT_ACCOUNT: Final = "default"
ROOT_CA: Final = "kube-root-ca.crt"
ROOT_CA_DESCRIPTION: Final = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service "
    "IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)
"""The real root-ca-cert-publisher's own words."""


def _namespace_of(name: str) -> KeysOf:
    def keys(changed: Object, read: Read) -> Iterable[Key]:
        del read
        return (("", changed.meta.namespace),) if changed.meta.name == name else ()

    return keys


class ServiceAccountController:
    """Makes both, and makes them again when somebody deletes or changes them. `ca_text`: the cluster's CA, PEM."""

    name: ClassVar[str] = "service-account"
    watches: Mapping[Resource, KeysOf] = {
        NAMESPACES: same_key,
        SERVICE_ACCOUNTS: _namespace_of(DEFAULT_ACCOUNT),
        CONFIG_MAPS: _namespace_of(ROOT_CA),
    }
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def __init__(self, ca_text: str) -> None:
        self._ca_text = ca_text

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        del now
        namespace = read.get(NAMESPACES, *key)
        if namespace is None or namespace.meta.deletion_timestamp:
            return NOTHING
        name = namespace.meta.name
        writes = [self._account(name, read), self._root_ca(name, read)]
        return together(*(write for write in writes if write is not None))

    def _account(self, namespace: str, read: Read) -> Write | None:
        if read.get(SERVICE_ACCOUNTS, namespace, DEFAULT_ACCOUNT) is not None:
            return None
        metadata = {"name": DEFAULT_ACCOUNT, "namespace": namespace}
        return Create(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})

    def _root_ca(self, namespace: str, read: Read) -> Write | None:
        data = {"ca.crt": self._ca_text}
        found = read.get(CONFIG_MAPS, namespace, ROOT_CA)
        if found is None:
            metadata = {
                "name": ROOT_CA,
                "namespace": namespace,
                "annotations": {"kubernetes.io/description": ROOT_CA_DESCRIPTION},
            }
            return Create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        value = found.decode()
        if value.get("data") == data:
            return None
        value["data"] = data
        return Update(CONFIG_MAPS, value)
