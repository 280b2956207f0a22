"""Pods made from a Job's template, and their names.

Real Kubernetes draws pod names at random. Here a name is a function of the Job, the index and how many pods the view
holds, so that a create whose answer was lost meets its own pod (EXISTS) when it is tried again, instead of making a
second one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from typing import Final

from roadstead.controllers.job.census import is_indexed
from roadstead.kinds.names import (
    JOB_INDEX_ANNOTATION,
    JOB_INDEX_FAILURES_ANNOTATION,
    JOB_INDEX_IGNORED_FAILURES_ANNOTATION,
    JOB_TRACKING_FINALIZER,
)
from roadstead.kinds.object import Json, Object, owner_reference
from roadstead.kinds.views.job import JobView

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names are made of (apimachinery util/rand): no vowels, so no words."""
SUFFIX_LENGTH: Final = 5
LONGEST_BASE: Final = 63 - SUFFIX_LENGTH
INDEX_VARIABLE: Final = "JOB_COMPLETION_INDEX"


def _suffix(seed: str) -> str:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    letters = []
    for _ in range(SUFFIX_LENGTH):
        number, letter = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[letter])
    return "".join(letters)


def free_name(job: JobView, index: int | None, attempt: int, taken: Container[str]) -> str:
    """The first name from `attempt` on that is not taken."""
    name = job.metadata.name
    if index is None:
        base = f"{name}-"[:LONGEST_BASE]
    else:
        base = name[: LONGEST_BASE - len(f"-{index}-")] + f"-{index}-"
    while True:
        candidate = base + _suffix(f"{job.metadata.uid}/{index}/{attempt}")
        if candidate not in taken:
            return candidate
        attempt += 1


def new_pod(job: Object, template: Json, name: str, index: int | None, failures: tuple[int, int] | None) -> Json:
    """The pod to create. `template` is a fresh copy of the Job's and is used up; `failures` (counted, ignored) is given
    for Jobs with a limit per index."""
    view = job.view(JobView)
    given = template.get("metadata") or {}
    annotations = dict(given.get("annotations") or {})
    labels = dict(given.get("labels") or {})
    spec = template.get("spec") or {}
    if is_indexed(view) and index is not None:
        labels[JOB_INDEX_ANNOTATION] = annotations[JOB_INDEX_ANNOTATION] = str(index)
        spec["hostname"] = f"{view.metadata.name}-{index}"
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            _add_index_variable(container)
    if failures is not None:
        counted, ignored = failures
        annotations[JOB_INDEX_FAILURES_ANNOTATION] = str(counted)
        if ignored:
            annotations[JOB_INDEX_IGNORED_FAILURES_ANNOTATION] = str(ignored)
    metadata: Json = {
        "name": name,
        "namespace": view.metadata.namespace,
        "labels": labels,
        "annotations": annotations,
        "finalizers": [*(given.get("finalizers") or ()), JOB_TRACKING_FINALIZER],
        "ownerReferences": [owner_reference(job)],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {key: value for key, value in metadata.items() if value},
        "spec": spec,
    }


def _add_index_variable(container: Json) -> None:
    env = container.get("env") or []
    if any(variable["name"] == INDEX_VARIABLE for variable in env):
        return
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{JOB_INDEX_ANNOTATION}']"}}
    container["env"] = [*env, {"name": INDEX_VARIABLE, "valueFrom": source}]
