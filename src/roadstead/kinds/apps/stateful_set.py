"""StatefulSet (apps/v1): pods with names and an order of their own.

Claims for storage are not made here (no PersistentVolumeClaims are served), so a StatefulSet that asks for them is
refused.
"""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.apps import common
from roadstead.kinds.builtin import STATUS, builtin_kind
from roadstead.kinds.core import checks, pod_spec
from roadstead.kinds.core.pod_defaults import default_template
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.int_or_percent import at_most_all, not_negative, plain
from roadstead.kinds.metadata import check_annotations, check_labels
from roadstead.kinds.names import STATEFUL_SETS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column

ROLLING: Final = "RollingUpdate"
ON_DELETE: Final = "OnDelete"
ORDERED: Final = "OrderedReady"
PARALLEL: Final = "Parallel"
_CHANGEABLE: Final = frozenset(
    {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
)
_FIXED: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_COUNTS: Final = (
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
)
_NO_CLAIMS: Final = (
    "this server makes no PersistentVolumeClaims; mount an emptyDir or hostPath volume in spec.template, or run the "
    "StatefulSet on a cluster with storage classes"
)


class StatefulSetStrategy(common.TemplateStrategy):
    """StatefulSets: little may change but the template and the number."""

    name_rule = staticmethod(syntax.dns_label)
    names_pods_loosely = False
    columns = (
        Column("Name", format="name"),
        Column("Ready"),
        Column("Age"),
        Column("Containers", priority=1),
        Column("Images", priority=1),
    )

    def default(self, obj: Json) -> None:
        spec = obj["spec"]
        if not spec.get("podManagementPolicy"):
            spec["podManagementPolicy"] = ORDERED
        strategy = spec["updateStrategy"]
        if not strategy.get("type"):
            strategy["type"] = ROLLING
            strategy.setdefault("rollingUpdate", {})
        rolling = strategy.get("rollingUpdate")
        if strategy["type"] == ROLLING and rolling is not None:
            rolling.setdefault("partition", 0)
            rolling.setdefault("maxUnavailable", 1)
        retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        for name in ("whenDeleted", "whenScaled"):
            if not retention.get(name):
                retention[name] = "Retain"
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)
        default_template(spec["template"])

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {"replicas": 0, "availableReplicas": 0}

    def validate(self, obj: Json) -> list[FieldError]:
        return _validate_spec(obj["spec"], is_new=True)

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        if subresource == "status":
            return _validate_status(new.get("status") or {}, old.get("status") or {})
        found = _validate_spec(new["spec"], is_new=False)
        spec, before = new["spec"], old["spec"]
        if any(spec.get(name) != before.get(name) for name in spec.keys() | before.keys() if name not in _CHANGEABLE):
            found.append(errors.forbidden("spec", _FIXED))
        return found

    def warnings(self, obj: Json) -> list[str]:
        return [*super().warnings(obj), *_history(obj)]

    def warnings_of_change(self, new: Json, old: Json) -> list[str]:
        return [*super().warnings_of_change(new, old), *_history(new)]

    def cells(self, obj: Json, now: float) -> list[Any]:
        spec, status = obj["spec"], obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
            ages.created(obj, now),
            *common.container_cells(spec),
        ]


def _history(obj: Json) -> list[str]:
    if obj["spec"].get("revisionHistoryLimit", 0) >= 0:
        return []
    why = "a negative value retains all historical revisions; a value >= 0 is recommended"
    return [f"spec.revisionHistoryLimit: {why}"]


def _validate_spec(spec: Json, *, is_new: bool) -> list[FieldError]:
    """`ValidateStatefulSetSpec`."""
    found: list[FieldError] = []
    policy = spec["podManagementPolicy"]
    if policy not in (ORDERED, PARALLEL):
        found.append(invalid("spec.podManagementPolicy", policy, f"must be '{ORDERED}' or '{PARALLEL}'"))
    _validate_strategy(spec["updateStrategy"], found)
    for name in ("whenDeleted", "whenScaled"):
        choice = spec["persistentVolumeClaimRetentionPolicy"][name]
        if choice not in ("Retain", "Delete"):
            path = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
            found.append(errors.not_supported(path, choice, ("Retain", "Delete")))
    if spec.get("volumeClaimTemplates"):
        found.append(errors.forbidden("spec.volumeClaimTemplates", _NO_CLAIMS))
    checks.not_negative(spec.get("replicas"), "spec.replicas", found)
    checks.not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds", found)
    checks.not_negative((spec.get("ordinals") or {}).get("start"), "spec.ordinals.start", found)
    if is_new and spec.get("serviceName"):
        checks.dns_label(spec["serviceName"], "spec.serviceName", found)
    if common.validate_selector(spec, "statefulset", found):
        _validate_template(spec, found)
    else:
        found.append(invalid("spec.selector", spec["selector"], ""))
    pod = spec["template"]["spec"]
    if pod.get("restartPolicy") != "Always":
        found.append(
            errors.not_supported("spec.template.spec.restartPolicy", pod.get("restartPolicy", ""), ("Always",))
        )
    if pod.get("activeDeadlineSeconds") is not None:
        why = "activeDeadlineSeconds in StatefulSet is not Supported"
        found.append(errors.forbidden("spec.template.spec.activeDeadlineSeconds", why))
    return found


def _validate_template(spec: Json, found: list[FieldError]) -> None:
    """Host name and subdomain are not looked at: they become the pod's name and the service's."""
    common.validate_labels(spec, found)
    template = spec["template"]
    pod = {name: value for name, value in template["spec"].items() if name not in ("hostname", "subdomain")}
    found += pod_spec.validate_template({**template, "spec": pod}, "spec.template")
    metadata = template.get("metadata") or {}
    found += check_labels(metadata.get("labels"), "spec.template.labels")  # once more, as the real server does
    found += check_annotations(metadata.get("annotations"), "spec.template.annotations")


def _validate_strategy(strategy: Json, found: list[FieldError]) -> None:
    path, kind, rolling = "spec.updateStrategy", strategy["type"], strategy.get("rollingUpdate")
    inner = rolling and {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}
    if kind == ON_DELETE:
        if rolling is not None:
            found.append(invalid(f"{path}.rollingUpdate", inner, f"only allowed for updateStrategy '{ROLLING}'"))
    elif kind == ROLLING:
        if rolling is None:
            return
        where, most = f"{path}.rollingUpdate.maxUnavailable", rolling.get("maxUnavailable")
        checks.not_negative(rolling.get("partition"), f"{path}.rollingUpdate.partition", found)
        if most is not None:
            not_negative(most, where, found)
            if plain(most) == 0:
                found.append(invalid(where, most, "cannot be 0"))
            at_most_all(most, where, found)
    else:
        shown = {"Type": kind, "RollingUpdate": inner}
        found.append(invalid(path, shown, f"must be '{ROLLING}' or '{ON_DELETE}'"))


def _validate_status(status: Json, before: Json) -> list[FieldError]:
    found: list[FieldError] = []
    common.counts(status, _COUNTS, found)
    names = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    common.not_above(status, names, found)
    common.available_within_ready(status, "status.readyReplicas", found)
    common.collisions_grow(status, before, found)
    return found


def kind() -> Kind:
    return builtin_kind(
        STATEFUL_SETS,
        "StatefulSet",
        StatefulSetStrategy(),
        short_names=("sts",),
        categories=("all",),
        subresources=(common.SCALE, STATUS),
    )
