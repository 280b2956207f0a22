"""What became of a write whose answer was lost, and what the server is asked before a write."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from roadstead.kinds.names import CONFIG_MAPS, NODES, PODS
from roadstead.kinds.object import Json, Object, Ref
from roadstead.runtime.cluster import (
    EVERYTHING,
    Create,
    Delete,
    Listing,
    Outcome,
    Result,
    Selector,
    Unavailable,
    Update,
    Write,
)
from roadstead.runtime.step import Absent, Confirmation, Current, Empty, Present
from roadstead.runtime.writing import confirmed, landed, settle_unknown

STORED: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "p",
        "namespace": "default",
        "uid": "u",
        "resourceVersion": "7",
        "labels": {"a": "1"},
        "annotations": {"note": "x"},
        "finalizers": ["hold"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "o"}],
    },
    "spec": {"nodeName": "n1", "tolerations": [{"key": "k"}], "priority": 0},
    "status": {"phase": "Running"},
}


def stored(**metadata: Any) -> Object:
    return Object.of(PODS, {**STORED, "metadata": {**STORED["metadata"], **metadata}})


def edited(path: str, value: Any) -> Json:
    """STORED as a writer would send it, with one field set (or, with None, left out)."""
    sent = deepcopy(STORED)
    *steps, last = path.split(".")
    inner = sent
    for step in steps:
        inner = inner[step]
    if value is None:
        inner.pop(last, None)
    else:
        inner[last] = value
    return sent


def binding(node: str, **annotations: str) -> Create:
    metadata = {"name": "p", "namespace": "default", "annotations": annotations}
    return Create(PODS, {"metadata": metadata, "target": {"kind": "Node", "name": node}}, "binding")


@pytest.mark.parametrize(
    ("write", "has_landed"),
    [
        (Create(PODS, edited("spec.priority", None)), True),
        (Create(PODS, edited("spec.nodeName", "n2")), False),
        (Update(PODS, edited("metadata.resourceVersion", "6")), True),
        (Update(PODS, edited("metadata.uid", "other")), False),
        (Update(PODS, edited("metadata.finalizers", None)), False),
        (Update(PODS, edited("metadata.labels", {"a": "2"})), False),
        (Update(PODS, edited("metadata.ownerReferences", None)), False),
        (Update(PODS, edited("spec.tolerations", None)), False),
        (Update(PODS, edited("spec.tolerations", [])), False),
        (Update(PODS, edited("status.phase", "Failed")), True),
        (Update(PODS, edited("status.phase", "Failed"), "status"), False),
        (Update(PODS, edited("status.reason", "x"), "status"), False),
        (Update(PODS, edited("spec.nodeName", "n2"), "status"), True),
        (binding("n1", note="x"), True),
        (binding("n1", note="y"), False),
        (binding("n2", note="x"), False),
    ],
)
def test_whether_a_write_is_what_is_stored(write: Create | Update, has_landed: bool) -> None:
    assert landed(write, stored()) == has_landed


class Fake:
    """One object, or none; or a server that cannot be asked."""

    def __init__(self, found: Object | None, *, is_down: bool = False) -> None:
        self._found = found
        self._is_down = is_down

    async def get(self, ref: Ref) -> Object | None:
        if self._is_down:
            raise Unavailable("down")
        return self._found if self._found is not None and self._found.ref == ref else None

    async def list(self, resource: Any, namespace: str = "", selector: Selector = EVERYTHING) -> Listing:
        if self._is_down:
            raise Unavailable("down")
        found = self._found
        if found is None or found.resource != resource or found.meta.namespace != namespace:
            return Listing((), "1")
        labels = {"", *(f"{name}={value}" for name, value in found.meta.labels.items())}
        return Listing((found,) if selector.labels in labels else (), "1")

    def watch(self, resource: Any, since: str, namespace: str = "", selector: Any = None) -> Any:
        raise NotImplementedError

    async def write(self, write: Write) -> Outcome:
        raise NotImplementedError


THE_POD = Ref(PODS, "default", "p")


def _notes(obj: Object) -> list[str]:
    return [obj.meta.annotations["note"]]


@pytest.mark.parametrize(
    ("fact", "found", "holds"),
    [
        (Absent(THE_POD), None, True),
        (Absent(THE_POD), stored(), False),
        (Absent(THE_POD, "u"), stored(), False),
        (Absent(THE_POD, "earlier"), stored(), True),
        (Absent(Ref(NODES, "", "n1")), stored(), True),
        (Empty(PODS, "default"), stored(), False),
        (Empty(PODS, "other"), stored(), True),
        (Empty(CONFIG_MAPS, "default"), stored(), True),
        (Present(THE_POD, "u"), stored(), True),
        (Present(THE_POD, "u"), stored(deletionTimestamp="2027-01-15T08:00:00Z"), False),
        (Present(THE_POD, "earlier"), stored(), False),
        (Present(THE_POD, "u"), None, False),
        (Present(THE_POD, "u", stored().meta.resource_version), stored(), True),
        (Present(THE_POD, "u", "another"), stored(), False),
        (Current(PODS, "default", _notes, "x", frozenset({("u", "7")})), stored(), True),
        (Current(PODS, "default", _notes, "x", frozenset({("u", "6")})), stored(), False),
        (Current(PODS, "default", _notes, "x", frozenset({("earlier", "7")})), stored(), False),
        (Current(PODS, "default", _notes, "x", frozenset()), stored(), False),
        (Current(PODS, "default", _notes, "x", frozenset()), None, True),
        (Current(PODS, "default", _notes, "y", frozenset()), stored(), True),
        (Current(PODS, "other", _notes, "x", frozenset()), stored(), True),
        (Current(PODS, "default", _notes, "x", frozenset(), "b=2"), stored(), True),
        (Current(PODS, "default", _notes, "x", frozenset({("u", "7")}), "a=1"), stored(), True),
    ],
)
def test_what_the_server_confirms(fact: Confirmation, found: Object | None, holds: bool) -> None:
    assert asyncio.run(confirmed(Fake(found), (fact,))) == holds
    assert asyncio.run(confirmed(Fake(found), ())) is True
    assert asyncio.run(confirmed(Fake(found, is_down=True), (fact,))) is False


@pytest.mark.parametrize(
    ("write", "found", "result"),
    [
        (Delete(THE_POD, "u"), None, Result.DONE),
        (Delete(THE_POD, "earlier"), stored(), Result.DONE),
        (Delete(THE_POD, "u"), stored(deletionTimestamp="2027-01-15T08:00:00Z"), Result.DONE),
        (Delete(THE_POD, "u"), stored(), Result.CONFLICT),
        (
            Delete(THE_POD, "u", grace_seconds=0),
            stored(deletionTimestamp="2027-01-15T08:00:00Z", deletionGracePeriodSeconds=30),
            Result.CONFLICT,
        ),
        (
            Delete(THE_POD, "u", grace_seconds=0),
            stored(deletionTimestamp="2027-01-15T08:00:00Z", deletionGracePeriodSeconds=0),
            Result.DONE,
        ),
        (Create(PODS, STORED), None, Result.CONFLICT),
        (Create(PODS, STORED), stored(), Result.DONE),
        (Create(PODS, edited("spec.nodeName", "n2")), stored(), Result.EXISTS),
        (Update(PODS, STORED), None, Result.MISSING),
        (Update(PODS, edited("spec.nodeName", "n2")), stored(), Result.CONFLICT),
    ],
)
def test_what_became_of_a_write_whose_answer_was_lost(write: Write, found: Object | None, result: Result) -> None:
    assert asyncio.run(settle_unknown(Fake(found), write)).result is result
