"""Where `why`, `plan` and `queue` ask: the embedded cluster of a home, or any cluster of a kubeconfig (read-only)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import find_home
from roadstead.cli.output import home_option, note

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Source:
    """What the command line said about where to ask. Without `context` and `kubeconfig`: the embedded cluster of
    `home`."""

    home: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    @property
    def is_elsewhere(self) -> bool:
        return self.context is not None or self.kubeconfig is not None


def source_options(command: F) -> F:
    """--home, --context and --kubeconfig."""
    command = click.option(
        "--kubeconfig", default=None, metavar="FILE",
        help="Ask the cluster of this kubeconfig, with the right to list only. Default with --context: $KUBECONFIG, ~/.kube/config.",
    )(command)  # fmt: skip
    command = click.option(
        "--context", default=None, metavar="NAME",
        help="Ask the cluster of this context, with the right to list only; Kueue may run there.",
    )(command)  # fmt: skip
    return home_option(command)


async def ask(source: Source, question: str, body: Any = None) -> Any:
    """The answer to a question beyond objects; with `body`, to a plan. Raises Failure."""
    from roadstead.apiserver.app import ANSWERS_PREFIX

    if not source.is_elsewhere:
        from roadstead.cli.client import Client

        async with Client(find_home(source.home)) as client:
            return await client.ask(ANSWERS_PREFIX + question, body)
    return await _elsewhere(source, ANSWERS_PREFIX, question, body)


async def _elsewhere(source: Source, prefix: str, question: str, body: Any) -> Any:
    from roadstead.cluster.remote import KubeconfigError, from_kubeconfig
    from roadstead.compose.onlooker import CannotLook
    from roadstead.compose.onlooker import ask as ask_cluster
    from roadstead.kinds.errors import StatusError
    from roadstead.runtime.cluster import Unavailable

    try:
        cluster = from_kubeconfig(kubeconfig_path(source.kubeconfig), source.context or "")
    except KubeconfigError as error:
        raise Failure(str(error)) from error
    try:
        answer, remarks = await ask_cluster(cluster, prefix, question, body)
    except CannotLook as error:
        raise Failure(str(error), error.hint) from error
    except StatusError as error:
        raise Failure(error.message) from error
    except Unavailable as error:
        raise Failure(
            f"{cluster.url} does not answer: {str(error).rstrip('.')}.",
            "Check the context, and that it can be reached.",
        ) from error
    finally:
        await cluster.close()
    for remark in remarks:
        note(remark)
    return answer


def kubeconfig_path(named: str | None) -> Path:
    """--kubeconfig, else the first file of $KUBECONFIG, else ~/.kube/config."""
    if named:
        return Path(named)
    listed = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return Path(listed[0]) if listed else Path.home() / ".kube" / "config"
