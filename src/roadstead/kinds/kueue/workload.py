"""Workload (kueue.x-k8s.io/v1beta2): what a job asks of the queue, and what it was given (kueue reference 1.6)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.custom import CustomStrategy, custom_kind, rule_error
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.kueue.resource_flavor import toleration_rules
from roadstead.kinds.metadata import check_annotations, check_labels
from roadstead.kinds.names import ELASTIC_ANNOTATION, KUEUE, WORKLOADS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.model.amounts import CPU

_RESERVED_KEY: Final = "the key is reserved for internal kueue use"
_CLASSES: Final = {("scheduling.k8s.io", "PriorityClass"), (KUEUE, "WorkloadPriorityClass")}
_IMMUTABLE: Final = "field is immutable"


class WorkloadStrategy(CustomStrategy):
    """Rules of Workloads: what is asked for does not change while it is given."""

    def rules(self, obj: Json) -> list[FieldError]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        pod_sets: list[Json] = spec.get("podSets") or []
        found: list[FieldError] = []
        for i, pod_set in enumerate(pod_sets):
            _pod_set(pod_set, f"spec.podSets[{i}]", found)
        variable = sum("minCount" in pod_set for pod_set in pod_sets)
        if variable > 1:
            found.append(invalid("spec.podSets", variable, "at most one podSet can use minCount"))
        reference = spec.get("priorityClassRef")
        if reference is not None:
            if (reference["group"], reference["kind"]) not in _CLASSES:
                why = (
                    f"must be scheduling.k8s.io PriorityClass or {KUEUE} WorkloadPriorityClass, not "
                    f"{reference['group']} {reference['kind']}"
                )
                found.append(rule_error("spec.priorityClassRef", why))
            if spec.get("priority") is None:
                found.append(rule_error("spec", "priority should not be nil when priorityClassRef is set"))
        if holds_quota(obj):
            _admission(status["admission"], pod_sets, found)
        _reclaimable(status, pod_sets, found)
        _admission_checks(status, pod_sets, found)
        _clusters(status, found)
        return found

    def update_rules(self, new: Json, old: Json) -> list[FieldError]:
        found: list[FieldError] = []
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        reserved = is_true(old, "QuotaReserved")
        if holds_quota(old) and spec.get("podSets") != before.get("podSets") and not _only_shrinks(new, old):
            found.append(invalid("spec.podSets", spec.get("podSets"), _IMMUTABLE))
        if reserved:
            if spec.get("queueName", "") != before.get("queueName", "") and is_true(new, "QuotaReserved"):
                found.append(rule_error("spec", "queueName is immutable while workload quota reserved"))
            _priority_class(spec.get("priorityClassRef"), before.get("priorityClassRef"), found)
        if is_true(old, "Admitted") and is_true(new, "Admitted"):
            name = "maximumExecutionTimeSeconds"
            if spec.get(name, 0) != before.get(name, 0):
                found.append(rule_error("spec", f"{name} is immutable while admitted"))
        _admission_update(new, old, found)
        if holds_quota(new) and holds_quota(old):
            _reclaimable_update(new, old, found)
        _ready_checks(new, old, found)
        _cluster_name(new, old, found)
        return found


def is_true(obj: Json, kind: str) -> bool:
    """True if the condition is there with status True."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)


def holds_quota(obj: Json) -> bool:
    """QuotaReserved is True and the admission says where."""
    return is_true(obj, "QuotaReserved") and bool((obj.get("status") or {}).get("admission"))


def _pod_set(pod_set: Json, path: str, found: list[FieldError]) -> None:
    count, low = pod_set.get("count", 1), pod_set.get("minCount")
    if low is not None and low > count:
        found.append(rule_error(path, "minCount should be positive and less or equal to count"))
    template = pod_set.get("template") or {}
    metadata = template.get("metadata") or {}
    found += check_labels(metadata.get("labels"), f"{path}.template.metadata.labels")
    found += check_annotations(metadata.get("annotations"), f"{path}.template.metadata.annotations")
    spec = template.get("spec") or {}
    for name in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(name) or ()):
            _resources(container.get("resources") or {}, f"{path}.template.spec.{name}[{i}].resources", found)
    _topology(pod_set.get("topologyRequest") or {}, f"{path}.topologyRequest", found)


def _resources(resources: Json, path: str, found: list[FieldError]) -> None:
    for name in ("requests", "limits"):
        for resource, amount in (resources.get(name) or {}).items():
            here = f"{path}.{name}[{resource}]"
            if resource == "pods":
                found.append(invalid(here, "pods", _RESERVED_KEY))
            checks.amount(amount, here, found)


def _topology(request: Json, path: str, found: list[FieldError]) -> None:
    slice_topology, slice_size = request.get("podSetSliceRequiredTopology"), request.get("podSetSliceSize")
    constraints = request.get("podsetSliceRequiredTopologyConstraints")
    if (slice_topology is None) != (slice_size is None):
        why = "podSetSliceRequiredTopology and podSetSliceSize must be set together"
        found.append(rule_error(path, why))
    if constraints and (slice_topology is not None or slice_size is not None):
        why = (
            "podsetSliceRequiredTopologyConstraints can not be set together with podSetSliceRequiredTopology or "
            "podSetSliceSize"
        )
        found.append(rule_error(path, why))
    if slice_size is not None and slice_size < 1:
        found.append(invalid(f"{path}.podSetSliceSize", slice_size, "must be greater than or equal to 1"))
    if (request.get("subGroupCount") or 0) < 0:
        found.append(invalid(f"{path}.subGroupCount", request["subGroupCount"], "must be greater than or equal to 0"))


def _admission(admission: Json, pod_sets: list[Json], found: list[FieldError]) -> None:
    path = "status.admission.podSetAssignments"
    names = {pod_set.get("name", "main") for pod_set in pod_sets}
    assignments = admission.get("podSetAssignments") or []
    if len(assignments) != len(pod_sets):
        found.append(invalid(path, assignments, "must have the same number of podSets as the spec"))
    for i, assignment in enumerate(assignments):
        here = f"{path}[{i}]"
        name = assignment.get("name", "main")
        if name not in names:
            found.append(FieldError(errors.NOT_FOUND, f"{here}.name", f"Not found: {errors.go_value(name)}"))
        count = assignment.get("count") or 0
        if count > 0:
            for resource, amount in (assignment.get("resourceUsage") or {}).items():
                at = f"{here}.resourceUsage[{resource}]"
                usage = checks.amount(amount, at, found)
                if (usage.milli if resource == CPU else usage.value) % count:
                    found.append(invalid(at, str(usage), f"is not a multiple of {count}"))


def _reclaimable(status: Json, pod_sets: list[Json], found: list[FieldError]) -> None:
    counts = {pod_set.get("name", "main"): pod_set.get("count", 1) for pod_set in pod_sets}
    for entry in status.get("reclaimablePods") or ():
        name, count = entry["name"], entry["count"]
        path = f"status.reclaimablePods[{name}]"
        if name not in counts:
            found.append(errors.not_supported(f"{path}.name", name, list(counts)))
        elif count > counts[name]:
            found.append(invalid(f"{path}.count", count, f"should be less or equal to {counts[name]}"))


def _reclaimable_update(new: Json, old: Json, found: list[FieldError]) -> None:
    now = {entry["name"]: entry["count"] for entry in new["status"].get("reclaimablePods") or ()}
    for entry in old["status"].get("reclaimablePods") or ():
        path = f"status.reclaimablePods[{entry['name']}]"
        if entry["name"] not in now:
            found.append(errors.required(path, "cannot be removed"))
        elif now[entry["name"]] < entry["count"]:
            found.append(invalid(f"{path}.count", now[entry["name"]], f"cannot be less then {entry['count']}"))


def _admission_checks(status: Json, pod_sets: list[Json], found: list[FieldError]) -> None:
    names = {pod_set.get("name", "main") for pod_set in pod_sets}
    for i, check in enumerate(status.get("admissionChecks") or ()):
        path = f"status.admissionChecks[{i}].podSetUpdates"
        updates = check.get("podSetUpdates") or ()
        if updates and len(updates) != len(pod_sets):
            why = "must have the same number of podSetUpdates as the podSets"
            found.append(invalid(path, updates, why))
        for j, update in enumerate(updates):
            here = f"{path}[{j}]"
            if update["name"] not in names:
                found.append(errors.not_supported(f"{here}.name", update["name"], sorted(names)))
            found += check_labels(update.get("labels"), f"{here}.labels")
            found += check_annotations(update.get("annotations"), f"{here}.annotations")
            found += check_labels(update.get("nodeSelector"), f"{here}.nodeSelector")
            for k, toleration in enumerate(update.get("tolerations") or ()):
                found += toleration_rules(toleration, f"{here}.tolerations[{k}]")


def _ready_checks(new: Json, old: Json, found: list[FieldError]) -> None:
    """podSetUpdates of a check that stays Ready do not change."""
    before = {check["name"]: check for check in (old.get("status") or {}).get("admissionChecks") or ()}
    for i, check in enumerate((new.get("status") or {}).get("admissionChecks") or ()):
        was = before.get(check["name"])
        if was is None or was["state"] != "Ready" or check["state"] != "Ready":
            continue
        if check.get("podSetUpdates") != was.get("podSetUpdates"):
            path = f"status.admissionChecks[{i}].podSetUpdates"
            found.append(invalid(path, check.get("podSetUpdates"), _IMMUTABLE))


def _clusters(status: Json, found: list[FieldError]) -> None:
    if status.get("clusterName") and status.get("nominatedClusterNames"):
        found.append(rule_error("status", "clusterName and nominatedClusterNames are mutually exclusive"))


def _cluster_name(new: Json, old: Json, found: list[FieldError]) -> None:
    before, after = old.get("status") or {}, new.get("status") or {}
    was, now = before.get("clusterName"), after.get("clusterName")
    if was and now and was != now:
        found.append(rule_error("status", "clusterName is immutable once set"))
    nominated = before.get("nominatedClusterNames") or ()
    if now and not was and nominated and now not in nominated:
        found.append(rule_error("status", "clusterName must be one of the nominatedClusterNames"))


def _priority_class(new: Json | None, old: Json | None, found: list[FieldError]) -> None:
    """While quota is reserved: neither added nor removed; only a WorkloadPriorityClass may be exchanged for another."""
    path = "spec.priorityClassRef"
    if (new is None) != (old is None):
        word = "added" if old is None else "removed"
        found.append(rule_error("spec", f"priorityClassRef cannot be {word} while workload quota reserved"))
        return
    if new is None or old is None or new == old:
        return
    for name in ("group", "kind"):
        if new[name] != old[name]:
            found.append(rule_error(f"{path}.{name}", "field is immutable while workload quota reserved"))
    if new["name"] != old["name"] and old["kind"] == "PriorityClass":
        found.append(rule_error(f"{path}.name", "field is immutable while workload quota reserved"))


def _admission_update(new: Json, old: Json, found: list[FieldError]) -> None:
    """An admission is set or cleared, not edited; only topology assignments come later."""
    before, after = (old.get("status") or {}).get("admission"), (new.get("status") or {}).get("admission")
    if not before or not after:
        return
    if _without_topology(before) != _without_topology(after):
        found.append(invalid("status.admission", after, _IMMUTABLE))


def _without_topology(admission: Json) -> Any:
    later = ("topologyAssignment", "delayedTopologyRequest")
    assignments = [
        {key: value for key, value in assignment.items() if key not in later}
        for assignment in admission.get("podSetAssignments") or ()
    ]
    return {**admission, "podSetAssignments": assignments}


def _only_shrinks(new: Json, old: Json) -> bool:
    """An elastic workload may give pods back while it runs."""
    annotations = old["metadata"].get("annotations") or {}
    if annotations.get(ELASTIC_ANNOTATION) != "true":
        return False
    before, after = old["spec"].get("podSets") or [], new["spec"].get("podSets") or []
    if len(before) != len(after):
        return False
    return all(
        {**now, "count": 0} == {**was, "count": 0} and now.get("count", 1) <= was.get("count", 1)
        for now, was in zip(after, before, strict=True)
    )


def kind() -> Kind:
    return custom_kind(WORKLOADS, "Workload", WorkloadStrategy)
