"""Kueue's encoding of topology assignments: v1beta2's compressed slices and v1beta1's plain domains (Kueue 4.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roadstead.kinds.object import Json
from roadstead.model.workload import TopologyAssignment


class EncodingError(ValueError):
    """A topology assignment that can't be decoded; the message says what is wrong."""


def decode(assignment: Mapping[str, Any]) -> TopologyAssignment:
    """`topologyAssignment` of either version. EncodingError if lengths disagree. O(domains x levels)."""
    levels = tuple(assignment.get("levels") or ())
    domains: list[tuple[tuple[str, ...], int]] = []
    try:
        for domain in assignment.get("domains") or ():  # v1beta1
            domains.append((tuple(domain["values"]), int(domain["count"])))
        for piece in assignment.get("slices") or ():
            count = int(piece["domainCount"])
            columns = [_column(entry, count) for entry in piece["valuesPerLevel"]]
            if len(columns) != len(levels):
                raise EncodingError(f"a slice names {len(columns)} levels, the assignment {len(levels)}")
            counts = [int(each) for each in _spread(piece["podCounts"], count)]
            domains += zip(zip(*columns, strict=True), counts, strict=True)
    except EncodingError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise EncodingError(f"a field is missing or has the wrong type: {error}") from error
    return TopologyAssignment(levels, tuple(domains))


def _column(entry: Mapping[str, Any], count: int) -> list[str]:
    individual = entry.get("individual")
    if individual is None:
        return [str(entry["universal"])] * count
    roots = individual["roots"]
    if len(roots) != count:
        raise EncodingError(f"{len(roots)} roots for {count} domains")
    prefix, suffix = individual.get("prefix") or "", individual.get("suffix") or ""
    return [f"{prefix}{root}{suffix}" for root in roots]


def _spread(entry: Mapping[str, Any], count: int) -> Sequence[Any]:
    individual = entry.get("individual")
    if individual is None:
        return [entry["universal"]] * count
    if len(individual) != count:
        raise EncodingError(f"{len(individual)} pod counts for {count} domains")
    return list(individual)


def encode(assignment: TopologyAssignment) -> Json:
    """The assignment as v1beta2 writes it, in one slice: equal values and counts once, common prefix and suffix
    apart."""
    if not assignment.domains:
        return {"levels": list(assignment.levels), "slices": []}
    values = [domain for domain, _ in assignment.domains]
    counts = [count for _, count in assignment.domains]
    pod_counts: Json = {"universal": counts[0]} if len(set(counts)) == 1 else {"individual": counts}
    return {
        "levels": list(assignment.levels),
        "slices": [
            {
                "domainCount": len(values),
                "valuesPerLevel": [_encode_column([value[i] for value in values]) for i in range(len(values[0]))],
                "podCounts": pod_counts,
            }
        ],
    }


def _encode_column(column: list[str]) -> Json:
    if len(set(column)) == 1:
        return {"universal": column[0]}
    prefix = _common_prefix(column)
    rest = [value[len(prefix) :] for value in column]
    suffix = _common_prefix([value[::-1] for value in rest])[::-1]
    individual: Json = {}
    if prefix:
        individual["prefix"] = prefix
    if suffix:
        individual["suffix"] = suffix
    individual["roots"] = [value[: len(value) - len(suffix)] for value in rest]
    return {"individual": individual}


def _common_prefix(texts: Sequence[str]) -> str:
    """The longest prefix of all: that of the first and the last in order."""
    first, last = min(texts), max(texts)
    for i, char in enumerate(first):
        if last[i] != char:
            return first[:i]
    return first
