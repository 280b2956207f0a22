"""Why one workload (or pod of no queue) waits: evaluated anew on a trial, whether its turn has come or not."""

from __future__ import annotations

from roadstead.core.cycle import cycle
from roadstead.core.entry import Outcome
from roadstead.core.explain.entries import explained, feud_stopped
from roadstead.core.flavors.assignment import Mode
from roadstead.core.memory import Place
from roadstead.core.nominate import nominate
from roadstead.core.plan import Requeue, Verdicts
from roadstead.core.queueing.standing import Standing
from roadstead.core.queueing.turns import head_of, in_order
from roadstead.core.quota.table import Inactive, QueueTable
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.queues import StopPolicy
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.workload import WorkloadKey, WorkloadState

SECOND = 1_000_000_000


def why(world: World, key: WorkloadKey, now: int, rules: Rules) -> Verdicts:
    """Everything that keeps the workload (or bare pod) from starting, the binding refusal first; none if it holds its
    place.

    A workload behind the head of its queue gets BehindHead first and then what would bind it if it were the head.
    KeyError if there is neither a workload nor a waiting pod of that name. The world is left as found. O(one cycle + n
    log n of its queue).
    """
    standing = world.workloads.get(key)
    if standing is None:
        return _why_pod(world, key, now, rules)
    fact = standing.fact
    with world.trial():
        refusals = _without_turn(world, standing, now)
        if refusals is not None:
            return Verdicts(key, fact.uid, refusals, Requeue.PARKED)
        table = world.tables()[standing.cluster_queue]
        pending = world.pending_queue(table.name)
        before: tuple[Refusal, ...] = ()
        if standing.place is Place.HEAP:
            if head_of(world, pending, table.fact, rules) is standing:
                return _as_head(world, standing, now, rules)
            line = in_order(world, pending, table.fact, rules)
            at = next(i for i, other in enumerate(line) if other is standing)
            before = (
                Refusal(
                    Code.BEHIND_HEAD, Verdict.WAIT, Level.QUEUE, needed=at, subject=table.name,
                    blockers=tuple(other.key for other in line[: min(at, 1)]),
                ),
            )  # fmt: skip
        found = _alone(world, table, standing, rules)
        if not before and not found:
            before = (Refusal(Code.NOT_EVALUATED, Verdict.WAIT, Level.QUEUE, subject=table.name),)
        return Verdicts(key, fact.uid, (*before, *found), Requeue.HEAP if before else Requeue.PARKED)


def as_if_first(world: World, key: WorkloadKey, now: int, rules: Rules) -> tuple[Refusal, ...]:
    """What would keep the workload from starting if it were its turn, the binding refusal first; () if nothing would.
    KeyError if there is none of that name. The world is left as found. O(flavors), more where preemption looks for
    victims."""
    standing = world.workloads[key]
    with world.trial():
        refusals = _without_turn(world, standing, now)
        if refusals is not None:
            return refusals
        return _alone(world, world.tables()[standing.cluster_queue], standing, rules)


def _without_turn(world: World, standing: Standing, now: int) -> tuple[Refusal, ...] | None:
    """Reasons for which no cycle would ever look at it, as it stands now; None if one would."""
    fact = standing.fact
    if standing.hold is not None or fact.state is WorkloadState.FINISHED:
        return ()
    if not fact.active:
        return (Refusal(Code.WORKLOAD_INACTIVE, Verdict.ASK, Level.WORKLOAD),)
    if fact.kept_out and fact.kept_out != Code.ADMISSION_GATED:
        return (Refusal(Code.ON_HOLD, Verdict.WAIT, Level.WORKLOAD, subject=fact.kept_out),)
    local = world.local_queue(fact.namespace, fact.queue)
    if local is None:
        return (Refusal(Code.QUEUE_NOT_FOUND, Verdict.CHANGE, Level.QUEUE, subject=fact.queue),)
    table = world.tables().get(local.cluster_queue)
    if table is None:
        return (Refusal(Code.CLUSTER_QUEUE_NOT_FOUND, Verdict.ASK, Level.QUEUE, subject=local.cluster_queue),)
    found = _stops(table, local.name if local.stop is not StopPolicy.NONE else "")
    if found:
        return found
    if not world.namespace_matches(table.fact, fact.namespace):
        return (Refusal(Code.NAMESPACE_MISMATCH, Verdict.ASK, Level.QUEUE, subject=table.name),)
    if fact.kept_out:
        return (Refusal(Code.ADMISSION_GATED, Verdict.WAIT, Level.WORKLOAD, subject=fact.gated_by),)
    if fact.requeue_blocked or fact.requeue_at > now:
        seconds = max(0, -(-(fact.requeue_at - now) // SECOND))
        return (Refusal(Code.BACKOFF, Verdict.WAIT, Level.WORKLOAD, needed=seconds, subject=fact.evicted),)
    return None


def _stops(table: QueueTable, stopped_local_queue: str) -> tuple[Refusal, ...]:
    if stopped_local_queue:
        return (
            Refusal(
                Code.QUEUE_STOPPED, Verdict.ASK, Level.QUEUE, subject=stopped_local_queue, counts=(("LocalQueue", 1),)
            ),
        )
    if Inactive.STOPPED in table.inactive:
        return (Refusal(Code.QUEUE_STOPPED, Verdict.ASK, Level.QUEUE, subject=table.name),)
    if table.inactive:
        causes = tuple((str(reason), 1) for reason in table.inactive)
        return (Refusal(Code.CLUSTER_QUEUE_INACTIVE, Verdict.ASK, Level.QUEUE, subject=table.name, counts=causes),)
    return ()


def _as_head(world: World, standing: Standing, now: int, rules: Rules) -> Verdicts:
    """It is its turn: what the next cycle will say."""
    for verdicts in cycle(world, now, rules).verdicts:
        if verdicts.workload == standing.key and verdicts.uid == standing.fact.uid:
            return verdicts
    waits = Refusal(Code.NOT_EVALUATED, Verdict.WAIT, Level.QUEUE, subject=standing.cluster_queue)
    return Verdicts(standing.key, standing.fact.uid, (waits,))


def _alone(world: World, table: QueueTable, standing: Standing, rules: Rules) -> tuple[Refusal, ...]:
    """What would bind it if it were the head; flavors are scanned from the first one."""
    entry = nominate(world, table, standing, rules, afresh=True)
    if entry.assignment is None or entry.outcome is not Outcome.GENERIC:
        return explained(world, entry)
    if entry.assignment.mode is Mode.FIT:
        return ()
    entry.refusals = list(entry.assignment.refusals)
    if entry.targets:
        victims = tuple(target.standing.key for target in entry.targets)
        entry.refusals.insert(
            0, Refusal(Code.PENDING_PREEMPTION, Verdict.WAIT, Level.QUEUE, needed=len(victims), blockers=victims)
        )
    elif entry.assignment.mode is Mode.PREEMPT:
        entry.refusals.append(Refusal(Code.NO_PREEMPTION_CANDIDATES, Verdict.WAIT, Level.QUEUE, subject=table.name))
    barred = tuple(sorted(world.feuds.barred(standing.key, rules.feud_turns)))
    if barred and not entry.targets:
        entry.refusals.append(feud_stopped(entry, barred, rules))
    return explained(world, entry)


def _why_pod(world: World, key: tuple[str, str], now: int, rules: Rules) -> Verdicts:
    pod = world.waiting_pods.get(key)
    if pod is None:
        if key in world.bound_pods:
            return Verdicts(key, world.bound_pods[key].uid, ())
        raise KeyError(
            f"There is neither a workload nor a waiting pod {key[0]}/{key[1]}. List them with `roadstead queue`."
        )
    for verdicts in cycle(world, now, rules).verdicts:
        if verdicts.workload == key and verdicts.uid == pod.uid:
            return verdicts
    return Verdicts(key, pod.uid, ())
