"""Who on this node may still use which devices, and who waits for that to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from roadstead.node.agent import devices
from roadstead.node.agent.views import Pod


class Use(NamedTuple):
    """A thing of the machine in use, or a part of it. `owner`: uid of the pod or the claim that has it; pods that share
    a claim share its devices."""

    device: str
    part: str
    """"" = the whole."""
    owner: str

    def excludes(self, other: Use) -> bool:
        """Can the two not be at once? Whether parts fit beside each other is what their counters say, not asked
        here."""
        return (
            self.device == other.device
            and self.owner != other.owner
            and (not self.part or not other.part or self.part == other.part)
        )


class _Holding(NamedTuple):
    name: str
    uses: frozenset[Use]


def _uses(pod: Pod, by_claims: Iterable[Use]) -> frozenset[Use]:
    return frozenset([Use(name, "", pod.uid) for name in devices.assigned(pod)]) | frozenset(by_claims)


class Occupancy:
    """Pods of one node by uid: those with a process that may still use their devices, and those that wait for one of
    these.

    A pod's devices are those that its binding names; `by_claims` those of its claims.
    """

    def __init__(self) -> None:
        self._held: dict[str, _Holding] = {}
        self._waiting: dict[str, Callable[[], None]] = {}

    def hold(self, pod: Pod, by_claims: Iterable[Use] = ()) -> None:
        """From now on a process of the pod may use its devices."""
        self._held[pod.uid] = _Holding(pod.metadata.name, _uses(pod, by_claims))
        self._waiting.pop(pod.uid, None)

    def holder(self, pod: Pod, by_claims: Iterable[Use] = ()) -> str:
        """Name of another pod that still has one of the pod's devices, or "". O(devices of the pod x devices held)."""
        wanted = _uses(pod, by_claims)
        if not wanted:
            return ""
        for uid, (name, held) in self._held.items():
            if uid != pod.uid and any(one.excludes(other) for one in wanted for other in held):
                return name
        return ""

    def busy(self) -> set[str]:
        """Names of the devices that are in use, or parts of them. O(pods that hold some)."""
        return {use.device for holding in self._held.values() for use in holding.uses}

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
