"""A pod's volumes as directories under its own directory, and where its containers see them.

emptyDir, configMap, secret, downwardAPI, projected (of those and service-account tokens) and hostPath. The rest is
refused in words. An emptyDir lies on the disk also if it asks for memory, and its sizeLimit is not enforced: what a pod
leaves there goes with it.

`contents.py` says what is in them, `atomic.py` writes them, `upkeep.py` keeps them as their sources are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from roadstead.kinds.object import Json
from roadstead.node.agent.environment import Sources
from roadstead.node.agent.expansion import expand
from roadstead.node.agent.problems import config_error, unsupported
from roadstead.node.agent.views import Container, Pod, Volume
from roadstead.node.agent.volumes import atomic, host_path
from roadstead.node.agent.volumes import contents as made
from roadstead.node.agent.volumes.contents import TokenFile, inside, references, token_files
from roadstead.node.keeper.beneath import LeadsOut, open_beneath

ACCOUNT_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where programs in pods look for their token, the cluster's authority and their namespace."""
ACCOUNT_VARIABLE: Final = "ROADSTEAD_SERVICE_ACCOUNT"
"""Where these are in every tier."""

__all__ = [
    "ACCOUNT_PATH",
    "TokenFile",
    "binds",
    "check",
    "materialize",
    "references",
    "token_files",
    "variable",
    "variables",
]


def variable(volume: str) -> str:
    """The environment variable that tells a container where a volume's directory is.

    >>> variable("train-data")
    'ROADSTEAD_VOLUME_TRAIN_DATA'
    """
    return "ROADSTEAD_VOLUME_" + re.sub(r"[^A-Z0-9]", "_", volume.upper())


def check(pod: Pod) -> None:
    """CannotStart if a volume is of a kind that this node does not have."""
    for volume in pod.spec.volumes:
        if volume.empty_dir is not None and volume.empty_dir.medium.startswith("HugePages"):
            raise unsupported(f'volume "{volume.name}": emptyDir of huge pages is not supported by this node')
        if not (volume.empty_dir or volume.host_path or made.is_made(volume)):
            raise unsupported(
                f'volume "{volume.name}" is of a kind that this node does not have: use emptyDir, configMap, secret, downwardAPI, '
                "projected or hostPath"
            )
        made.check(volume)


def materialize(
    pod: Pod, top: Path, sources: Sources, tokens: Mapping[TokenFile, str] | None = None
) -> dict[str, Path]:
    """Make every volume under `top`, or bring it up to date; by volume name. CannotStart if it cannot be.

    `tokens`: those of `token_files`.
    """
    check(pod)
    places = {}
    for volume in pod.spec.volumes:
        if volume.host_path is not None:
            places[volume.name] = host_path.prepare(volume.name, volume.host_path.path, volume.host_path.type)
            continue
        place = places[volume.name] = top / volume.name
        if volume.empty_dir is not None:
            place.mkdir(mode=0o777, parents=True, exist_ok=True)
            place.chmod(0o777)
        else:
            atomic.write(place, made.contents(pod, volume, sources, tokens or {}))
    return places


def binds(container: Container, pod: Pod, places: Mapping[str, Path], environment: Mapping[str, str]) -> list[Json]:
    """Where the container sees its volumes: [{source, target, read_only}], and `within` (the volume) where the source
    is a sub-path of one. Makes sub-paths that are not there yet."""
    kinds = {volume.name: volume for volume in pod.spec.volumes}
    found: list[Json] = []
    for mount in container.volume_mounts:
        if mount.name not in places:
            raise config_error(
                f'container "{container.name}" mounts volume "{mount.name}", which the pod does not have'
            )
        volume = os.fspath(places[mount.name])
        read_only = mount.read_only or made.is_made(kinds[mount.name])
        bind: Json = {"source": volume, "target": mount.mount_path, "read_only": read_only}
        below = inside(mount.sub_path or expand(mount.sub_path_expr, environment))
        if below:
            _make_sub_path(volume, below)
            bind |= {"source": os.path.join(volume, below), "within": volume}
        found.append(bind)
    return found


def _make_sub_path(volume: str, below: str) -> None:
    """Make a place within a volume as a directory if it is not there. Links in the volume may not lead out of it: the
    pod itself may have put them there. (It may do so after this, too: whoever mounts the place looks again.)"""
    try:
        os.close(open_beneath(volume, below, make=True))
    except LeadsOut as error:
        raise config_error(f"subPath {below!r} leads out of its volume by a symbolic link: remove the link") from error
    except OSError as error:
        raise config_error(f"subPath {below!r} cannot be made in its volume: {error.strerror}") from error


def variables(container: Container, places: Mapping[str, Path]) -> dict[str, str]:
    """Where the volumes are that a container mounts: `ROADSTEAD_VOLUME_<NAME>`, and ACCOUNT_VARIABLE for the one at
    ACCOUNT_PATH."""
    found: dict[str, str] = {}
    for mount in container.volume_mounts:
        if mount.name in places:
            found[variable(mount.name)] = os.fspath(places[mount.name])
            if os.path.normpath(mount.mount_path) == ACCOUNT_PATH:
                found[ACCOUNT_VARIABLE] = os.fspath(places[mount.name])
    return found


def update(
    pod: Pod, top: Path, volumes: Iterable[Volume], sources: Sources, tokens: Mapping[TokenFile, str]
) -> list[str]:
    """Bring these volumes, if they were ever made, up to date; the names of those that changed. CannotStart,
    OSError."""
    return [
        volume.name
        for volume in volumes
        if (top / volume.name).is_dir() and atomic.write(top / volume.name, made.contents(pod, volume, sources, tokens))
    ]
