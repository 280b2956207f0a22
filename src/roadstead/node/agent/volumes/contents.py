"""What is in a volume whose content comes from the API: configMap, secret, downwardAPI, and projected of those and
tokens. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from roadstead.kinds.object import Json
from roadstead.node.agent import resources
from roadstead.node.agent.environment import CONFIG_MAP, SECRET, Reference, Sources, field_text, text_data
from roadstead.node.agent.problems import config_error, unsupported
from roadstead.node.agent.views import (
    ConfigMapVolume,
    DownwardVolume,
    KeyToPath,
    Pod,
    ProjectedSource,
    SecretVolume,
    Volume,
)

DEFAULT_MODE = 0o644
DEFAULT_TOKEN_SECONDS = 3600
Contents = dict[str, tuple[bytes, int]]
"""Relative path -> (content, mode)."""


class TokenFile(NamedTuple):
    """A service-account token that a volume holds: where, for whom ("" = the API server), for how long."""

    volume: str
    path: str
    audience: str
    seconds: int


def is_made(volume: Volume) -> bool:
    """Does the volume's content come from the API?"""
    return any((volume.config_map, volume.secret, volume.downward_api, volume.projected))


def check(volume: Volume) -> None:
    """CannotStart if the volume projects what this node cannot make."""
    for source in volume.projected.sources if volume.projected else ():
        if not any((source.config_map, source.secret, source.downward_api, source.service_account_token)):
            raise unsupported(
                f'volume "{volume.name}" projects a source that this node does not have: use configMap, secret, downwardAPI or '
                "serviceAccountToken"
            )


def references(pod: Pod) -> set[Reference]:
    """ConfigMaps and Secrets that the pod's volumes need."""
    found: set[Reference] = set()
    for volume in pod.spec.volumes:
        for source in _parts(volume):
            if source.config_map:
                found.add((CONFIG_MAP, source.config_map.name))
            if source.secret:
                found.add((SECRET, source.secret.secret_name or source.secret.name))
    return found


def token_files(pod: Pod) -> list[TokenFile]:
    """The tokens that the pod's volumes need."""
    return [
        TokenFile(volume.name, token.path, token.audience, token.expiration_seconds or DEFAULT_TOKEN_SECONDS)
        for volume in pod.spec.volumes
        for source in _parts(volume)
        if (token := source.service_account_token)
    ]


def has_own_fields(pod: Pod) -> bool:
    """Does a volume show fields of the pod itself, which may change while it runs?"""
    return any(source.downward_api for volume in pod.spec.volumes for source in _parts(volume))


def contents(pod: Pod, volume: Volume, sources: Sources, tokens: Mapping[TokenFile, str]) -> Contents:
    """The volume's files. CannotStart if something that is required is missing. Later sources win, as the kubelet has
    it."""
    mode = None if volume.projected is None else volume.projected.default_mode
    files = Contents()
    for source in _parts(volume):
        if source.config_map is not None:
            files |= _object_files(CONFIG_MAP, source.config_map.name, source.config_map, sources, mode)
        elif source.secret is not None:
            name = source.secret.secret_name or source.secret.name
            files |= _object_files(SECRET, name, source.secret, sources, mode)
        elif source.downward_api is not None:
            files |= _downward_files(pod, source.downward_api, sources, mode)
        elif source.service_account_token is not None:
            given = source.service_account_token
            seconds = given.expiration_seconds or DEFAULT_TOKEN_SECONDS
            token = tokens[TokenFile(volume.name, given.path, given.audience, seconds)]
            files[inside(given.path)] = (token.encode(), DEFAULT_MODE if mode is None else mode)
    return files


def _parts(volume: Volume) -> Iterator[ProjectedSource]:
    """A volume as the sources it projects: one, if it is no projected one."""
    if volume.projected is not None:
        yield from volume.projected.sources
    elif is_made(volume):
        yield ProjectedSource(volume.config_map, volume.secret, volume.downward_api)


def _object_files(
    kind: str, name: str, volume: ConfigMapVolume | SecretVolume, sources: Sources, mode: int | None
) -> Contents:
    default = next((one for one in (mode, volume.default_mode) if one is not None), DEFAULT_MODE)
    value: Json | None = sources.objects.get((kind, name))
    if value is None:
        if volume.optional:
            return {}
        raise config_error(f'{kind} "{name}" not found')
    data = text_data(kind, value)
    if not volume.items:
        return {key: (content, default) for key, content in data.items()}
    return {
        inside(item.path): (data[item.key], default if item.mode is None else item.mode)
        for item in volume.items
        if _has(item, data, kind, name, bool(volume.optional))
    }


def _has(item: KeyToPath, data: Mapping[str, bytes], kind: str, name: str, optional: bool) -> bool:
    if item.key not in data and not optional:
        raise config_error(f"{kind} references non-existent config key: {item.key} (in {name})")
    return item.key in data


def _downward_files(pod: Pod, volume: DownwardVolume, sources: Sources, mode: int | None) -> Contents:
    default = next((one for one in (mode, volume.default_mode) if one is not None), DEFAULT_MODE)
    files = Contents()
    for item in volume.items:
        if item.field_ref is not None:
            text = field_text(pod, item.field_ref.field_path, sources.pod_ip, sources.host_ip)
        elif item.resource_field_ref is not None:
            text = resources.field_value(pod, None, item.resource_field_ref, sources.allocatable)
        else:
            continue
        files[inside(item.path)] = (text.encode(), default if item.mode is None else item.mode)
    return files


def inside(path: str) -> str:
    """`path`, which must stay within its volume."""
    if path.startswith("/") or ".." in path.split("/"):
        raise config_error(f"path {path!r} leaves its volume: write a relative path without '..'")
    return path
