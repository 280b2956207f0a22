"""Rules of a new Job (kubernetes `pkg/apis/batch/validation`), in the server's order."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import selectors, syntax
from roadstead.kinds import errors
from roadstead.kinds.batch.policies import validate_failure_policy, validate_success_policy
from roadstead.kinds.core import checks
from roadstead.kinds.core.pod_spec import validate_template
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import JOB_CONTROLLER_UID_LABEL, JOB_NAME_LABEL
from roadstead.kinds.object import Json

MAX_PARALLELISM: Final = 100_000
MAX_FAILED_INDEXES: Final = 100_000
_MANY_COMPLETIONS: Final = 100_000
_TIGHT_LIMIT: Final = 10_000
_MANAGED_BY_LIMIT: Final = 63
_INDEXED_ONLY: Final = "requires indexed completion mode"
_COUNTS: Final = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


def validate_job(obj: Json) -> list[FieldError]:
    """Everything wrong with a defaulted Job whose selector has been generated."""
    found: list[FieldError] = []
    _generated_labels(obj, found)
    found += validate_job_spec(obj["spec"])
    spec, name = obj["spec"], obj["metadata"].get("name", "")
    completions = spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        host = f"{name}-{completions - 1}"
        if syntax.dns_label(host):
            why = f"will not able to create pod with invalid DNS label: {host}"
            found.append(invalid("metadata.name", name, why))
    return found


def _generated_labels(obj: Json, found: list[FieldError]) -> None:
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector") or not spec.get("selector"):
        return
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    expected = {
        "controller-uid": uid,
        "job-name": name,
        JOB_CONTROLLER_UID_LABEL: uid,
        JOB_NAME_LABEL: name,
    }
    for key, value in expected.items():
        if key not in labels:
            found.append(errors.required(f"spec.template.metadata.labels[{key}]", f"must be '{value}'"))
        elif labels[key] != value:
            found.append(invalid(f"spec.template.metadata.labels[{key}]", labels, f"must be '{value}'"))
    selector = selectors.from_object(spec["selector"])
    if not selectors.matches_selector(selector, expected):
        found.append(invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))


def validate_job_spec(spec: Json) -> list[FieldError]:
    """`ValidateJobSpec`: on create once, on update twice."""
    found: list[FieldError] = []
    for name in _COUNTS:
        checks.not_negative(spec.get(name), f"spec.{name}", found)
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(errors.required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if spec.get("managedBy") is not None:
        _managed_by(spec["managedBy"], found)
    mode = spec.get("completionMode")
    if mode not in ("NonIndexed", "Indexed"):
        found.append(errors.not_supported("spec.completionMode", mode, ("NonIndexed", "Indexed")))
    if mode == "Indexed":
        _indexed(spec, found)
    elif mode == "NonIndexed":
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                found.append(invalid(f"spec.{name}", spec[name], _INDEXED_ONLY))
    if spec.get("podFailurePolicy") is not None:
        validate_failure_policy(spec, found)
    if spec.get("successPolicy") is not None:
        if mode == "Indexed":
            validate_success_policy(spec, found)
        else:
            found.append(invalid("spec.successPolicy", internal_success_policy(spec["successPolicy"]), _INDEXED_ONLY))
    _replacement_policy(spec, found)
    found += validate_template(spec["template"], "spec.template")
    _restart_policy(spec, found)
    _selector(spec, found)
    return found


def _indexed(spec: Json, found: list[FieldError]) -> None:
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    failures, per_index = spec.get("maxFailedIndexes"), spec.get("backoffLimitPerIndex")
    if completions is None:
        found.append(errors.required("spec.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > MAX_PARALLELISM:
        why = f"must be less than or equal to {MAX_PARALLELISM} when completion mode is Indexed"
        found.append(invalid("spec.parallelism", parallelism, why))
    if completions is not None and failures is not None and failures > completions:
        found.append(invalid("spec.maxFailedIndexes", failures, "must be less than or equal to completions"))
    if failures is not None and failures > MAX_FAILED_INDEXES:
        found.append(invalid("spec.maxFailedIndexes", failures, f"must be less than or equal to {MAX_FAILED_INDEXES}"))
    if completions is not None and completions > _MANY_COMPLETIONS and per_index is not None:
        if failures is None:
            why = f"must be specified when completions is above {_MANY_COMPLETIONS}"
            found.append(errors.required("spec.maxFailedIndexes", why))
        for name, value in (("parallelism", parallelism), ("maxFailedIndexes", failures)):
            if value is not None and value > _TIGHT_LIMIT:
                why = (
                    f"must be less than or equal to {_TIGHT_LIMIT} when completions are above {_MANY_COMPLETIONS} and used "
                    "with backoff limit per index"
                )
                found.append(invalid(f"spec.{name}", value, why))


def _managed_by(value: str, found: list[FieldError]) -> None:
    path = "spec.managedBy"
    if not value:
        found.append(errors.required(path))
        return
    domain, slash, rest = value.partition("/")
    if not slash or not domain or not rest:
        why = 'must be a domain-prefixed path (such as "acme.io/foo")'
        found.append(invalid(path, value, why))
    else:
        found.extend(invalid(path, domain, why) for why in syntax.dns_subdomain(domain))
    if len(value) > _MANAGED_BY_LIMIT:
        found.append(errors.too_long(path, _MANAGED_BY_LIMIT))


def _replacement_policy(spec: Json, found: list[FieldError]) -> None:
    policy = spec.get("podReplacementPolicy")
    choices = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    if policy is not None and policy not in choices:
        found.append(errors.not_supported("spec.podReplacementPolicy", policy, choices))


def _restart_policy(spec: Json, found: list[FieldError]) -> None:
    path = "spec.template.spec.restartPolicy"
    policy = spec["template"]["spec"].get("restartPolicy", "")
    if policy in ("Always", ""):
        found.append(errors.required(path, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        found.append(errors.not_supported(path, policy, ("OnFailure", "Never"), keep_order=True))
    elif policy != "Never" and spec.get("podFailurePolicy") is not None:
        found.append(invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    elif policy != "Never" and spec.get("backoffLimitPerIndex") is not None:
        found.append(invalid(path, policy, 'only "Never" is supported when backoffLimitPerIndex is specified'))


def _selector(spec: Json, found: list[FieldError]) -> None:
    selector = spec.get("selector")
    if selector is None:
        found.append(errors.required("spec.selector"))
    else:
        checks.label_selector(selector, "spec.selector", found)
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if not selectors.matches_selector(selectors.from_object(selector), labels or {}):
        found.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))


def internal_success_policy(policy: Json) -> Any:
    """A success policy as the server's internal type prints it."""
    return {
        "Rules": [
            {"SucceededIndexes": rule.get("succeededIndexes"), "SucceededCount": rule.get("succeededCount")}
            for rule in policy.get("rules") or ()
        ]
    }
