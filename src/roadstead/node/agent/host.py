"""One node as its workers see it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roadstead.kinds.object import Object
from roadstead.node.agent.claims import Claims
from roadstead.node.agent.pod_state import Backoff
from roadstead.node.agent.profiles import Profile
from roadstead.node.agent.runtimes import Runtime
from roadstead.node.agent.views import Pod
from roadstead.runtime.cluster import Cluster
from roadstead.runtime.step import Note


@dataclass(slots=True, eq=False)
class Host:
    name: str
    state: Path
    cluster: Cluster
    runtime: Runtime
    profile: Profile
    allocatable: Mapping[str, str]
    tier: str
    inherited: Mapping[str, str]
    backoff: Backoff
    is_simulated: bool
    now: Callable[[], int]
    record: Callable[[Note], None]
    known_pods: Callable[[str], Sequence[Pod]]
    """Pods of a namespace, on every node, as far as the agent has seen them."""
    addresses: Container[str]
    """Addresses of pods on all nodes of this agent."""
    address: str = "127.0.0.1"
    """The machine's own."""
    gives_devices: bool = False
    """Pods that ask for devices and name none get free ones here."""
    claims: Claims = field(default_factory=Claims)

    def note(self, about: Object, kind: str, reason: str, message: str) -> None:
        self.record(Note(about, kind, reason, message))

    def pods_in(self, namespace: str) -> Sequence[Pod]:
        return self.known_pods(namespace)
