"""Members of a Placement that need their places no more, although the workload goes on: pods of theirs have ended and
none will come again (Kueue KEP-78, which gives back quota alone). Named by an annotation, since the decision itself
never changes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec
import orjson

from roadstead.kinds.object import Json

ANNOTATION: Final = "roadstead.dev/released-members"
"""On Placements: JSON, {pod set: [index of member, ...]}. Members are added and never taken away."""

NOBODY: Final[frozenset[int]] = frozenset()


def released(annotations: Mapping[str, str], pod_set: str) -> frozenset[int]:
    """Indexes of the members of a pod set whose places are given back; nobody's where the annotation can't be read."""
    text = annotations.get(ANNOTATION)
    return _parsed(text).get(pod_set, NOBODY) if text else NOBODY


@lru_cache(maxsize=1024)
def _parsed(text: str) -> dict[str, frozenset[int]]:
    try:
        return msgspec.json.decode(text, type=dict[str, frozenset[int]])
    except (msgspec.ValidationError, msgspec.DecodeError):
        return {}


def release(placement: Json, pod_set: str, members: frozenset[int]) -> None:
    """Name these members, besides those named already, in a decoded Placement; in place."""
    annotations = placement["metadata"].setdefault("annotations", {})
    known = dict(_parsed(annotations.get(ANNOTATION, "{}")))
    known[pod_set] = known.get(pod_set, NOBODY) | members
    annotations[ANNOTATION] = orjson.dumps({name: sorted(each) for name, each in sorted(known.items())}).decode()
