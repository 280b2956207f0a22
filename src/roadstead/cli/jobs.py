"""From command-line words to a Job manifest, and back from a Job to what happened to it."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roadstead.cli.failure import Failure
from roadstead.expr.quantity import QuantityError, parse
from roadstead.kinds.names import PRIORITY_CLASS_LABEL, QUEUE_LABEL
from roadstead.kinds.object import Json

GPU = "nvidia.com/gpu"
NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
CARRIED_VARIABLES = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "PYTHONPATH", "CONDA_PREFIX")
"""Variables of the submitting shell that a job started by `run` gets, so that `python` means the same there."""


@dataclass(frozen=True, slots=True)
class Request:
    """What `roadstead run` was asked for."""

    command: Sequence[str]
    gpus: int = 0
    cpus: str = ""
    memory: str = ""
    queue: str = ""
    priority: str = ""
    environment: Mapping[str, str] | None = None
    name: str = ""
    namespace: str = "default"


def name_of(command: Sequence[str]) -> str:
    """A name that says what runs: the program's, or the script's that Python is given."""
    words = [os.path.basename(word) for word in command if not word.startswith("-")]
    said = words[1] if len(words) > 1 and words[0].startswith("python") else (words[0] if words else "run")
    stem = re.sub(r"[^a-z0-9]+", "-", said.lower().rsplit(".", 1)[0]).strip("-")[:40].strip("-")
    if not stem or not stem[0].isalpha():
        stem = "run"
    return stem


def generated_name(command: Sequence[str]) -> str:
    """`name_of` and five random characters: nobody else's."""
    return f"{name_of(command)}-" + "".join(secrets.choice(NAME_ALPHABET) for _ in range(5))


def job_manifest(request: Request, *, directory: str, shell: Mapping[str, str]) -> Json:
    """The batch/v1 Job that runs the command once, here, with the shell's search paths. Failure (code 2) for an amount
    that is none."""
    for option, amount in (("--cpus", request.cpus), ("--memory", request.memory)):
        _check_amount(option, amount)
    resources: dict[str, str] = {}
    if request.gpus:
        resources[GPU] = str(request.gpus)
    resources["cpu"] = request.cpus or "1"
    if request.memory:
        resources["memory"] = request.memory
    variables = {name: shell[name] for name in CARRIED_VARIABLES if name in shell}
    variables.update(request.environment or {})
    labels: dict[str, str] = {}
    if request.queue:
        labels[QUEUE_LABEL] = request.queue
    if request.priority:
        labels[PRIORITY_CLASS_LABEL] = request.priority
    container: Json = {
        "name": "main",
        "image": "local",
        "command": [literal(word) for word in request.command],
        "workingDir": directory,
        "env": [{"name": name, "value": literal(value)} for name, value in sorted(variables.items())],
        "resources": {"requests": resources, "limits": {k: v for k, v in resources.items() if k != "cpu"}},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": request.name or generated_name(request.command),
            "namespace": request.namespace,
            "labels": labels,
        },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    # What runs here as its user needs no token; without one, it sees the machine's file system as it
                    # is.
                    "automountServiceAccountToken": False,
                    "containers": [container],
                }
            },
        },
    }


def literal(word: str) -> str:
    """The word as it was typed: `$(NAME)` and `$$` would otherwise be expanded when the container starts."""
    return word.replace("$", "$$")


def _check_amount(option: str, amount: str) -> None:
    if not amount:
        return
    hint = "Write a number, or one with a suffix: 2, 500m; 512Mi, 4Gi."
    try:
        is_positive = parse(amount).nano > 0
    except QuantityError as error:
        raise Failure(f"{option} {amount!r} is not an amount.", hint, 2) from error
    if not is_positive:
        raise Failure(f"{option} {amount!r} is not above 0.", hint, 2)
