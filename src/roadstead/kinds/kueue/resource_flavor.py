"""ResourceFlavor (kueue.x-k8s.io/v1beta2): labels, taints and tolerations that tell one kind of node from another
(kueue reference 1.5)."""

from __future__ import annotations

from roadstead.kinds.core.node import EFFECTS, validate_taints
from roadstead.kinds.custom import CustomStrategy, custom_kind, rule_error
from roadstead.kinds.errors import FieldError
from roadstead.kinds.metadata import check_labels
from roadstead.kinds.names import RESOURCE_FLAVORS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind

_EFFECTS = "supported taint effect values: 'NoSchedule', 'PreferNoSchedule', 'NoExecute'"


class ResourceFlavorStrategy(CustomStrategy):
    """Rules of ResourceFlavors."""

    def rules(self, obj: Json) -> list[FieldError]:
        spec = obj.get("spec") or {}
        found = check_labels(spec.get("nodeLabels"), "spec.nodeLabels")
        taints = spec.get("nodeTaints") or ()
        if any(taint["effect"] not in EFFECTS for taint in taints):
            found.append(rule_error("spec.nodeTaints", _EFFECTS))
        else:
            found += validate_taints(taints, "spec.nodeTaints")
        for i, toleration in enumerate(spec.get("tolerations") or ()):
            found += toleration_rules(toleration, f"spec.tolerations[{i}]")
        if spec.get("topologyName") and not spec.get("nodeLabels"):
            found.append(rule_error("spec", "at least one nodeLabel is required when topology is set"))
        return found

    def update_rules(self, new: Json, old: Json) -> list[FieldError]:
        before, after = (old.get("spec") or {}).get("topologyName"), (new.get("spec") or {}).get("topologyName")
        if not before or after == before:
            return []
        return [rule_error("spec", "resourceFlavorSpec are immutable when topologyName is set")]


def toleration_rules(toleration: Json, path: str) -> list[FieldError]:
    """The CRD's rules of one toleration."""
    operator, effect = toleration.get("operator"), toleration.get("effect")
    found: list[FieldError] = []
    if not toleration.get("key") and operator != "Exists":
        why = "operator must be Exists when 'key' is empty, which means 'match all values and all keys'"
        found.append(rule_error(path, why))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        found.append(rule_error(path, "effect must be 'NoExecute' when 'tolerationSeconds' is set"))
    if operator not in (None, "", "Equal", "Exists"):
        found.append(rule_error(path, "supported toleration values: 'Equal'(default), 'Exists'"))
    if operator == "Exists" and toleration.get("value"):
        found.append(rule_error(path, "a value must be empty when 'operator' is 'Exists'"))
    if effect and effect not in EFFECTS:
        found.append(rule_error(path, _EFFECTS))
    return found


def kind() -> Kind:
    return custom_kind(RESOURCE_FLAVORS, "ResourceFlavor", ResourceFlavorStrategy)
