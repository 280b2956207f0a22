"""Who on this node may still use which devices, and who waits for that to end."""

from __future__ import annotations

from collections.abc import Callable

from roadstead.node.agent import devices
from roadstead.node.agent.views import Pod


class Claims:
    """Pods of one node by uid: those with a process that may still use their devices, and those that wait for one of these."""

    def __init__(self) -> None:
        self._held: dict[str, Pod] = {}
        self._waiting: dict[str, Callable[[], None]] = {}

    def hold(self, pod: Pod) -> None:
        """From now on a process of the pod may use its devices."""
        self._held[pod.uid] = pod
        self._waiting.pop(pod.uid, None)

    def holder(self, pod: Pod) -> str:
        """Name of another pod that still has one of the pod's devices, or ""."""
        return devices.holder(pod, self._held.values())

    def busy(self) -> set[str]:
        """Names of the devices that are in use. O(pods that hold some)."""
        return {name for pod in self._held.values() for name in devices.assigned(pod)}

    def wait(self, pod: Pod, wake: Callable[[], None]) -> None:
        """Call `wake` once, when some pod's processes are over."""
        self._waiting[pod.uid] = wake

    def release(self, uid: str) -> None:
        """The pod's processes are over: whoever waits for its devices may look again."""
        self._waiting.pop(uid, None)
        if self._held.pop(uid, None) is None:
            return
        waiting, self._waiting = self._waiting, {}
        for wake in waiting.values():
            wake()
