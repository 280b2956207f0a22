"""Objects: what they share, and what they keep."""

from __future__ import annotations

from collections import deque

import orjson
import pytest

from roadstead.kinds import object as objects
from roadstead.kinds.names import PODS
from roadstead.kinds.object import Object
from roadstead.kinds.views.pod import PodView


def pod(name: str, **metadata: object) -> Object:
    value = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", **metadata}}
    return Object(PODS, orjson.dumps(value))


OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}


def test_equal_metadata_is_held_once() -> None:
    marks = {"labels": {"job-name": "j", "app": "a"}, "ownerReferences": [OWNER], "finalizers": ["f"]}
    one, other = pod("a", **marks), pod("b", **marks)
    assert one.meta.labels is other.meta.labels
    assert one.meta.owner_references is other.meta.owner_references
    assert one.meta.finalizers is other.meta.finalizers
    assert (one.meta.name, other.meta.name) == ("a", "b")


def test_what_differs_is_not_shared() -> None:
    one = pod("a", labels={"a": "1", "b": "2"}, ownerReferences=[OWNER])
    other = pod("b", labels={"b": "2", "a": "1"}, ownerReferences=[{**OWNER, "uid": "v"}])
    assert one.meta.labels == other.meta.labels
    assert list(other.meta.labels) == ["b", "a"]  # as they were written
    assert [owner.uid for owner in other.meta.owner_references] == ["v"]


def test_sharing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_SHARED_LIMIT", 4)
    for number in range(20):
        found = pod(f"p{number}", labels={"n": str(number)})
        assert found.meta.labels == {"n": str(number)}
        assert len(objects._labels) <= 20_000
    assert len(objects._labels) <= 4


def test_views_are_decoded_once_and_kept_for_those_who_were_looked_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "VIEWED", 2)
    monkeypatch.setattr(objects, "_viewed", deque())
    one, other, third = (pod(name) for name in "abc")
    first = one.view(PodView)
    assert one.view(PodView) is first
    kept = other.view(PodView), third.view(PodView)
    assert (other.view(PodView), third.view(PodView)) == kept
    assert other.view(PodView) is kept[0]
    again = one.view(PodView)  # two others were looked at since
    assert again is not first
    assert again == first
    assert list(objects._viewed) == [third, one]
