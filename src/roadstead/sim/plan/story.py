"""What the users of a seed do: the Jobs they submit, and what they do to them, to the queues and to the nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead.kinds.names import PRIORITY_CLASS_LABEL, QUEUE_LABEL, RUN_FOR_ANNOTATION
from roadstead.kinds.object import Json
from roadstead.sim.chance import Chance
from roadstead.sim.machines import FAILURES_ANNOTATION, STUBBORN_ANNOTATION
from roadstead.sim.plan.world import GPU, POOL_LABEL, TEAM, WorldPlan

STORY_SECONDS: Final = 90.0
"""So long users act and things go wrong; then the world is left in peace."""
CLASSES: Final = ("low", "normal", "high")


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A Job to submit at `at` seconds. `queue` "" = none. `failures`: so many of its first processes fail (Indexed: per
    index)."""

    name: str
    namespace: str
    at: float
    queue: str
    indexed: bool
    completions: int
    parallelism: int
    cpu: int
    gpus: int
    run_for: float
    failures: int
    backoff_limit: int
    priority: str
    stubborn: bool
    grace: int
    per_index: bool
    replacement: str
    pool: str

    @property
    def pods(self) -> int:
        """How many run at once at most."""
        return min(self.completions, self.parallelism)

    def manifest(self) -> Json:
        requests = {"cpu": str(self.cpu), **({GPU: str(self.gpus)} if self.gpus else {})}
        annotations = {RUN_FOR_ANNOTATION: str(self.run_for)}
        if self.failures:
            annotations[FAILURES_ANNOTATION] = str(self.failures)
        if self.stubborn:
            annotations[STUBBORN_ANNOTATION] = "true"
        labels = {}
        if self.queue:
            labels[QUEUE_LABEL] = self.queue
        if self.priority:
            labels[PRIORITY_CLASS_LABEL] = self.priority
        spec: Json = {
            "completions": self.completions,
            "parallelism": self.parallelism,
            "completionMode": "Indexed" if self.indexed else "NonIndexed",
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": self.grace,
                    "containers": [
                        {"name": "main", "image": "none", "resources": {"requests": requests, "limits": requests}}
                    ],
                },
            },
        }
        if self.pool:
            spec["template"]["spec"]["nodeSelector"] = {POOL_LABEL: self.pool}
        if self.per_index:
            spec["backoffLimitPerIndex"] = self.backoff_limit
        else:
            spec["backoffLimit"] = self.backoff_limit
        if self.replacement:
            spec["podReplacementPolicy"] = self.replacement
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": labels},
            "spec": spec,
        }


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a user does at `at` seconds: see `sim.users` for what the verbs mean."""

    at: float
    verb: str
    target: str
    value: str = ""


def draw_jobs(seed: int, world: WorldPlan) -> tuple[JobPlan, ...]:
    chance = Chance.named(seed, "jobs")
    count = min(chance.randint(1, 12), chance.randint(3, 12))
    return tuple(_draw_job(chance, world, number) for number in range(count))


def _draw_job(chance: Chance, world: WorldPlan, number: int) -> JobPlan:
    completions = chance.one_of(1, 1, 2, 3, 4)
    most_gpus = max(node.gpus for node in world.nodes)
    most_cpu = max(node.cpu for node in world.nodes)
    gpus = chance.randint(0, most_gpus) if chance.happens(0.7) else 0
    indexed = chance.happens(0.5)
    failures = chance.one_of(0, 0, 0, 1, 2)
    return JobPlan(
        name=f"job{number}",
        namespace=chance.one_of("default", "default", TEAM),
        at=round(chance.random() ** 2 * STORY_SECONDS * 0.8, 3),
        queue=chance.choice(world.queues).name if chance.happens(0.85) else "",
        indexed=indexed,
        completions=completions,
        parallelism=chance.randint(1, completions),
        cpu=chance.randint(1, max(1, most_cpu // 2)),
        gpus=gpus,
        run_for=chance.one_of(0.0, 1.0, 3.0, 8.0, 20.0, 45.0),
        failures=failures,
        backoff_limit=chance.one_of(0, 1, 3, 6),
        priority=chance.one_of("", *CLASSES),
        stubborn=chance.happens(0.15),
        grace=chance.one_of(0, 1, 5, 30),
        per_index=indexed and chance.happens(0.25),
        replacement=chance.one_of("", "", "Failed", "TerminatingOrFailed"),
        pool=chance.choice(world.pools) if world.pools and chance.happens(0.2) else "",
    )


def draw_acts(seed: int, world: WorldPlan, jobs: tuple[JobPlan, ...]) -> tuple[Act, ...]:
    chance = Chance.named(seed, "acts")
    acts: list[Act] = []
    for job in jobs:
        if chance.happens(0.45):
            at = job.at + chance.random() * 30.0
            verb = chance.one_of(
                "delete", "suspend", "resume", "priority", "parallelism", "touch", "recreate", "lose-place"
            )
            values = {"priority": chance.choice(CLASSES), "parallelism": str(chance.randint(1, job.completions))}
            propagation = chance.one_of("Background", "Background", "Foreground", "Orphan")
            acts.append(Act(round(at, 3), verb, job.name, values.get(verb, propagation if verb == "delete" else "")))
    for _ in range(chance.one_of(0, 0, 1, 2, 3)):
        at = round(chance.random() * STORY_SECONDS, 3)
        verb = chance.one_of("quota", "quota", "stop", "cordon", "remove-node", "sick-device", "pod", "class")
        if verb in ("quota", "stop"):
            value = chance.one_of("0", "50", "150") if verb == "quota" else chance.one_of("Hold", "HoldAndDrain")
            acts.append(Act(at, verb, chance.choice(world.queues).name, value))
        elif verb == "pod":
            acts.append(Act(at, verb, f"pod{len(acts)}", str(chance.randint(0, 1))))
        elif verb == "class":
            acts.append(Act(at, verb, chance.choice(CLASSES), str(chance.randint(-5, 200))))
        else:
            acts.append(Act(at, verb, chance.choice(world.nodes).name))
    return tuple(sorted(acts, key=lambda act: act.at))
