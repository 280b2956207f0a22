"""One node as its workers see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roadstead.kinds.object import Object
from roadstead.node.agent import devices
from roadstead.node.agent.pod_state import Backoff
from roadstead.node.agent.profiles import Profile
from roadstead.node.agent.runtimes import Runtime
from roadstead.node.agent.views import Pod
from roadstead.node.agent.worker import Worker
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
    addresses: Callable[[], frozenset[str]]
    """Addresses of pods on all nodes of this agent."""
    workers: dict[str, Worker] = field(default_factory=dict)
    """By pod uid."""

    def note(self, about: Object, kind: str, reason: str, message: str) -> None:
        self.record(Note(about, kind, reason, message))

    def pods_in(self, namespace: str) -> Sequence[Pod]:
        return self.known_pods(namespace)

    def taken_addresses(self) -> frozenset[str]:
        return self.addresses()

    def device_holder(self, asking: Worker, pod: Pod) -> str:
        """Name of another pod that still has one of the pod's devices, or ""."""
        others = (worker for worker in self.workers.values() if worker is not asking and worker.holds_devices)
        return devices.holder(pod, ((other.last_pod, True) for other in others if other.last_pod is not None))

    def released(self, uid: str) -> None:
        """A pod's processes are over: whoever waits for its devices may go on."""
        released = self.workers.get(uid)
        if released is None or not released.holds_devices:
            return
        released.holds_devices = False
        for worker in self.workers.values():
            if worker is not released and worker.is_held:
                worker.wake()
