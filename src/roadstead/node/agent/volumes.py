"""A pod's volumes as directories under its own directory, and where its containers see them.

emptyDir, configMap, secret, downwardAPI and projected volumes (of those). The rest is refused in words. A service account token
cannot be made through the Cluster port; the volume that servers add to every pod for it (`kube-api-access-...`) comes without.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from roadstead.kinds.object import Json
from roadstead.node.agent import resources
from roadstead.node.agent.environment import CONFIG_MAP, SECRET, Reference, Sources, field_text, text_data
from roadstead.node.agent.expansion import expand
from roadstead.node.agent.problems import config_error, unsupported
from roadstead.node.agent.views import (
    ConfigMapVolume,
    Container,
    DownwardVolume,
    KeyToPath,
    Pod,
    SecretVolume,
    Volume,
)

_DEFAULT_MODE = 0o644
Files = dict[str, tuple[bytes, int]]
"""Relative path -> (content, mode)."""


def variable(volume: str) -> str:
    """The environment variable that tells a container where a volume's directory is.

    >>> variable("train-data")
    'ROADSTEAD_VOLUME_TRAIN_DATA'
    """
    return "ROADSTEAD_VOLUME_" + re.sub(r"[^A-Z0-9]", "_", volume.upper())


def references(pod: Pod) -> set[Reference]:
    """ConfigMaps and Secrets that the pod's volumes need."""
    found: set[Reference] = set()
    for volume in pod.spec.volumes:
        sources = volume.projected.sources if volume.projected else (volume,)
        for source in sources:
            if source.config_map:
                found.add((CONFIG_MAP, source.config_map.name))
            if source.secret:
                found.add((SECRET, source.secret.secret_name or source.secret.name))
    return found


def check(pod: Pod) -> None:
    """CannotStart if a volume is of a kind that this node does not have."""
    for volume in pod.spec.volumes:
        if not any((volume.empty_dir, volume.config_map, volume.secret, volume.downward_api, volume.projected)):
            raise unsupported(
                f'volume "{volume.name}" is of a kind that this node does not have: use emptyDir, configMap, secret, downwardAPI or '
                "projected (programs see the machine's own file system, so a hostPath needs no volume)"
            )


def materialize(pod: Pod, top: Path, sources: Sources) -> dict[str, Path]:
    """Make every volume's directory under `top`; by volume name. Made once: what is there stays. CannotStart if it cannot be."""
    check(pod)
    made: dict[str, Path] = {}
    for volume in pod.spec.volumes:
        place = made[volume.name] = top / volume.name
        if volume.empty_dir is not None:
            place.mkdir(mode=0o777, parents=True, exist_ok=True)
            place.chmod(0o777)
        elif not place.exists():
            _write_all(place, _files(pod, volume, sources))
    return made


def _write_all(place: Path, files: Files) -> None:
    """All files, or no directory."""
    fresh = place.with_name(place.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o755, parents=True)
    for relative, (content, mode) in files.items():
        target = fresh / relative
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)
    fresh.rename(place)


def _files(pod: Pod, volume: Volume, sources: Sources) -> Files:
    if volume.projected is None:
        if volume.config_map is not None:
            return _object_files(CONFIG_MAP, volume.config_map.name, volume.config_map, sources, None)
        if volume.secret is not None:
            return _object_files(SECRET, volume.secret.secret_name, volume.secret, sources, None)
        assert volume.downward_api is not None, "`check` let only known kinds pass"
        return _downward_files(pod, volume.downward_api, sources, None)
    mode, files = volume.projected.default_mode, Files()
    for source in volume.projected.sources:
        if source.config_map is not None:
            files |= _object_files(CONFIG_MAP, source.config_map.name, source.config_map, sources, mode)
        elif source.secret is not None:
            name = source.secret.secret_name or source.secret.name
            files |= _object_files(SECRET, name, source.secret, sources, mode)
        elif source.downward_api is not None:
            files |= _downward_files(pod, source.downward_api, sources, mode)
        elif not volume.name.startswith("kube-api-access-"):
            raise unsupported(
                f'volume "{volume.name}" projects a source that this node does not have: use configMap, secret or downwardAPI'
            )
    return files


def _object_files(
    kind: str, name: str, volume: ConfigMapVolume | SecretVolume, sources: Sources, mode: int | None
) -> Files:
    default = next((one for one in (mode, volume.default_mode) if one is not None), _DEFAULT_MODE)
    value: Json | None = sources.objects.get((kind, name))
    if value is None:
        if volume.optional:
            return {}
        raise config_error(f'{kind} "{name}" not found')
    data = text_data(kind, value)
    if not volume.items:
        return {key: (content, default) for key, content in data.items()}
    return {
        _inside(item.path): (data[item.key], default if item.mode is None else item.mode)
        for item in volume.items
        if _has(item, data, kind, name, bool(volume.optional))
    }


def _has(item: KeyToPath, data: Mapping[str, bytes], kind: str, name: str, optional: bool) -> bool:
    if item.key not in data and not optional:
        raise config_error(f"{kind} references non-existent config key: {item.key} (in {name})")
    return item.key in data


def _downward_files(pod: Pod, volume: DownwardVolume, sources: Sources, mode: int | None) -> Files:
    default = next((one for one in (mode, volume.default_mode) if one is not None), _DEFAULT_MODE)
    files = Files()
    for item in volume.items:
        if item.field_ref is not None:
            text = field_text(pod, item.field_ref.field_path, sources.pod_ip, sources.host_ip)
        elif item.resource_field_ref is not None:
            text = resources.field_value(pod, None, item.resource_field_ref, sources.allocatable)
        else:
            continue
        files[_inside(item.path)] = (text.encode(), default if item.mode is None else item.mode)
    return files


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise config_error(f"path {path!r} leaves its volume: write a relative path without '..'")
    return path


def binds(
    container: Container, pod: Pod, places: Mapping[str, Path], environment: Mapping[str, str], *, make: bool = True
) -> list[Json]:
    """Where the container sees its volumes: [{source, target, read_only}]. Makes sub-paths that are not there yet."""
    kinds = {volume.name: volume for volume in pod.spec.volumes}
    found: list[Json] = []
    for mount in container.volume_mounts:
        if mount.name not in places:
            raise config_error(
                f'container "{container.name}" mounts volume "{mount.name}", which the pod does not have'
            )
        source = places[mount.name]
        below = _inside(mount.sub_path or expand(mount.sub_path_expr, environment))
        if below:
            source = source / below
            if not source.exists() and make:
                source.mkdir(parents=True)
        read_only = mount.read_only or kinds[mount.name].empty_dir is None
        found.append({"source": os.fspath(source), "target": mount.mount_path, "read_only": read_only})
    return found


def variables(places: Mapping[str, Path], mounted: Iterable[str]) -> dict[str, str]:
    """`ROADSTEAD_VOLUME_<NAME>` for the volumes that a container mounts."""
    return {variable(name): os.fspath(places[name]) for name in mounted if name in places}
