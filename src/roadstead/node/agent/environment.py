"""A container's environment and command line, from the pod and the objects it refers to. Pure.

Order (k8s `kubelet_pods.go` makeEnvironmentVariables): what the node gives, `envFrom` in order, `env` in order; later
wins. `$(NAME)` in env values sees earlier entries of `env`; in command and args it sees all of `envFrom` and `env`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from roadstead.kinds.object import Json
from roadstead.node.agent import resources
from roadstead.node.agent.expansion import expand
from roadstead.node.agent.problems import config_error, unsupported
from roadstead.node.agent.views import Container, EnvSource, KeyRef, NameRef, Pod, Quantity

CONFIG_MAP = "configmap"
SECRET = "secret"

Reference = tuple[str, str]
"""("configmap" | "secret", name), in the pod's namespace."""

_SUBSCRIPT = re.compile(r"(metadata\.(?:labels|annotations))\['([^']*)'\]")
_NAME = re.compile(r"[^=\0]+")


@dataclass(frozen=True, slots=True)
class Sources:
    """What a container's environment is made from, besides the pod itself."""

    objects: Mapping[Reference, Json | None]
    """ConfigMaps and Secrets referred to, decoded; None if missing."""
    pod_ip: str
    host_ip: str
    allocatable: Mapping[str, Quantity] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    """What the node gives every container of the pod (devices, inherited variables)."""


def references(container: Container) -> set[Reference]:
    """ConfigMaps and Secrets that the container's environment needs."""
    found: set[Reference] = set()
    for source in container.env_from:
        if source.config_map_ref:
            found.add((CONFIG_MAP, source.config_map_ref.name))
        if source.secret_ref:
            found.add((SECRET, source.secret_ref.name))
    for variable in container.env:
        if variable.value_from and variable.value_from.config_map_key_ref:
            found.add((CONFIG_MAP, variable.value_from.config_map_key_ref.name))
        if variable.value_from and variable.value_from.secret_key_ref:
            found.add((SECRET, variable.value_from.secret_key_ref.name))
    return found


def text_data(kind: str, value: Json) -> dict[str, bytes]:
    """All keys of a ConfigMap or Secret, as bytes."""
    plain = {} if kind == SECRET else {key: text.encode() for key, text in (value.get("data") or {}).items()}
    encoded = (value.get("data") if kind == SECRET else value.get("binaryData")) or {}
    return plain | {key: base64.b64decode(text) for key, text in encoded.items()}


def environment(pod: Pod, container: Container, sources: Sources) -> tuple[dict[str, str], dict[str, str]]:
    """(the whole environment, the part that command and args may refer to). CannotStart if something required is
    missing."""
    own: dict[str, str] = {}
    for source in container.env_from:
        for kind, ref in ((CONFIG_MAP, source.config_map_ref), (SECRET, source.secret_ref)):
            if ref is not None:
                own.update(_all_keys(kind, ref, source.prefix, pod, sources))
    defined: dict[str, str] = {}
    for variable in container.env:
        if variable.value_from is not None:
            value = _from_source(pod, container, variable.value_from, sources)
            if value is None:
                continue
        else:
            value = expand(variable.value, defined)
        defined[variable.name] = value
        own[variable.name] = value
    return {**sources.given, **own}, own


def command_line(container: Container, variables: Mapping[str, str]) -> list[str]:
    """command + args, expanded. There is no image to take them from, so a command is required."""
    if not container.command:
        image = f" (image {container.image!r} is not looked at)" if container.image else ""
        raise unsupported(
            f"process mode runs commands on this machine and pulls no images{image}: give spec.containers[].command"
        )
    return [expand(word, variables) for word in container.command + container.args]


def _all_keys(kind: str, ref: NameRef, prefix: str, pod: Pod, sources: Sources) -> dict[str, str]:
    value = sources.objects.get((kind, ref.name))
    if value is None:
        if ref.optional:
            return {}
        raise config_error(f'{kind} "{ref.name}" not found')
    found = {prefix + key: _text(content) for key, content in text_data(kind, value).items()}
    return {key: text for key, text in found.items() if _NAME.fullmatch(key)}


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _from_source(pod: Pod, container: Container, source: EnvSource, sources: Sources) -> str | None:
    if source.field_ref is not None:
        return field_text(pod, source.field_ref.field_path, sources.pod_ip, sources.host_ip)
    if source.resource_field_ref is not None:
        return resources.field_value(pod, container, source.resource_field_ref, sources.allocatable)
    if source.config_map_key_ref is not None:
        return _one_key(CONFIG_MAP, source.config_map_key_ref, pod, sources)
    if source.secret_key_ref is not None:
        return _one_key(SECRET, source.secret_key_ref, pod, sources)
    raise unsupported(
        "an env entry takes its value from a source that this node does not know: use fieldRef, resourceFieldRef, "
        "configMapKeyRef or secretKeyRef"
    )


def _one_key(kind: str, ref: KeyRef, pod: Pod, sources: Sources) -> str | None:
    value = sources.objects.get((kind, ref.name))
    if value is None:
        if ref.optional:
            return None
        raise config_error(f'{kind} "{ref.name}" not found')
    content = text_data(kind, value).get(ref.key)
    if content is None:
        if ref.optional:
            return None
        word = "ConfigMap" if kind == CONFIG_MAP else "Secret"
        raise config_error(f"couldn't find key {ref.key} in {word} {pod.metadata.namespace}/{ref.name}")
    return _text(content)


def field_text(pod: Pod, path: str, pod_ip: str, host_ip: str) -> str:
    """The text of a fieldRef."""
    meta = pod.metadata
    found = _SUBSCRIPT.fullmatch(path)
    if found:
        of = meta.labels if found.group(1) == "metadata.labels" else meta.annotations
        return of.get(found.group(2), "")
    plain = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
        "status.hostIP": host_ip,
        "status.hostIPs": host_ip,
        "metadata.labels": _lines(meta.labels),
        "metadata.annotations": _lines(meta.annotations),
    }
    if path not in plain:
        raise config_error(f"fieldRef {path!r} is not one that a container may read")
    return plain[path]


def _lines(values: Mapping[str, str]) -> str:
    """`key="escaped value"`, one a line, sorted (k8s `pkg/fieldpath` FormatMap)."""
    return "\n".join(f'{key}="{_quoted(value)}"' for key, value in sorted(values.items()))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
