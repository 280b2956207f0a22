"""From a container in a pod to what the keeper runs: command line, environment, volumes, mounts, hosts file.

What a container finds in its environment besides what its spec says:

| variable | value |
|---|---|
| those of the agent | personal mode only, all but KUBECONFIG, KUBERNETES_* and ROADSTEAD_*: PATH, HOME, VIRTUAL_ENV ... are the user's |
| HOSTNAME | the pod's host name |
| CUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES | node-local indices of exactly the pod's devices; empty (void) if it has none; unset on nodes without devices |
| ROADSTEAD_CLAIM_..., NCCL_IB_HCA | what the container has of its pod's claims (`claims/visible.py`) |
| ROADSTEAD_POD_IP | the pod's address |
| ROADSTEAD_VOLUME_<NAME> | where the directory of a mounted volume is, in every tier |
| ROADSTEAD_SERVICE_ACCOUNT | where `token`, `ca.crt` and `namespace` of the pod's service account are, in every tier, if it has them |
| KUBERNETES_SERVICE_HOST, _PORT, _PORT_HTTPS | the API server, for programs that expect to run in a cluster |
| ROADSTEAD_PEERS, ROADSTEAD_HOSTS_FILE | `name=address,...` at the start, and a hosts file that is kept up to date, for pods with peers |
| ROADSTEAD_TERMINATION_LOG | file for the termination message (`terminationMessagePath` itself is not made) |
| ROADSTEAD_RUN | the run's directory: by it the keeper finds a run's processes |

The working directory is `workingDir`, else a scratch directory that the pod's containers share and that goes with the
pod. `securityContext` and image settings are not applied: processes are the agent's user's own. stdin is empty.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from roadstead.kinds.object import Json
from roadstead.node.agent import devices, environment, isolation, messages, peers, probe_views, resources, volumes
from roadstead.node.agent.claims import giving
from roadstead.node.agent.claims.giving import Claims
from roadstead.node.agent.environment import Reference, Sources
from roadstead.node.agent.problems import unsupported
from roadstead.node.agent.profiles import Profile
from roadstead.node.agent.views import Container, Pod, Quantity
from roadstead.node.agent.volumes import TokenFile
from roadstead.node.keeper import runs

_NOT_INHERITED = (
    "KUBECONFIG",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "HOSTNAME",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
)
VOLUMES: Final = "volumes"
"""Where volumes are in a pod's directory."""
_FALLBACK_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pod lives on this node."""

    directory: Path
    """The pod's own: `scratch`, `volumes`, `hosts`."""
    state: Path
    """The agent's; the keeper's runs are below it."""
    pod_ip: str
    host_ip: str
    profile: Profile
    allocatable: Mapping[str, Quantity]
    tier: str
    inherited: Mapping[str, str]
    """The part of the agent's own environment that containers get (personal mode)."""
    peers: Sequence[Pod] = ()
    api_server: str = ""
    """https://HOST:PORT; "" if this node does not know an address that pods can reach."""
    claims: Claims = field(default_factory=Claims)


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the agent's environment containers inherit in personal mode: all but the way to the cluster and
    Roadstead's own."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _NOT_INHERITED and not name.startswith(("ROADSTEAD_", "KUBERNETES_"))
    }


def check(pod: Pod) -> None:
    """CannotStart if the pod asks for what this node does not do: said at once, not half done."""
    volumes.check(pod)
    for container in pod.spec.all_containers:
        for name, given in _unsupported(container):
            if given:
                raise unsupported(f'container "{container.name}": {name} is not supported by this node: remove it')


def _unsupported(container: Container) -> Sequence[tuple[str, Any]]:
    return (
        *probe_views.unsupported(container.liveness_probe, container.readiness_probe, container.startup_probe),
        ("lifecycle.stopSignal", container.lifecycle is not None and container.lifecycle.stop_signal),
        ("restartPolicyRules", container.restart_policy_rules),
        ("volumeDevices", container.volume_devices),
        ("stdin", container.stdin),
        ("tty", container.tty),
    )


def references(pod: Pod, container: Container) -> set[Reference]:
    """ConfigMaps and Secrets that must be read before the container can start."""
    return environment.references(container) | volumes.references(pod)


def sources_of(objects: Mapping[Reference, Json | None], place: Place) -> Sources:
    """What volumes and environments are made from."""
    return Sources(objects, place.pod_ip, place.host_ip, place.allocatable)


def spec_of(
    pod: Pod,
    container: Container,
    run: str,
    objects: Mapping[Reference, Json | None],
    place: Place,
    tokens: Mapping[TokenFile, str] | None = None,
) -> Json:
    """The keeper's spec. Makes the pod's directories and volumes; `tokens` are those of `volumes.token_files`.
    CannotStart says what is missing."""
    scratch = place.directory / "scratch"
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    sources = sources_of(objects, place)
    places = volumes.materialize(pod, place.directory / VOLUMES, sources, tokens)
    hosts = write_hosts(pod, place) if peers.wants_hosts(pod) else None
    by_claims = giving.give(pod, container, place.claims)
    given = _given(pod, run, place, hosts)
    given |= devices.variables(pod, place.profile, by_claims.gpus) | by_claims.variables
    given |= volumes.variables(container, places)
    variables, own = environment.environment(pod, container, replace(sources, given=given))
    variables |= by_claims.overriding
    argv = environment.command_line(container, own)
    binds = [*volumes.binds(container, pod, places, own), *by_claims.binds]
    if hosts is not None:
        binds.append({"source": os.fspath(hosts), "target": "/etc/hosts", "read_only": False})
    tier = isolation.applies(place.tier, bool(binds))
    binds += by_claims.files
    spec: Json = {
        "argv": argv,
        "env": variables,
        "cwd": container.working_dir or os.fspath(scratch),
        "isolation": tier,
        "hostname": pod.hostname,
        "binds": binds if tier != isolation.BARE else [],
        "message_from_log": container.termination_message_policy == "FallbackToLogsOnError",
    }
    limit = resources.memory_limit(container)
    if limit is not None:
        spec["memory_bytes"] = limit
    return spec


def unmounted(pod: Pod, container: Container, tier: str) -> str:
    """What to tell of volumes that are not where the container wants them, since this node cannot mount; "" if all are.

    A hostPath that is wanted at its own path is there anyway.
    """
    if tier != isolation.BARE:
        return ""
    own = {volume.name: volume.host_path.path for volume in pod.spec.volumes if volume.host_path is not None}
    missing = [
        f'"{mount.name}" is not at {mount.mount_path} but at ${volumes.variable(mount.name)}'
        for mount in container.volume_mounts
        if own.get(mount.name, "") != mount.mount_path or mount.sub_path or mount.sub_path_expr
    ]
    return f"This node cannot mount (isolation {tier}): " + "; ".join(missing) if missing else ""


def _given(pod: Pod, run: str, place: Place, hosts: Path | None) -> dict[str, str]:
    given = {"PATH": _FALLBACK_PATH, **place.inherited}
    given["HOSTNAME"] = pod.hostname
    given["ROADSTEAD_POD_IP"] = place.pod_ip
    given |= _api_server(place.api_server)
    given["ROADSTEAD_TERMINATION_LOG"] = os.path.join(runs.directory(os.fspath(place.state), run), messages.FILE)
    if hosts is not None:
        given["ROADSTEAD_HOSTS_FILE"] = os.fspath(hosts)
        given["ROADSTEAD_PEERS"] = peers.peers_variable(pod, place.pod_ip, place.peers)
    return given


def _api_server(url: str) -> dict[str, str]:
    """The variables of the service `kubernetes` that programs look at (client-go `rest.InClusterConfig`)."""
    parts = urlsplit(url)
    if not parts.hostname:
        return {}
    port = str(parts.port or 443)
    return {
        "KUBERNETES_SERVICE_HOST": parts.hostname,
        "KUBERNETES_SERVICE_PORT": port,
        "KUBERNETES_SERVICE_PORT_HTTPS": port,
    }


def write_hosts(pod: Pod, place: Place) -> Path:
    """Write the pod's hosts file, in place: processes that have it mounted see the change at once."""
    path = place.directory / "hosts"
    try:
        machine = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        machine = "127.0.0.1\tlocalhost\n"
    text = peers.hosts_file(pod, place.pod_ip, place.peers, machine).encode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if os.pread(fd, 1 << 20, 0) != text:
            os.pwrite(fd, text, 0)
            os.ftruncate(fd, len(text))
    finally:
        os.close(fd)
    return path
