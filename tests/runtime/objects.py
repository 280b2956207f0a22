"""Objects for the runtime's tests, made by hand: what matters here is metadata."""

from __future__ import annotations

from roadstead.kinds.names import CONFIG_MAPS
from roadstead.kinds.object import Object


def config_map(
    name: str, *, uid: str = "", version: str = "1", namespace: str = "default", owners: tuple[str, ...] = ()
) -> Object:
    return Object.of(
        CONFIG_MAPS,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": uid or f"uid-{name}",
                "resourceVersion": version,
                "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": o, "uid": o} for o in owners],
            },
        },
    )
