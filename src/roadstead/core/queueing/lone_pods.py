"""Pods that no queue admits: those that occupy a node, and those that want one."""

from __future__ import annotations

from roadstead.core.plan import BindPod
from roadstead.core.quota.holds import Holds
from roadstead.core.undo import UndoLog, put
from roadstead.model.workload import Member, Pod


class LonePods:
    """Waiting pods, and bindings assumed but not yet seen as facts. Undoable."""

    def __init__(self, undo: UndoLog, holds: Holds) -> None:
        self._undo = undo
        self._holds = holds
        self.waiting: dict[tuple[str, str], Pod] = {}
        self.bound: dict[tuple[str, str], BindPod] = {}

    def apply(self, before: Pod | None, pod: Pod) -> bool:
        """Take a pod's facts; True if something became free."""
        held = self._holds.pod_member(pod.key) if before is not None else None
        freed = before is not None and self.remove(before, keep_assumed=not pod.node)
        if pod.node:
            # What its claims were given by us stays taken until they say so themselves.
            claims = held.claims if held is not None and held.node == pod.node else ()
            self._holds.hold_pod(pod, Member(pod.node, pod.devices, claims))
        elif pod.key not in self.bound:
            put(self._undo, self.waiting, pod.key, pod)
        return freed

    def remove(self, pod: Pod, *, keep_assumed: bool = False) -> bool:
        """The pod is gone, or its facts are about to be replaced; True if something became free."""
        put(self._undo, self.waiting, pod.key, None)
        frees = bool(pod.node) or (pod.key in self.bound and not keep_assumed)
        if frees:
            self._holds.release_pod(pod.key)
        if not keep_assumed:
            put(self._undo, self.bound, pod.key, None)
        return frees

    def assume(self, pod: Pod | None, command: BindPod) -> None:
        """Count a binding as done, unless the pod is gone, another one, or bound already."""
        if pod is None or pod.uid != command.uid or pod.node or command.pod in self.bound:
            return
        put(self._undo, self.waiting, command.pod, None)
        put(self._undo, self.bound, command.pod, command)
        self._holds.hold_pod(pod, command.member)

    def forget(self, pod: Pod | None, command: BindPod) -> None:
        """Take back a binding that could not be carried out."""
        if self.bound.get(command.pod) != command or pod is None:
            return
        put(self._undo, self.bound, command.pod, None)
        self._holds.release_pod(command.pod)
        put(self._undo, self.waiting, command.pod, pod)
