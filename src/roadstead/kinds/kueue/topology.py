"""Topology (kueue.x-k8s.io/v1beta2): the levels of a machine room as node labels, coarsest first (kueue reference
4.1)."""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind, rule_error
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import HOSTNAME_LABEL, TOPOLOGIES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

_LEVELS = "spec.levels"


class TopologyStrategy(CustomStrategy):
    """Rules of Topologies: levels are given once, each label once, and a host has nothing below it."""

    def rules(self, obj: Json) -> list[FieldError]:
        labels = _labels(obj)
        found: list[FieldError] = []
        if len(set(labels)) < len(labels):
            found.append(rule_error(_LEVELS, "must be unique"))
        if HOSTNAME_LABEL in labels[:-1]:
            why = f"the {HOSTNAME_LABEL} label can only be used at the lowest level of topology"
            found.append(rule_error(_LEVELS, why))
        return found

    def update_rules(self, new: Json, old: Json) -> list[FieldError]:
        return [] if _labels(new) == _labels(old) else [rule_error(_LEVELS, "field is immutable")]


def _labels(obj: Json) -> list[str]:
    return [level["nodeLabel"] for level in (obj.get("spec") or {}).get("levels") or ()]


def kind() -> Kind:
    return custom_kind(TOPOLOGIES, "Topology", TopologyStrategy)
