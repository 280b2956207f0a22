"""The options that say what a command's job asks for: `run` submits it, `plan` only tries it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from roadstead.cli.failure import Failure
from roadstead.cli.whole import Whole

MOST_GPUS = 1_000_000
"""More than any machine has, and few enough to be counted exactly everywhere."""

_OPTIONS = (
    click.option("--gpus", type=Whole(0, MOST_GPUS), default=0, metavar="N", help="Whole GPUs. Default: none."),
    click.option("--cpus", default="", metavar="N", help="CPUs, as a Kubernetes quantity (2, 500m). Default: 1."),
    click.option("--memory", default="", metavar="SIZE", help="Memory, as a Kubernetes quantity (4Gi). Default: no limit."),
    click.option("--queue", default="", metavar="NAME", help="LocalQueue. Default: the namespace's queue named default."),
    click.option("--priority", default="", metavar="CLASS",
                 help="WorkloadPriorityClass: low, normal, high, or your own."),
    click.option("--env", "environment", multiple=True, metavar="NAME=VALUE",
                 help="Environment variable; may be repeated."),
    click.option("--name", default="", metavar="NAME", help="Name of the job. Default: made from the command."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobWords:
    """What the options said."""

    gpus: int
    cpus: str
    memory: str
    queue: str
    priority: str
    environment: tuple[str, ...]
    name: str

    @property
    def given(self) -> list[str]:
        """The options that were used, as they are written."""
        fields = {
            "env": self.environment,
            **{name: getattr(self, name) for name in self.__slots__ if name != "environment"},
        }
        return [f"--{name}" for name, value in fields.items() if value]

    @property
    def is_given(self) -> bool:
        return bool(self.given)

    def manifest(self, words: tuple[str, ...], namespace: str) -> dict[str, Any]:
        """The Job that runs this command in the current directory. Raises Failure, click.UsageError."""
        from roadstead.cli.jobs import Request, job_manifest

        request = Request(
            words, self.gpus, self.cpus, self.memory, self.queue, self.priority, _variables(self.environment), self.name,
            namespace,
        )  # fmt: skip
        try:
            directory = os.getcwd()
        except FileNotFoundError as error:
            raise Failure(
                "the directory you are in was deleted.", "Change to another: a job starts where you are."
            ) from error
        return job_manifest(request, directory=directory, shell=os.environ)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, given to the command as one `job`."""

    @functools.wraps(command)
    def with_words(**options: Any) -> Any:
        words = JobWords(**{name: options.pop(name) for name in JobWords.__slots__})
        return command(job=words, **options)

    made: Callable[..., Any] = with_words
    for option in reversed(_OPTIONS):
        made = option(made)
    return made


def _variables(entries: tuple[str, ...]) -> dict[str, str]:
    variables = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--env {entry!r}: expected NAME=VALUE.")
        variables[key] = value
    return variables
