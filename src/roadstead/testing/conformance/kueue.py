"""The `kueue` suite: scenarios recorded from the real Kueue scheduler, replayed against `World` and `cycle`.

The driver stands in for everything around the core: it applies objects as facts, runs one cycle after the other,
carries out commands at once, and gives parked workloads their chances exactly when the recording harness did (the
README that came with the recordings, "A settle, exactly"). Lines without `expected` are scenarios in which Kueue never
settles: reported as noticed or not, never counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.departures import drain
from roadstead.core.explain.conditions import pending_message
from roadstead.core.memory import Moved
from roadstead.core.plan import Admit, Evict, EvictionReason, Plan
from roadstead.core.preemption.fair import FINAL_SHARE, INITIAL_SHARE
from roadstead.core.rules import Rules
from roadstead.core.settle import MAX_IDLE_CYCLES
from roadstead.core.world import World
from roadstead.ingest.registry import fact_of_dict
from roadstead.model.facts import Gone
from roadstead.model.nodes import Node
from roadstead.model.queues import ClusterQueue, Cohort, LocalQueue, Namespace, ResourceFlavor, StopPolicy, Topology
from roadstead.model.workload import PodSetAssignment, Workload, WorkloadKey, WorkloadState
from roadstead.testing.conformance import Report, judge, records

BOTH_STRATEGIES: Final = (FINAL_SHARE, INITIAL_SHARE)
MAX_CYCLES: Final = 800
SECOND: Final = 1_000_000_000
START: Final = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z
KIND_ORDER: Final = ("Namespace", "Topology", "Node", "ResourceFlavor", "Cohort", "ClusterQueue", "LocalQueue")
NOUNS: Final[Mapping[str, Any]] = {
    "Namespace": Namespace, "Topology": Topology, "Node": Node, "ResourceFlavor": ResourceFlavor, "Cohort": Cohort,
    "ClusterQueue": ClusterQueue, "LocalQueue": LocalQueue,
}  # fmt: skip
STOPPED: Final = {
    EvictionReason.CLUSTER_QUEUE_STOPPED.value: ClusterQueue,
    EvictionReason.LOCAL_QUEUE_STOPPED.value: LocalQueue,
}


class NeverSettles(Exception):
    """The scenario goes on evicting and admitting: so many cycles were run."""


@dataclass(slots=True)
class _Round:
    number: int = 0
    admissions: list[dict[str, Any]] = field(default_factory=list)
    preemptions: list[dict[str, Any]] = field(default_factory=list)


class Player:
    """Plays one scenario; `settles()` gives the results in the recorded form."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        config = scenario.get("config") or {}
        fair = tuple(config.get("preemptionStrategies") or BOTH_STRATEGIES) if config.get("fairSharing") else ()
        self.rules = Rules(place_all=False, beside_victims=False, fair_sharing=fair)
        self.scenario = scenario
        self.world = World()
        self.now = START
        self.facts: dict[WorkloadKey, Workload] = {}
        self.messages: dict[WorkloadKey, str] = {}
        self.evictions: list[dict[str, Any]] = []
        self.loops = False
        """A circle of preemptions was noticed and stopped."""
        self.world.apply(Namespace("default", (("kubernetes.io/metadata.name", "default"),)))

    def settles(self) -> list[dict[str, Any]]:
        """The result of every settle. NeverSettles if one does not end."""
        rank = {kind: i for i, kind in enumerate(KIND_ORDER)}
        self._apply(sorted(self.scenario["objects"], key=lambda o: rank.get(o["kind"], len(rank))))
        results = []
        for number, step in enumerate(self.scenario["steps"]):
            self.now = max(self.now, START + step["t"] * SECOND)
            if step.get("settle"):
                results.append(self._settle(number))
            else:
                self._do(step)
                self._evict_for_stops()
        return results

    # --- steps

    def _do(self, step: Mapping[str, Any]) -> None:
        for value in step.get("create", ()):
            self._create(value)
        self._apply(step.get("apply", ()))
        for ref in step.get("remove", ()):
            namespaced = ref["kind"] == "LocalQueue"
            key = (ref.get("namespace") or "default" if namespaced else "", ref["name"])
            self.world.apply(Gone(NOUNS[ref["kind"]], key))
        for name in step.get("finish", ()):
            self._change(name, state=WorkloadState.FINISHED)
        for name in step.get("delete", ()):
            self.facts.pop(_key(name))
            self.world.apply(Gone(Workload, _key(name)))
        for name in step.get("deactivate", ()):
            self._change(name, active=False)
        for name in step.get("activate", ()):
            self._change(name, active=True, requeue_blocked=False)
        for name, done in (step.get("reclaimable") or {}).items():
            self._change(name, reclaimable=tuple(sorted(done.items())))

    def _create(self, value: Mapping[str, Any]) -> None:
        fact = fact_of_dict(dict(value))
        assert isinstance(fact, Workload)
        self._put(replace(fact, uid=_name(fact.key)))

    def _apply(self, objects: Iterable[Mapping[str, Any]]) -> None:
        for value in objects:
            fact = fact_of_dict(dict(value))
            if fact is not None:
                self.world.apply(fact)
        for fact in list(self.facts.values()):
            if fact.requeue_blocked and fact.evicted in STOPPED and not self._is_stopped(fact):
                self._put(replace(fact, requeue_blocked=False))

    def _is_stopped(self, fact: Workload) -> bool:
        """Is the queue whose stop evicted this workload still stopped?"""
        local = self.world.local_queue(fact.namespace, fact.queue)
        if local is None:
            return True
        if STOPPED[fact.evicted] is LocalQueue:
            return local.stop is not StopPolicy.NONE
        queue: ClusterQueue | None = self.world.facts[ClusterQueue].get(("", local.cluster_queue))
        return queue is None or queue.stop is not StopPolicy.NONE

    def _put(self, fact: Workload) -> None:
        self.facts[fact.key] = fact
        self.world.apply(fact)

    def _change(self, name: str, **changes: Any) -> None:
        fact = self.facts[_key(name)]
        self._put(replace(fact, **changes))

    # --- settling

    def _evict_for_stops(self) -> None:
        commands = drain(self.world)
        self.world.assume(Plan(commands=commands))
        for command in commands:
            self._carry_out_eviction(command)
        for fact in list(self.facts.values()):  # Kueue's workload controller marks inactive ones, holding quota or not
            if not fact.active and not fact.evicted and fact.state is WorkloadState.PENDING:
                self.evictions.append({"workload": _name(fact.key), "reason": EvictionReason.DEACTIVATED.value})
                self._put(replace(fact, evicted=EvictionReason.DEACTIVATED.value, requeue_blocked=True))

    def _settle(self, number: int) -> dict[str, Any]:
        world, round_ = self.world, _Round()
        world.unpark(self.now)
        cycles = idle = 0
        while True:
            if idle >= MAX_IDLE_CYCLES or not any(pending.active_count for pending in world.pending.values()):
                if not world.unpark_requested or not world.unpark(self.now):
                    break
                idle = 0
                continue
            cycles += 1
            if cycles > MAX_CYCLES:
                raise NeverSettles(f"{MAX_CYCLES} cycles and no end")
            plan = cycle(world, self.now, self.rules)
            self._carry_out(plan, round_)
            moved = any(isinstance(item, Moved) for item in plan.memory)
            idle = 0 if plan.commands or moved else idle + 1
            self.now += SECOND
        turns = self.rules.feud_turns
        self.loops = self.loops or any(world.feuds.barred(key, turns) for key in world.workloads)
        result = {
            "step": number,
            "workloads": {_name(key): self._state(key) for key in sorted(self.facts)},
            "admissions": round_.admissions,
            "preemptions": round_.preemptions,
            "evictions": sorted(self.evictions, key=lambda e: str(e["workload"])),
        }
        self.evictions = []
        return result

    def _carry_out(self, plan: Plan, round_: _Round) -> None:
        self.world.assume(plan)
        if plan.commands:
            round_.number += 1
        for verdicts in plan.verdicts:
            self.messages[verdicts.workload] = pending_message(verdicts)
        admitted, preempted = [], []
        for command in plan.commands:
            if isinstance(command, Admit):
                admitted.append({"round": round_.number, "workload": _name(command.workload)})
                fact = self.facts[command.workload]
                self._put(
                    replace(
                        fact, state=WorkloadState.RESERVED, admission=command.admission, placement=command.placement,
                        reserved_at=self.now, admitted=True, evicted="",
                    )
                )  # fmt: skip
            elif isinstance(command, Evict):
                if command.preemptor is not None:
                    preempted.append(
                        {
                            "round": round_.number,
                            "preemptor": _name(command.preemptor),
                            "victim": _name(command.workload),
                            "reason": command.preemption_reason,
                        }
                    )
                self._carry_out_eviction(command)
        round_.admissions += sorted(admitted, key=lambda a: str(a["workload"]))
        round_.preemptions += sorted(preempted, key=lambda p: (str(p["preemptor"]), str(p["victim"])))

    def _carry_out_eviction(self, command: Evict) -> None:
        preempted = command.reason is EvictionReason.PREEMPTED
        if not preempted:
            self.evictions.append({"workload": _name(command.workload), "reason": command.reason.value})
        fact = self.facts[command.workload]
        self._put(
            replace(
                fact, state=WorkloadState.PENDING, admission=None, placement=None, reserved_at=0, admitted=False,
                evicted=command.reason.value, requeue_blocked=not preempted,
            )
        )  # fmt: skip

    def _state(self, key: WorkloadKey) -> dict[str, Any]:
        fact = self.facts[key]
        if fact.state is WorkloadState.FINISHED:
            return {"state": "Finished"}
        if fact.admission is not None:
            return {
                "state": "Admitted",
                "clusterQueue": fact.admission.cluster_queue,
                "podSets": [_pod_set(assigned) for assigned in fact.admission.pod_sets],
            }
        state: dict[str, Any] = {"state": "Pending" if fact.active else "Inactive"}
        if fact.evicted:
            state["evicted"] = fact.evicted
        if self.messages.get(key):
            state["message"] = self.messages[key]
        return state


def _pod_set(assigned: PodSetAssignment) -> dict[str, Any]:
    value: dict[str, Any] = {"name": assigned.name, "count": assigned.count, "flavors": dict(assigned.flavors)}
    if assigned.topology is not None:
        value["topology"] = {
            "levels": list(assigned.topology.levels),
            "domains": [{"values": list(values), "count": count} for values, count in assigned.topology.domains],
        }
    return value


def _key(name: str) -> WorkloadKey:
    namespace, _, rest = name.rpartition("/")
    return (namespace or "default", rest)


def _name(key: WorkloadKey) -> str:
    return key[1] if key[0] == "default" else f"{key[0]}/{key[1]}"


def run(files: Sequence[Path]) -> Report:
    """Replay every record of the files and judge the outcome as the recordings' own judge does."""
    report = Report()
    verdict = judge("kueue/judge.py")
    stopped = settled = endless = 0
    for path in files:
        for record in records(path):
            scenario = record["scenario"]
            label = scenario["class"]
            player = Player(scenario)
            try:
                got = player.settles()
            except NeverSettles as err:
                if "expected" in record:
                    report.fails(label, f"{scenario['name']}: {err}")
                else:
                    endless += 1
                continue
            if "expected" not in record:
                stopped, settled = stopped + player.loops, settled + (not player.loops)
                continue
            differences = verdict.differences(record["expected"], got)
            if differences:
                report.fails(label, f"{scenario['name']}: {'; '.join(differences[:4])}")
            else:
                report.passes(label)
    if stopped or settled or endless:
        report.remarks.append(
            f"scenarios in which Kueue never settles: {stopped} loops noticed and stopped, {settled} without a loop here, "
            f"{endless} without an end"
        )
    return report
