"""Gates by annotation: `kueue.x-k8s.io/admission-gated-by` names controllers that want to be done with a job before it
is admitted (KEP-6915; kueue 1.15, 5.2). Set when the job is created; afterwards each takes itself off, and nobody comes
on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roadstead.expr.syntax import dns_subdomain
from roadstead.kinds.errors import FieldError, forbidden, invalid, too_long
from roadstead.kinds.names import ADMISSION_GATE_ANNOTATION
from roadstead.kinds.object import Json

PATH: Final = f"metadata.annotations[{ADMISSION_GATE_ANNOTATION}]"
LONGEST_NAME: Final = 63
"""As of a Job's `managedBy`."""


def gates_of(annotations: Mapping[str, str]) -> str:
    """The annotation's value; "" if nothing gates the object."""
    return annotations.get(ADMISSION_GATE_ANNOTATION) or ""


def set_gates(value: Json, text: str) -> None:
    """Write the annotation of a decoded whole object, in place; "" takes it away."""
    annotations = value["metadata"].setdefault("annotations", {})
    if text:
        annotations[ADMISSION_GATE_ANNOTATION] = text
    else:
        annotations.pop(ADMISSION_GATE_ANNOTATION, None)


def gate_errors(job: Json, old: Json | None) -> list[FieldError]:
    """What is wrong with a job's gates, new (`old` None) or changed."""
    text, before = (gates_of((each or {}).get("metadata", {}).get("annotations") or {}) for each in (job, old))
    errors = []
    if old is not None and text and not before:
        errors.append(forbidden(PATH, "cannot add admission gate after creation"))
    elif before and text and not set(_names(text)) <= set(_names(before)):
        errors.append(forbidden(PATH, "can only remove gates, not add new ones"))
    return errors + _shape_errors(text) if text else errors


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _shape_errors(text: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for name in _names(text):
        if not name:
            errors.append(invalid(PATH, text, "cannot contain empty gate names"))
        elif name in seen:
            errors.append(invalid(PATH, text, f"duplicate gate name: {name}"))
        else:
            seen.add(name)
            errors += _name_errors(name)
    return errors


def _name_errors(name: str) -> list[FieldError]:
    domain, _, path = name.partition("/")
    if not domain or not path:
        errors = [invalid(PATH, name, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    else:
        errors = [invalid(PATH, domain, wrong) for wrong in dns_subdomain(domain)]
    return [*errors, too_long(PATH, LONGEST_NAME)] if len(name) > LONGEST_NAME else errors
