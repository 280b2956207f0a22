"""Volumes of a pod: one source each, and what each source needs (kubernetes `validateVolumeSource`)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import quantity, syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.core.references import field_reference, resource_reference
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

_ORDER: Final = (
    "emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker persistentVolumeClaim "
    "rbd cinder cephfs quobyte downwardAPI fc flexVolume configMap azureFile azureDisk vsphereVolume photonPersistentDisk "
    "portworxVolume scaleIO projected storageos csi ephemeral image"
)
SOURCES: Final = tuple(_ORDER.split(" "))
"""In the order in which the server looks at them: the first one counts, every further one is refused."""

_REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "secret": ("secretName",),
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "persistentVolumeClaim": ("claimName",),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "quobyte": ("registry", "volume"),
    "flexVolume": ("driver",),
    "configMap": ("name",),
    "azureFile": ("secretName", "shareName"),
    "azureDisk": ("diskName", "diskURI"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "scaleIO": ("gateway", "system", "volumeName"),
    "csi": ("driver",),
    "ephemeral": ("volumeClaimTemplate",),
    "image": ("reference",),
}
HOST_PATH_TYPES: Final = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_PROJECTIONS: Final = (
    "secret",
    "configMap",
    "downwardAPI",
    "serviceAccountToken",
    "clusterTrustBundle",
    "podCertificate",
)


def validate_volumes(volumes: Any, path: str, found: list[FieldError]) -> set[str]:
    """Append what is wrong; answer with the names that containers may mount (those of sound volumes)."""
    names: set[str] = set()
    for i, volume in enumerate(volumes or ()):
        here = f"{path}[{i}]"
        problems: list[FieldError] = []
        _source(volume, here, problems)
        name = volume.get("name", "")
        if not name:
            problems.append(errors.required(f"{here}.name"))
        else:
            checks.dns_label(name, f"{here}.name", problems)
        if name in names:
            problems.append(errors.duplicate(f"{here}.name", name))
        if problems:
            found.extend(problems)
        else:
            names.add(name)
    return names


def _source(volume: Json, path: str, found: list[FieldError]) -> None:
    if len(volume) == 2 and "emptyDir" in volume and not volume["emptyDir"]:
        return  # by far the most common volume
    given = [name for name in SOURCES if name in volume]
    if not given:
        found.append(errors.required(path, "must specify a volume type"))
        return
    first, *others = given
    here = f"{path}.{first}"
    source = volume[first]
    for field in _REQUIRED.get(first, ()):
        if not source.get(field):
            found.append(errors.required(f"{here}.{field}"))
    match first:
        case "emptyDir":
            limit = source.get("sizeLimit")
            if limit is not None and quantity.parse(limit).nano < 0:
                found.append(errors.forbidden(f"{here}.sizeLimit", "SizeLimit field must be a valid resource quantity"))
        case "hostPath":
            _host_path(source, here, found)
        case "secret" | "configMap":
            _keys(source, here, found)
        case "downwardAPI":
            checks.file_mode(source.get("defaultMode"), f"{here}.defaultMode", found)
            _downward_files(source, here, found)
        case "projected":
            _projected(source, here, found)
        case "nfs":
            if source.get("path") and not source["path"].startswith("/"):
                found.append(invalid(f"{here}.path", source["path"], "must be an absolute path"))
        case _:
            pass
    for name in others:
        found.append(errors.forbidden(f"{path}.{name}", "may not specify more than 1 volume type"))


def _host_path(source: Json, path: str, found: list[FieldError]) -> None:
    if not source.get("path"):
        found.append(errors.required(f"{path}.path"))
        return
    checks.no_backsteps(source["path"], f"{path}.path", found)
    kind = source.get("type", "")
    if kind not in HOST_PATH_TYPES:
        found.append(errors.not_supported(f"{path}.type", kind, HOST_PATH_TYPES))


def _keys(source: Json, path: str, found: list[FieldError]) -> None:
    """Keys of a Secret or ConfigMap as files."""
    checks.file_mode(source.get("defaultMode"), f"{path}.defaultMode", found)
    for i, item in enumerate(source.get("items") or ()):
        here = f"{path}.items[{i}]"
        if not item.get("key"):
            found.append(errors.required(f"{here}.key"))
        _file_path(item.get("path", ""), f"{here}.path", found)
        checks.file_mode(item.get("mode"), f"{here}.mode", found)


def _file_path(value: str, path: str, found: list[FieldError]) -> None:
    if not value:
        found.append(errors.required(path))
        return
    checks.local_path(value, path, found)
    if value.startswith("..") and ".." not in value.split("/"):
        found.append(invalid(path, value, "must not start with '..'"))


def _downward_files(source: Json, path: str, found: list[FieldError]) -> None:
    for i, item in enumerate(source.get("items") or ()):
        here = f"{path}.items[{i}]"
        _file_path(item.get("path", ""), f"{here}.path", found)
        if "fieldRef" in item:
            field_reference(item["fieldRef"], f"{here}.fieldRef", found, volume=True)
            if "resourceFieldRef" in item:
                why = "fieldRef and resourceFieldRef can not be specified simultaneously"
                found.append(invalid(here, "resource", why))
        elif "resourceFieldRef" in item:
            resource_reference(item["resourceFieldRef"], f"{here}.resourceFieldRef", found, volume=True)
        else:
            found.append(errors.required(here, "one of fieldRef and resourceFieldRef is required"))
        checks.file_mode(item.get("mode"), f"{here}.mode", found)


def _projected(source: Json, path: str, found: list[FieldError]) -> None:
    checks.file_mode(source.get("defaultMode"), f"{path}.defaultMode", found)
    paths: set[str] = set()
    for i, projection in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{i}]"
        given = [name for name in _PROJECTIONS if name in projection]
        if not given:
            found.append(errors.required(here, "must specify a volume source"))
            continue
        for name in given[1:]:
            found.append(errors.forbidden(f"{here}.{name}", "may not specify more than 1 volume type"))
        name = given[0]
        inner, below = projection[name], f"{here}.{name}"
        if name in ("secret", "configMap"):
            if not inner.get("name"):
                found.append(errors.required(f"{below}.name"))
            _keys(inner, below, found)
        elif name == "downwardAPI":
            _downward_files(inner, below, found)
        elif name == "serviceAccountToken":
            _token(inner, below, found)
        for where in _targets(inner):
            if where in paths:
                found.append(invalid(here, where, f"conflicting duplicate paths: {where}"))
            paths.add(where)


def _token(source: Json, path: str, found: list[FieldError]) -> None:
    seconds = source.get("expirationSeconds", 3600)
    if seconds < 600:
        found.append(invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > 2**32:
        found.append(
            invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        )
    _file_path(source.get("path", ""), f"{path}.path", found)


def _targets(source: Json) -> list[str]:
    if "path" in source:
        return [source["path"]]
    return [item["path"] for item in source.get("items") or () if item.get("path")]


def validate_claims(claims: Any, path: str, found: list[FieldError]) -> set[str]:
    """`resourceClaims` of a pod: named, one source each. Answers with the names."""
    names: set[str] = set()
    for i, claim in enumerate(claims or ()):
        here = f"{path}[{i}]"
        name = claim.get("name", "")
        if not name:
            found.append(errors.required(f"{here}.name"))
        elif name in names:
            found.append(errors.duplicate(f"{here}.name", name))
        else:
            checks.dns_label(name, f"{here}.name", found)
            names.add(name)
        direct, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = {"Name": name, "ResourceClaimName": direct, "ResourceClaimTemplateName": template}
        which = "`resourceClaimName` or `resourceClaimTemplateName`"
        if direct is not None and template is not None:
            found.append(invalid(here, shown, f"at most one of {which} may be specified"))
        elif direct is None and template is None:
            found.append(invalid(here, shown, f"must specify one of: {which.replace(' or ', ', ')}"))
        for field, value in (("resourceClaimName", direct), ("resourceClaimTemplateName", template)):
            if value is not None:
                found.extend(invalid(f"{here}.{field}", value, why) for why in syntax.dns_subdomain(value))
    return names
