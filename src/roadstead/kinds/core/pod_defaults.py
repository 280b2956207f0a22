"""What the server fills into a pod spec that says less (kubernetes `pkg/apis/core/v1/defaults.go`). In place,
idempotent."""

from __future__ import annotations

import re
from typing import Any, Final

from roadstead.kinds.object import Json

_IMAGE: Final = re.compile(
    r"(?:[a-zA-Z0-9][-a-zA-Z0-9.]*(?::\d+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
_SOURCES_WITH_MODE: Final = ("configMap", "secret", "downwardAPI", "projected")
DEFAULT_MODE: Final = 0o644


def pull_policy(image: str) -> str:
    """`Always` for the latest tag, said or implied; `IfNotPresent` for everything pinned."""
    found = _IMAGE.fullmatch(image)
    if found is None:
        return "IfNotPresent"
    tag = found["tag"] or ("" if found["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def default_template(template: Json) -> None:
    """Defaults of a pod template (`metadata` and `spec`), as Jobs carry it."""
    default_pod_spec(template["spec"])


def default_pod(spec: Json) -> None:
    """Defaults of a pod's own spec: those of a template and the few that only pods get."""
    default_pod_spec(spec)
    if "enableServiceLinks" not in spec:
        spec["enableServiceLinks"] = True
    on_host = spec.get("hostNetwork")
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            resources = container["resources"]
            limits = resources.get("limits")
            if limits:
                resources["requests"] = {**limits, **(resources.get("requests") or {})}
            if on_host:
                for port in container.get("ports") or ():
                    port.setdefault("hostPort", port.get("containerPort", 0))


def default_pod_spec(spec: Json) -> None:
    """Defaults of every pod spec."""
    if "dnsPolicy" not in spec:
        spec["dnsPolicy"] = "ClusterFirst"
    if "restartPolicy" not in spec:
        spec["restartPolicy"] = "Always"
    if "securityContext" not in spec:
        spec["securityContext"] = {}
    if "terminationGracePeriodSeconds" not in spec:
        spec["terminationGracePeriodSeconds"] = 30
    if "schedulerName" not in spec:
        spec["schedulerName"] = "default-scheduler"
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for name in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(name) or ():
            _default_container(container)
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def _default_container(container: Json) -> None:
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    if "terminationMessagePath" not in container:
        container["terminationMessagePath"] = "/dev/termination-log"
    if "terminationMessagePolicy" not in container:
        container["terminationMessagePolicy"] = "File"
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _default_probe(probe)
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _default_http(handler.get("httpGet"))
    for variable in container.get("env") or ():
        source = variable.get("valueFrom")
        if source is not None:
            _default_source(source)


def _default_source(source: Json) -> None:
    """Field and resource references, of environment variables and downward API files."""
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")
    if "resourceFieldRef" in source:
        source["resourceFieldRef"].setdefault("divisor", "0")
    if "fileKeyRef" in source:
        source["fileKeyRef"].setdefault("optional", False)


def _default_probe(probe: Json) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _default_http(probe.get("httpGet"))
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _default_http(action: Any) -> None:
    if action is not None:
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _default_volume(volume: Json) -> None:
    if len(volume) == 1 and "name" in volume:
        volume["emptyDir"] = {}
        return
    for name in _SOURCES_WITH_MODE:
        source = volume.get(name)
        if source is None:
            continue
        source.setdefault("defaultMode", DEFAULT_MODE)
        if name == "downwardAPI":
            for item in source.get("items") or ():
                _default_source(item)
        elif name == "projected":
            for projection in source.get("sources") or ():
                _default_projection(projection)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if "image" in volume:
        image = volume["image"]
        image.setdefault("pullPolicy", pull_policy(image.get("reference", "")))
    if "ephemeral" in volume:
        claim = volume["ephemeral"].get("volumeClaimTemplate")
        if claim is not None:
            claim["spec"].setdefault("volumeMode", "Filesystem")
    if "iscsi" in volume:
        volume["iscsi"].setdefault("iscsiInterface", "default")
    if "rbd" in volume:
        for field, value in (("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")):
            volume["rbd"].setdefault(field, value)
    if "azureDisk" in volume:
        disk = volume["azureDisk"]
        for field, setting in (
            ("cachingMode", "ReadWrite"),
            ("fsType", "ext4"),
            ("kind", "Shared"),
            ("readOnly", False),
        ):
            disk.setdefault(field, setting)
    if "scaleIO" in volume:
        for field, value in (("storageMode", "ThinProvisioned"), ("fsType", "xfs")):
            volume["scaleIO"].setdefault(field, value)


def _default_projection(projection: Json) -> None:
    token = projection.get("serviceAccountToken")
    if token is not None:
        token.setdefault("expirationSeconds", 3600)
    for item in (projection.get("downwardAPI") or {}).get("items") or ():
        _default_source(item)
