"""One node as its workers see it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roadstead.kinds.object import Object
from roadstead.node.agent.claims import cdi
from roadstead.node.agent.hardware import Hardware
from roadstead.node.agent.health import Health
from roadstead.node.agent.occupancy import Occupancy
from roadstead.node.agent.pod_state import Backoff
from roadstead.node.agent.profiles import Profile
from roadstead.node.agent.runtimes import Runtime
from roadstead.node.agent.views import Pod
from roadstead.node.agent.volumes.upkeep import ReadObjects
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
    api_server: Callable[[], str] = str
    """https://HOST:PORT at which pods reach the API server now; "" if there is none."""
    hardware: Hardware = field(default_factory=lambda: Hardware(""))
    health: Health = field(default_factory=Health)
    cdi_directories: Sequence[Path] = cdi.DIRECTORIES
    """Where DRA drivers leave what they prepared."""
    occupancy: Occupancy = field(default_factory=Occupancy)
    objects: ReadObjects = field(init=False)
    """What the volumes of all pods here were last made from."""

    def __post_init__(self) -> None:
        self.objects = ReadObjects(self.cluster, self.now)

    def note(self, about: Object, kind: str, reason: str, message: str) -> None:
        self.record(Note(about, kind, reason, message))

    def pods_in(self, namespace: str) -> Sequence[Pod]:
        return self.known_pods(namespace)
