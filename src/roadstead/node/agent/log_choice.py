"""Which run's log is meant, or why there is none, in the kubelet's words (k8s `pkg/kubelet`
validateContainerLogStatus)."""

from __future__ import annotations

import os

from roadstead.node.agent.pod_state import Attempts
from roadstead.node.agent.views import Pod


class NoLog(Exception):
    """There is no log to show; the text says why."""


def choose_run(pod: Pod, attempts: Attempts, container: str, previous: bool) -> str:
    """The id of the run: the latest that began, or with `previous` the one that the status remembers."""
    name = pod.metadata.name
    status = pod.status_of(container)
    if previous:
        last = status.last_state.terminated if status is not None else None
        if last is None or not last.container_id:
            raise NoLog(f'previous terminated container "{container}" in pod "{name}" not found')
        return last.container_id.removeprefix("process://")
    waiting = status.state.waiting if status is not None else None
    why = f'container "{container}" in pod "{name}" is waiting to start: '
    why += waiting.reason if waiting is not None and waiting.reason else "ContainerCreating"
    begun = [one for one in attempts.get(container, ()) if one.has_started]
    if not begun:
        raise NoLog(why)
    run = begun[-1].run
    if run.exit is not None and run.exit.reason == "StartError" and not _has_output(run.log):
        if waiting is not None:
            raise NoLog(why)
        raise NoLog(f'container "{container}" in pod "{name}" is terminated, it could not start: {run.exit.message}')
    return run.run_id


def _has_output(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False
