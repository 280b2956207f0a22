"""What may change in a Job (kubernetes `ValidateJobUpdate`): little once it has started, where it may run while it is
suspended."""

from __future__ import annotations

from typing import Any

from roadstead.kinds.batch.job_status import condition_is_true
from roadstead.kinds.batch.job_validation import internal_success_policy, validate_job, validate_job_spec
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")


def validate_job_update(new: Json, old: Json) -> list[FieldError]:
    """Problems of a change to the main endpoint. Rules of the spec are listed twice, as the real server does."""
    spec, before = new["spec"], old["spec"]
    found = validate_job(new) + validate_job_spec(spec)
    _completions(spec, before, found)
    _immutable("selector", spec, before, found)
    _template(new, old, found)
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy"):
        _immutable(name, spec, before, found)
    if spec.get("successPolicy") != before.get("successPolicy"):
        policy = spec.get("successPolicy")
        shown = None if policy is None else internal_success_policy(policy)
        found.append(invalid("spec.successPolicy", shown, "field is immutable"))
    return found


def _immutable(name: str, spec: Json, before: Json, found: list[FieldError]) -> None:
    if spec.get(name) != before.get(name):
        found.append(invalid(f"spec.{name}", spec.get(name), "field is immutable"))


def _completions(spec: Json, before: Json, found: list[FieldError]) -> None:
    """Fixed, except that an Indexed Job may grow and shrink together with its parallelism."""
    if spec.get("completions") == before.get("completions"):
        return
    if spec.get("completionMode") != "Indexed":
        found.append(invalid("spec.completions", spec.get("completions"), "field is immutable"))
    elif spec.get("completions") is not None and spec["completions"] != spec.get("parallelism"):
        why = "can only be modified in tandem with spec.parallelism"
        found.append(invalid("spec.completions", spec["completions"], why))


def may_change_directives(old: Json) -> bool:
    """True for a suspended Job none of whose pods run: never started, or suspended to the end (KEP-2926, KEP-5440)."""
    status = old.get("status") or {}
    if not old["spec"].get("suspend"):
        return False
    if not status.get("startTime"):
        return True
    return condition_is_true(status, "Suspended") and not status.get("active", 0)


def _template(new: Json, old: Json, found: list[FieldError]) -> None:
    template, before = new["spec"]["template"], old["spec"]["template"]
    if template == before:
        return
    if may_change_directives(old):
        before = _with_directives(before, template)
        if template == before:
            return
    found.append(invalid("spec.template", template, "field is immutable"))


def _with_directives(before: Json, template: Json) -> Json:
    """The old template with everything taken over that a suspended Job may change."""
    metadata = {**(before.get("metadata") or {})}
    for name in ("labels", "annotations"):
        _take(metadata, template.get("metadata") or {}, name)
    spec = {**before["spec"]}
    for name in _DIRECTIVES:
        _take(spec, template["spec"], name)
    for name in ("containers", "initContainers"):
        spec[name] = [
            {**container, "resources": other.get("resources", {})}
            if container.get("name") == other.get("name")
            else container
            for container, other in _pairs(spec.get(name), template["spec"].get(name))
        ]
        if not spec[name] and name not in before["spec"]:
            del spec[name]
    _node_affinity(spec, template["spec"])
    return {**before, "metadata": metadata, "spec": spec}


def _pairs(old: Any, new: Any) -> list[tuple[Json, Json]]:
    old, new = old or [], new or []
    if len(old) != len(new):
        return [(container, {}) for container in old]
    return list(zip(old, new, strict=True))


def _take(target: Json, source: Json, name: str) -> None:
    if name in source:
        target[name] = source[name]
    else:
        target.pop(name, None)


def _node_affinity(spec: Json, template: Json) -> None:
    new, old = template.get("affinity"), spec.get("affinity")
    if new is None and old is not None:
        rest = {key: value for key, value in old.items() if key != "nodeAffinity"}
        if rest:
            spec["affinity"] = rest
        else:
            del spec["affinity"]
    elif new is not None:
        affinity = {**(old or {})}
        _take(affinity, new, "nodeAffinity")
        spec["affinity"] = affinity
