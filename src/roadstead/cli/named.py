"""What a command is asked about, in kubectl's words: NAME, KIND/NAME or KIND.GROUP/NAME, as `kubectl create` and `run
--detach` print it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roadstead.cli.failure import Failure

JOB, WORKLOAD, POD = "job", "workload", "pod"
_WORDS: Final = {
    JOB: (("job", "jobs"), ("batch", "v1.batch")),
    WORKLOAD: (
        ("workload", "workloads", "wl"),
        ("kueue.x-k8s.io", "v1beta1.kueue.x-k8s.io", "v1beta2.kueue.x-k8s.io"),
    ),
    POD: (("pod", "pods", "po"), ()),
}
"""Kind -> what it is called, and the groups (with or without version) that may stand behind that."""
_KINDS: Final = {
    called: kind
    for kind, (names, groups) in _WORDS.items()
    for name in names
    for called in (name, *(f"{name}.{group}" for group in groups))
}


@dataclass(frozen=True, slots=True)
class Named:
    """`kind` is JOB, WORKLOAD or POD, or "" for whichever has the name."""

    kind: str
    name: str


def named(text: str) -> Named:
    """What these words name. Failure (code 2) for another kind, and for no name.

    >>> named("job.batch/hello")
    Named(kind='job', name='hello')
    """
    said, slash, name = text.rpartition("/")
    hint = "Say the name alone, or job/NAME, workload/NAME, pod/NAME."
    if not name:
        raise Failure(f"{text!r} names nothing.", hint, 2)
    if not slash:
        return Named("", name)
    kind = _KINDS.get(said.lower())
    if kind is None:
        raise Failure(f"{text!r} is neither a job, nor a workload, nor a pod: there is no kind {said!r} here.", hint, 2)
    return Named(kind, name)
