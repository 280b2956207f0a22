"""How many pods each DeviceTaintRule made go, since the controller started: what its status tells, and nothing rests
on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from roadstead.kinds.names import PODS
from roadstead.kinds.object import Object
from roadstead.kinds.views.pod import PodView
from roadstead.runtime.step import Key, Read


class RuleId(NamedTuple):
    """A rule, and no other of the same name."""

    name: str
    uid: str


@dataclass(slots=True)
class _Count:
    uid: str
    going: dict[str, Key] = field(default_factory=dict)
    """Pods, by uid, that were decided to go."""
    gone: int = 0


class Tally:
    """A pod counts once it is gone or on its way, not when that was decided: the write may fail."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def decided(self, rule: RuleId, pod: Object) -> None:
        """The pod is to go because of this rule."""
        count = self._counts.get(rule.name)
        if count is None or count.uid != rule.uid:
            count = self._counts[rule.name] = _Count(rule.uid)
        count.going[pod.meta.uid] = pod.key

    def stays(self, pod: Object) -> None:
        """The pod need not go any more."""
        for count in self._counts.values():
            count.going.pop(pod.meta.uid, None)

    def gone(self, rule: RuleId, read: Read) -> tuple[int, bool]:
        """How many pods went, and are others still to? O(pods that were to go when this was last asked)."""
        count = self._counts.get(rule.name)
        if count is None or count.uid != rule.uid:
            return 0, False
        for uid, key in list(count.going.items()):
            pod = read.get(PODS, *key)
            if pod is None or pod.meta.uid != uid or pod.meta.deletion_timestamp is not None:
                del count.going[uid]
                count.gone += 1
            elif pod.view(PodView).has_ended:
                del count.going[uid]
        return count.gone, bool(count.going)

    def forget(self, name: str) -> None:
        """There is no such rule any more."""
        self._counts.pop(name, None)

    def __len__(self) -> int:
        return len(self._counts)
