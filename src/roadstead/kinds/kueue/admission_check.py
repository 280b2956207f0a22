"""AdmissionCheck (kueue.x-k8s.io/v1beta2): who else has to agree before a workload with quota is admitted (kueue
reference 1.7, 6.1).

Its condition Active is written by the controller that it names, never by us.
"""

from __future__ import annotations

from roadstead.kinds.custom import CustomStrategy, custom_kind, rule_error
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import ADMISSION_CHECKS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind


class AdmissionCheckStrategy(CustomStrategy):
    """Rules of AdmissionChecks."""

    def update_rules(self, new: Json, old: Json) -> list[FieldError]:
        before, after = (obj.get("spec", {}).get("controllerName") for obj in (old, new))
        return [rule_error("spec.controllerName", "field is immutable")] if before != after else []


def kind() -> Kind:
    return custom_kind(ADMISSION_CHECKS, "AdmissionCheck", AdmissionCheckStrategy)
