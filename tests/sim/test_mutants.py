"""Every judge can say no: a mutant of the production code for each, found within a few seeds (or by a story made for
it, where what it breaks is rarely met).

A judge that no mutant turns red might as well not be there. Mutants are small: a precondition left out, something not
given back, a check forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.controllers import binder
from roadstead.controllers.admission import AdmissionDecider, writes
from roadstead.controllers.admission.dependents import Dependents
from roadstead.controllers.garbage import GarbageCollector
from roadstead.controllers.job import counting, sync
from roadstead.controllers.job.controller import JobController
from roadstead.controllers.workload import build, reconcile
from roadstead.core.fleet.fleet import Fleet
from roadstead.core.plan import Verdicts
from roadstead.core.queueing.standings import Standings
from roadstead.core.quota.tree import QuotaNode, QuotaTree
from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.model.facts import Gone
from roadstead.model.nodes import Node
from roadstead.model.workload import Workload
from roadstead.node.agent.heartbeat import Heartbeat
from roadstead.node.agent.occupancy import Occupancy
from roadstead.runtime.expectations import Expectations
from roadstead.runtime.informer import Informer
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import NOTHING, Key, Read, Step
from roadstead.runtime.workqueue import WorkQueue
from roadstead.sim.crashes import a_job, story
from roadstead.sim.plan import Act, Plan, draw
from roadstead.sim.plan.faults import Blow
from roadstead.sim.simulation import Simulation
from roadstead.sim.verdict import try_plan

MOST_SEEDS = 40

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]


def quota_is_generous(patch: Patch) -> None:
    """The tree believes that there is always a little more."""
    real = QuotaNode.available
    patch.setattr(QuotaNode, "available", lambda self, slot: real(self, slot) + 2000)


def the_fleet_forgets(patch: Patch) -> None:
    """Places of workloads are not entered: the next one gets them, too."""
    real = Fleet.hold

    def hold(self: Fleet, holder: str, placement: Any) -> None:
        if not holder.startswith("workload:"):
            real(self, holder, placement)

    patch.setattr(Fleet, "hold", hold)
    patch.setattr(Fleet, "release", lambda self, holder: None)


def members_are_given_twice(patch: Patch) -> None:
    """The binder does not look who holds a member already."""

    def assign(waiting: Sequence[Object], *_: Any) -> list[tuple[Object, int]]:
        return [(pod, 0) for pod in waiting if binder._wants_node(pod)]

    patch.setattr(binder, "assign_members", assign)


def a_placement_lacks_its_last_member(patch: Patch) -> None:
    """Part of a gang."""
    real = writes.placement_object

    def placement_object(workload: Object, placement: Any) -> Json:
        value = real(workload, placement)
        for pod_set in value["spec"]["podSets"]:
            pod_set["members"] = pod_set["members"][: max(1, len(pod_set["members"]) - 1)]
        return value

    patch.setattr(writes, "placement_object", placement_object)


def pods_are_made_blindly(patch: Patch) -> None:
    """The double start: names that do not follow from the owner, and a view that may lack one's own writes."""
    made = iter(range(1_000_000))
    patch.setattr(sync, "free_name", lambda view, place, attempt, taken: f"{view.metadata.name}-{next(made)}")
    patch.setattr(Expectations, "is_blocked", lambda self, waiter: False)


def successes_count_twice(patch: Patch) -> None:
    """A pod that is counted is counted once more."""
    real = counting.settle

    def settle(census: Any, status: Json) -> None:
        before = status.get("succeeded", 0)
        real(census, status)
        if status.get("succeeded", 0) > before:
            status["succeeded"] += 1

    patch.setattr(counting, "settle", settle)


def devices_are_claimed_by_nobody(patch: Patch) -> None:
    """A node starts a pod while the one before still has the device."""
    patch.setattr(Occupancy, "holder", lambda self, pod, by_claims=(): "")


def writes_are_acknowledged_early(patch: Patch) -> None:
    """Before the disk has them."""

    async def committed(self: Resources, pending: Any) -> None:
        pending.committed.add_done_callback(lambda done: done.exception())

    patch.setattr(Resources, "_committed", committed)


def versions_start_over(patch: Patch) -> None:
    """A restarted store counts from a little earlier."""
    real = Store.__init__

    def init(self: Store, *args: Any, **others: Any) -> None:
        real(self, *args, **others)
        self._last_issued = max(0, self._last_issued - 3)

    patch.setattr(Store, "__init__", init)


def quota_is_not_given_back(patch: Patch) -> None:
    """The forgotten release."""
    patch.setattr(QuotaTree, "remove", lambda self, node, usage: None)


def a_failed_command_is_not_forgotten(patch: Patch) -> None:
    """What could not be carried out stays assumed."""
    patch.setattr(Standings, "forget", lambda self, command: None)


def members_do_not_follow_their_placement(patch: Patch) -> None:
    """A pod whose Placement is gone speaks for itself only when it changes."""
    real = Dependents.follow

    def follow(self: Dependents, resource: Resource, *change: Any) -> None:
        if resource != PODS:
            real(self, resource, *change)

    patch.setattr(Dependents, "follow", follow)


def lists_remove_nothing(patch: Patch) -> None:
    """After a watch that broke, what vanished meanwhile is still shown."""
    real = Informer._changed

    def take(self: Informer, listing: Any) -> None:
        for obj in listing.items:
            known = self.cache.get(obj.key)
            if known is None or known.version != obj.version:
                real(self, obj.key, obj)
        self._version = listing.resource_version

    patch.setattr(Informer, "_take", take)


def failures_are_not_retried(patch: Patch) -> None:
    """A key that failed is dropped."""
    patch.setattr(WorkQueue, "add_after_failure", lambda self, key, at_least=0.0: None)


def nobody_says_why(patch: Patch) -> None:
    """Refusals are kept to oneself."""
    patch.setattr(AdmissionDecider, "_tell", lambda self, now: [])
    patch.setattr(AdmissionDecider, "why", lambda self, key, now: Verdicts(key, "", ()))


def garbage_stays(patch: Patch) -> None:
    """Dependents of what was deleted are left alone."""
    patch.setattr(GarbageCollector, "reconcile", lambda self, key, read, now: NOTHING)


def evictions_are_never_finished(patch: Patch) -> None:
    """An evicted Workload keeps what it holds."""
    patch.setattr(reconcile.WorkloadController, "_release", lambda self, *args: NOTHING)


def nodes_never_pause(patch: Patch) -> None:
    """A heart that races."""

    async def run(self: Heartbeat) -> None:
        while True:
            await self._try(self._renew)

    patch.setattr(Heartbeat, "run", run)


def a_controller_stumbles(patch: Patch) -> None:
    """A bug that is caught, logged, and tried again."""
    real = JobController.reconcile
    seen: list[Key] = []

    def stumble(self: JobController, key: Key, read: Read, now: int) -> Step:
        seen.append(key)
        if len(seen) == 5:
            raise ValueError("a bug")
        return real(self, key, read, now)

    patch.setattr(JobController, "reconcile", stumble)


def workloads_are_nonsense(patch: Patch) -> None:
    """A controller writes what the server refuses."""
    real = build.build_workload

    def nonsense(*args: Any) -> Json:
        value = real(*args)
        value["spec"]["podSets"][0]["count"] = -1
        return value

    patch.setattr(reconcile, "build_workload", nonsense)


def the_process_ends(patch: Patch) -> None:
    """The runner returns by itself."""

    async def unstick(self: Runner) -> None:
        await asyncio.sleep(12)
        raise RuntimeError("a bug that ends it all")

    patch.setattr(Runner, "_unstick", unstick)


def the_journal_forgets(patch: Patch) -> None:
    """What is taken back is not written down."""
    real = AdmissionDecider._give

    def give(self: AdmissionDecider, given: Any) -> None:
        real(self, given)
        if not isinstance(given, Workload | Node | Gone):
            self._given.pop()

    patch.setattr(AdmissionDecider, "_give", give)


HASTY = [
    a_job("hasty", 30.0, gpus=2, run_for=45.0, grace=0, stubborn=True),
    a_job("next", 31.0, gpus=2),
]
"""One that is gone from the API before its process is gone from the node, and one that waits for its devices."""

MUTANTS: Sequence[tuple[Any, ...]] = (
    (quota_is_generous, "quota"),
    (the_fleet_forgets, "places"),
    (members_are_given_twice, "pods"),
    (a_placement_lacks_its_last_member, "pods"),
    (pods_are_made_blindly, "jobs"),
    (successes_count_twice, "jobs"),
    (
        devices_are_claimed_by_nobody,
        "machines",
        story(more_acts=[Act(33.0, "delete", "hasty", "Background")], more_jobs=HASTY),
    ),
    (writes_are_acknowledged_early, "versions"),
    (versions_start_over, "versions"),
    (quota_is_not_given_back, "digest"),
    (a_failed_command_is_not_forgotten, "end", draw(42)),
    (members_do_not_follow_their_placement, "digest", story(more_acts=[Act(3.0, "lose-place", "gang")])),
    (lists_remove_nothing, "caches", story(blows=[Blow(19.5, "expire", seconds=12.0)])),
    (failures_are_not_retried, "end"),
    (nobody_says_why, "end"),
    (garbage_stays, "end"),
    (evictions_are_never_finished, "end"),
    (nodes_never_pause, "restless"),
    (a_controller_stumbles, "log"),
    (workloads_are_nonsense, "invalid"),
    (the_process_ends, "processes"),
    (the_journal_forgets, "replay"),
)


@pytest.mark.slow
@pytest.mark.parametrize("row", MUTANTS, ids=[row[0].__name__ for row in MUTANTS])
def test_a_mutant_is_found(row: tuple[Any, ...], monkeypatch: Patch) -> None:
    mutant: Mutant = row[0]
    judge: str = row[1]
    plans: Sequence[Plan] = row[2:]
    assert not any(try_plan(plan).complaints for plan in plans), "the story is to be good without the mutant"
    mutant(monkeypatch)
    found: set[str] = set()
    for plan in (*plans, *map(draw, range(1, MOST_SEEDS + 1))):
        found |= {complaint.partition(":")[0] for complaint in try_plan(plan).complaints}
        if judge in found:
            return
    raise AssertionError(f"{judge} has nothing to say about it in {MOST_SEEDS} seeds; these did: {sorted(found)}")


def test_every_judge_has_a_mutant() -> None:
    """The names that judges complain under, as `Simulation` wires them."""
    names = {judge.name for judge in Simulation.JUDGES} | Simulation.OTHER_JUDGES
    assert {row[1] for row in MUTANTS} == names
