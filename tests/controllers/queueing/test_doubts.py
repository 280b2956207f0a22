"""A decision whose answer was lost, which is not there when asked and lands later: nobody else may have got its place
meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.controllers.admission.decider import Decided
from roadstead.core.plan import Admit, BindPod
from roadstead.kinds.names import JOBS, PODS
from roadstead.kinds.object import Json
from roadstead.runtime.cluster import Outcome, Result, Write
from roadstead.runtime.step import Action
from tests.controllers.queueing.lab import QueueLab, job


class LateLab(QueueLab):
    """The last write of the first action of a kind gets no answer, and is carried out when `land` is called or the next
    action of that kind begins."""

    def __init__(self, kind: type, **others: Any) -> None:
        self.kind = kind
        self.late: Write | None = None
        self.landed: Outcome | None = None
        super().__init__(**others)

    def _act(self, action: Action) -> None:
        subject = action.subject
        assert isinstance(subject, Decided)
        if self.late is not None or not isinstance(subject.command, self.kind):
            if self.late is not None and isinstance(subject.command, self.kind):
                self.land()
            super()._act(action)
            return
        *first, self.late = action.step.writes
        outcomes = [self.write(write) for write in first]
        there = self._run(self.cluster.get(self.late.ref))
        self.decider.concluded(
            action, [*outcomes, Outcome(Result.CONFLICT, there, "not there after an unknown outcome")]
        )

    def land(self) -> Outcome:
        assert self.late is not None
        if self.landed is None:
            self.landed = self.write(self.late)
        return self.landed

    def __enter__(self) -> LateLab:
        return self

    def run_until_lost(self) -> None:
        while self.late is None:
            if not (self._deliver_one() or self._next_timer(None)):
                self._reconcile(*self.brain.ready.popleft())


def bare_pod(name: str) -> Json:
    requests = {"cpu": "4"}
    spec = {"containers": [{"name": "main", "image": "none", "resources": {"requests": requests, "limits": requests}}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("lands_at", ["at once", "when the next is decided"])
def test_an_admission_in_doubt_keeps_its_place_until_it_cannot_land(lands_at: str) -> None:
    with LateLab(Admit) as lab:
        lab.furnish(gpus=1, quota={"cpu": "8", "nvidia.com/gpu": "8"})
        lab.create(JOBS, job("first", gpus=1, seconds=3))
        lab.run_until_lost()
        if lands_at == "at once":
            lab.land()
        lab.create(JOBS, job("second", gpus=1, seconds=3, priority="high"))
        for _ in range(12):
            lab.advance(1)
            lab.check_devices()
        assert lab.land().is_done is (lands_at == "at once")
        assert [lab.job_state(name) for name in ("first", "second")] == ["Complete", "Complete"]


@pytest.mark.parametrize("lands_at", ["at once", "when the next is decided"])
def test_a_binding_in_doubt_keeps_its_node_until_it_cannot_land(lands_at: str) -> None:
    with LateLab(BindPod) as lab:
        lab.furnish()
        lab.create(PODS, bare_pod("first"))
        lab.run_until_lost()
        if lands_at == "at once":
            lab.land()
        lab.create(PODS, bare_pod("second"))
        lab.advance(5)
        assert lab.land().is_done is (lands_at == "at once")
        assert len([pod for pod in lab.all(PODS) if pod["spec"].get("nodeName")]) == 1
