"""Whoever minds the Workloads of departed jobs hears of the departure, in whatever order the news of the kinds comes."""

from __future__ import annotations

import pytest

from roadstead.controllers.workload import AfterlifeController
from roadstead.kinds.names import JOBS, WORKLOADS
from roadstead.kinds.object import Object, Resource, owner_reference
from roadstead.runtime.step import Key
from roadstead.runtime.view import Cache, View


def an_object(resource: Resource, kind: str, name: str, uid: str, owner: Object | None = None) -> Object:
    metadata = {"namespace": "default", "name": name, "uid": uid, "resourceVersion": "1"}
    owners = [owner_reference(owner)] if owner is not None else []
    value = {"apiVersion": resource.api_version, "kind": kind, "metadata": {**metadata, "ownerReferences": owners}}
    return Object.of(resource, value)


@pytest.mark.parametrize(
    ("now_there", "woken"),
    [(None, [("default", "w")]), ("another", [("default", "w")]), ("the one", [])],
    ids=["gone", "replaced", "still there"],
)
def test_a_job_that_is_gone_wakes_its_workloads(now_there: str | None, woken: list[Key]) -> None:
    """The Workload was marked and its pods have vanished while the job still seemed to be there: this is the last news there is."""
    caches = {resource: Cache(resource) for resource in (JOBS, WORKLOADS)}
    job = an_object(JOBS, "Job", "train", "the one")
    caches[WORKLOADS].put(an_object(WORKLOADS, "Workload", "w", "w", job))
    if now_there is not None:
        caches[JOBS].put(an_object(JOBS, "Job", "train", now_there))
    assert list(AfterlifeController().watches[JOBS](job, View(caches))) == woken
