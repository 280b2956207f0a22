"""Nobody is evicted whose admission is on its way: the eviction is decided anew when that has landed."""

from __future__ import annotations

from roadstead.controllers.admission.decider import Decided
from roadstead.core.plan import Admit, Evict
from roadstead.kinds.names import JOBS
from roadstead.runtime.step import Action
from tests.controllers.queueing.lab import QueueLab, job


class SlowLab(QueueLab):
    """The first admission takes until `carry_on` is called."""

    def __init__(self) -> None:
        self.waiting: Action | None = None
        self.done: list[tuple[str, str]] = []
        super().__init__()

    def __enter__(self) -> SlowLab:
        return self

    def _act(self, action: Action) -> None:
        subject = action.subject
        assert isinstance(subject, Decided)
        if isinstance(subject.command, Admit | Evict):
            self.done.append((type(subject.command).__name__, subject.command.workload[1].split("-")[1]))
        if self.waiting is None and isinstance(subject.command, Admit):
            self.waiting = action
            return
        super()._act(action)

    def carry_on(self) -> None:
        assert self.waiting is not None
        super()._act(self.waiting)
        self._dirty = True


def test_an_eviction_waits_for_the_admission_that_it_would_undo() -> None:
    with SlowLab() as lab:
        lab.furnish(gpus=1, queue={"preemption": {"withinClusterQueue": "LowerPriority"}})
        lab.create(JOBS, job("low", gpus=1, seconds=30, labels={"kueue.x-k8s.io/priority-class": "low"}))
        lab.advance(1)
        lab.create(JOBS, job("high", gpus=1, seconds=3, labels={"kueue.x-k8s.io/priority-class": "high"}))
        lab.advance(2)
        assert lab.done == [("Admit", "low")]
        lab.carry_on()
        lab.advance(10)
        assert lab.done[:3] == [("Admit", "low"), ("Evict", "low"), ("Admit", "high")]
        assert lab.job_state("high") == "Complete"
        lab.advance(60)
        assert lab.job_state("low") == "Complete"
