"""Admission checks, their controllers' words, and what is said of a workload that waits for them."""

from __future__ import annotations

from typing import Any

from roadstead.kinds.names import (
    ADMISSION_CHECKS,
    WORKLOADS,
)
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time
from tests.controllers.queueing.lab import QueueLab


def check(name: str) -> Json:
    return {
        "apiVersion": ADMISSION_CHECKS.api_version,
        "kind": "AdmissionCheck",
        "metadata": {"name": name},
        "spec": {"controllerName": f"example.com/{name}"},
    }


def active(lab: QueueLab, name: str, status: str = "True") -> None:
    """The check's controller says that it is there."""
    condition = {"type": "Active", "status": status, "reason": "Active", "message": ""}
    lab.edit_status(ADMISSION_CHECKS, name, conditions=[{**condition, "lastTransitionTime": format_time(lab.now)}])


def strategy(*names: str, **on_flavors: list[str]) -> Json:
    rules: list[Json] = [{"name": name} for name in names]
    rules += [{"name": name, "onFlavors": flavors} for name, flavors in on_flavors.items()]
    return {"admissionChecks": rules}


def furnish(lab: QueueLab, *names: str, gpus: int = 0, **queue: Any) -> None:
    """A queue with these checks, all of whose controllers are there."""
    for name in names:
        lab.create(ADMISSION_CHECKS, check(name))
        active(lab, name)
    lab.furnish(gpus=gpus, queue={"admissionChecksStrategy": strategy(*names), **queue})


def says(lab: QueueLab, workload: str, name: str, state: str, **more: Any) -> None:
    """The controller of a check writes its entry, and nothing else."""

    def write(value: Json) -> None:
        (entry,) = [entry for entry in value["status"]["admissionChecks"] if entry["name"] == name]
        entry.update({"state": state, "lastTransitionTime": format_time(lab.now), "message": "", **more})

    lab.edit(WORKLOADS, lab.workload_of(workload)["metadata"]["name"], write, subresource="status")


def states(lab: QueueLab, workload: str) -> dict[str, str]:
    return {e["name"]: e["state"] for e in lab.workload_of(workload)["status"].get("admissionChecks") or ()}


def conditions(lab: QueueLab, workload: str) -> dict[str, tuple[str, str]]:
    value = lab.workload_of(workload)
    return {c["type"]: (c["status"], c["reason"]) for c in value["status"].get("conditions") or ()}


def message(value: Json, type: str) -> str:
    return next(str(c["message"]) for c in value["status"]["conditions"] if c["type"] == type)


def events(lab: QueueLab, reason: str) -> list[str]:
    return [note.message for note in lab.notes if note.reason == reason]


def updates(**fields: Any) -> list[Json]:
    return [{"name": "main", **fields}]
