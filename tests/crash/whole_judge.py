"""The judge of a whole cluster under kill -9. It knows what was asked for and what was acknowledged, and reads the
ledger that the containers wrote; the product's own word counts only where it is held against those."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roadstead.kinds.names import PRIORITY_CLASS_LABEL
from roadstead.kinds.object import Json

WORK = Path(__file__).with_name("whole_work.py")
LOST = 137
"""The exit code of a container whose shim was killed."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A Job to submit. `codes`: the exit code of each container, `main` first."""

    name: str
    codes: tuple[int, ...] = (0,)
    completions: int = 1
    gpus: int = 1
    priority: str = ""
    gate: str = ""
    """Runs until this other Job has run."""
    may_be_evicted: bool = False
    seconds: float = 0.05

    @property
    def containers(self) -> dict[str, int]:
        return {"main" if number == 0 else f"side-{number}": code for number, code in enumerate(self.codes)}

    @property
    def succeeds(self) -> bool:
        return not any(self.codes)

    def manifest(self, directory: Path) -> Json:
        containers = []
        for name, code in self.containers.items():
            words = [f"{self.name}/{name}", str(code), str(self.seconds), *([self.gate] if self.gate else [])]
            requests = {"cpu": "100m", **({"nvidia.com/gpu": str(self.gpus)} if name == "main" else {})}
            containers.append(
                {
                    "name": name,
                    "image": "none",
                    "command": [sys.executable, "-I", "-S", str(WORK), str(directory), *words],
                    "resources": {"requests": requests, "limits": requests},
                }
            )
        spec: Json = {
            "backoffLimit": 0,
            "completions": self.completions,
            "parallelism": self.completions,
            "template": {
                "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 60, "containers": containers}
            },
        }
        if self.completions > 1:
            spec["completionMode"] = "Indexed"
        labels = {PRIORITY_CLASS_LABEL: self.priority} if self.priority else {}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": self.name, "namespace": "default", "labels": labels},
            "spec": spec,
        }


@dataclass(slots=True)
class Ledger:
    """What the containers wrote down. `started`: job/index/container -> run ids in order; `ended`: run id -> code."""

    started: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[str, int] = field(default_factory=dict)
    doubles: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, lines: Iterable[str]) -> Ledger:
        found = cls()
        for line in lines:
            match line.split():
                case ["start", run, who, _]:
                    found.started[who].append(run)
                case ["end", run, code]:
                    found.ended[run] = int(code)
                case ["double", run, device]:
                    found.doubles.append(f"{run} was given device {device} while a live process held it")
                case words:
                    raise ValueError(f"the ledger says {words}")
        return found


def complaints_about_the_ledger(ledger: Ledger, asks: Sequence[Ask], cut_short: Container[str] = ()) -> list[str]:
    """What should never have happened. `cut_short`: names of Jobs that lost a run with its shim, as the API told. Such
    a run has no end of its own, and perhaps no start: the shim may have been killed before the process wrote a word.
    Its Job fails, so that the others of it are stopped, or never start."""
    found = list(ledger.doubles)
    for ask in asks:
        for index in range(ask.completions):
            for name in ask.containers:
                found += _about(f"{ask.name}/{index}/{name}", ledger, ask, ask.name in cut_short)
    return found


def _about(who: str, ledger: Ledger, ask: Ask, was_cut_short: bool) -> list[str]:
    runs = ledger.started.get(who, [])
    found = [f"{run} of {who} was started {runs.count(run)} times" for run in sorted(set(runs)) if runs.count(run) > 1]
    allowed = 1 + ask.may_be_evicted
    if len(set(runs)) > allowed:
        found.append(f"{who} was started as {len(set(runs))} runs ({', '.join(runs)}); {allowed} were right")
    if not runs:
        return found if was_cut_short else [*found, f"{who} was never started"]
    *earlier, last = runs
    found += [f"{run} of {who} was replaced while it could run" for run in earlier if ledger.ended.get(run) != 143]
    wanted = ask.containers[who.rpartition("/")[2]]
    if not was_cut_short and ledger.ended.get(last) != wanted:
        found.append(f"{last} of {who} ended with {ledger.ended.get(last)} instead of {wanted}")
    return found


def complaints_about_pods(ask: Ask, job: Json, pods: Sequence[Json], ledger: Ledger) -> tuple[list[str], list[str]]:
    """(what the API says of an ended Job that is not so, run ids that it calls lost with their shim)."""
    found: list[str] = []
    lost: list[str] = []
    indices: list[str] = []
    for pod in pods:
        if ask.may_be_evicted and "deletionTimestamp" in pod["metadata"]:
            continue  # of an earlier admission: its object goes when the last finalizer does
        annotations = pod["metadata"].get("annotations", {})
        indices.append(annotations.get("batch.kubernetes.io/job-completion-index", "0"))
        for status in pod["status"].get("containerStatuses", []):
            run = status.get("containerID", "").removeprefix("process://")
            ended = status["state"].get("terminated")
            if ended is None:
                found.append(f"{ask.name}: container {status['name']} of an ended Job is {status['state']}")
            elif ended["reason"] == "ShimLost":
                lost.append(run)
                if ended["exitCode"] != LOST:
                    found.append(f"{ask.name}: {run} lost its shim and has exit code {ended['exitCode']}")
            elif run and ledger.ended.get(run) != ended["exitCode"]:
                found.append(
                    f"{ask.name}: exit code {ended['exitCode']} is stored for {run}; it was {ledger.ended.get(run)}"
                )
    true = {one["type"] for one in job["status"].get("conditions", []) if one["status"] == "True"}
    if not lost:
        wanted = "Complete" if ask.succeeds else "Failed"
        if wanted not in true:
            found.append(f"{ask.name} is {sorted(true)} instead of {wanted}")
        count = job["status"].get("succeeded" if ask.succeeds else "failed", 0)
        if count != ask.completions:
            found.append(f"{ask.name} counts {count} ended pods; it had {ask.completions}")
        if sorted(indices) != sorted(map(str, range(ask.completions))):
            found.append(f"{ask.name} has pods of indices {sorted(indices)}")
    return found, lost
