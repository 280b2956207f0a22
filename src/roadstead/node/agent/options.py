"""How a node agent is told what to be."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from roadstead.kinds.times import SECOND
from roadstead.node.agent.claims import cdi
from roadstead.node.agent.isolation import TIERS
from roadstead.node.agent.pod_state import KUBELET_BACKOFF, Backoff
from roadstead.node.agent.profiles import all_profiles, profile

DEFAULT_PODS: Final = 500
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
_SETTINGS = ("cpu", "memory", "pods", "devices")
_WAYS = ("count", "claims")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class CannotJoin(Exception):
    """There can be no such agent, or no such node: what happened, and what to do."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class CannotGoOn(CannotJoin):
    """There can be no such agent any more: a part of it failed that all its pods need."""


@dataclass(frozen=True, slots=True)
class Taint:
    """What keeps pods off a node that do not tolerate it."""

    key: str
    value: str
    effect: str

    @classmethod
    def parse(cls, text: str) -> Taint:
        """From `key[=value]:effect` as `kubectl taint` writes it; ValueError says what is wrong.

        >>> Taint.parse("dedicated=training:NoSchedule")
        Taint(key='dedicated', value='training', effect='NoSchedule')
        """
        left, _, effect = text.rpartition(":")
        key, _, value = left.partition("=")
        if not key or effect not in _EFFECTS:
            raise ValueError(
                f"{text!r} is not a taint: write KEY=VALUE:EFFECT, the effect one of {', '.join(_EFFECTS)}."
            )
        return cls(key, value, effect)


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """One node. `cpu` and `memory` are quantities; "" = the machine's (of a simulated node: the profile's)."""

    name: str
    profile: str = "cpu"
    cpu: str = ""
    memory: str = ""
    pods: int = DEFAULT_PODS
    simulate: bool = False
    """Pods are timers: no processes (`roadstead.dev/run-for` says how long they run)."""
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    """Given to the node when it is made, as kubelet's --register-with-taints."""
    by_claims: bool = False
    """Devices are given by claims alone: the node offers no `nvidia.com/gpu` to be counted. On clusters of others a
    node does either, since their schedulers do not know that both are the same devices."""

    @classmethod
    def parse(cls, text: str, *, simulate: bool = False) -> NodeOptions:
        """From `name=profile[,cpu=4][,memory=8Gi][,pods=100][,devices=claims]`; ValueError says what is wrong.

        >>> NodeOptions.parse("n1=h100x8,cpu=4").profile
        'h100x8'
        """
        head, *rest = text.split(",")
        name, equals, kind = head.partition("=")
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{text!r} does not name a node: write NAME=PROFILE, the name in lower case letters, digits, '-'."
            )
        if equals and not kind:
            raise ValueError(
                f"{text!r} names no profile after {name}=: write {name}=PROFILE, one of {', '.join(sorted(all_profiles()))}."
            )
        profile(kind or "cpu")
        given = dict(part.partition("=")[::2] for part in rest)
        unknown = [key for key in given if key not in _SETTINGS]
        if unknown:
            raise ValueError(f"node {name}: there is no setting {unknown[0]!r}; there are {', '.join(_SETTINGS)}.")
        if not given.get("pods", "1").isdigit():
            raise ValueError(f"node {name}: pods={given['pods']} is not a whole number.")
        if (way := given.get("devices", _WAYS[0])) not in _WAYS:
            raise ValueError(f"node {name}: devices={way} is neither count nor claims: how pods ask for its devices.")
        pods = int(given.get("pods", DEFAULT_PODS))
        found = cls(name, kind or "cpu", given.get("cpu", ""), given.get("memory", ""), pods, simulate)
        return replace(found, by_claims=way == "claims")


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the log port: its own certificate and key, and the authority whose client certificates it takes (PEM).
    All are read again when they change."""

    certificate: Path
    key: Path
    client_authority: Path
    allowed_groups: tuple[str, ...] = ("system:masters",)
    allowed_names: tuple[str, ...] = ("kube-apiserver-kubelet-client", "system:roadstead")


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What `run_agent` needs besides the cluster.

    `state`: a directory of the agent's own; runs, volumes and hosts files live there, and processes outlive the agent
    by it. `nodes`: at least one. `tls`: None = no log port (nothing is ever served without authentication). `host` is
    the machine's address: pods' hostIP, and where the log port listens; `port` 0 = any free one. `is_guest`: the
    cluster is not Roadstead's own. Then the agent watches no pods but its own, gives devices to pods that no Placement
    names, and asks the server who may read logs. `isolation`: "auto", or a tier of `isolation.py`.
    `inherit_environment`: containers get the agent's own environment variables (personal mode) except KUBECONFIG and
    Roadstead's. `api_server` gives the address (https://HOST:PORT) at which pods reach the API server now, "" if there
    is none. `on_ready` is called with the log port once the nodes are registered and the pods are known.
    `cdi_directories`: where DRA drivers leave what they prepared.
    """

    state: Path
    nodes: tuple[NodeOptions, ...]
    tls: Tls | None = None
    host: str = "127.0.0.1"
    port: int = 0
    isolation: str = "auto"
    inherit_environment: bool = True
    is_guest: bool = False
    backoff: Backoff = KUBELET_BACKOFF
    lease_interval: int = 10 * SECOND
    status_interval: int = 300 * SECOND
    now: Callable[[], int] = time.time_ns
    api_server: Callable[[], str] = str
    on_ready: Callable[[int], None] | None = field(default=None)
    cdi_directories: tuple[Path, ...] = cdi.DIRECTORIES

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ValueError("A node agent needs at least one node: give NodeOptions(name=...).")
        if len({node.name for node in self.nodes}) != len(self.nodes):
            raise ValueError("Two nodes of one agent have the same name.")
        if not self.state.is_absolute():
            raise ValueError(
                f"The state directory {self.state} is not an absolute path: the keeper outlives who named it."
            )
        if self.isolation not in ("auto", *TIERS):
            raise ValueError(f"There is no isolation {self.isolation!r}; there are auto, {', '.join(TIERS)}.")
