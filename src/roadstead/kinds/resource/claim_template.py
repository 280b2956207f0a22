"""ResourceClaimTemplate (resource.k8s.io/v1): the claim that every pod which names it gets for itself."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.metadata import check_annotations, check_labels
from roadstead.kinds.names import RESOURCE_CLAIM_TEMPLATES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind
from roadstead.kinds.resource import checks
from roadstead.kinds.resource.claim_spec import default_spec, drop_gated, validate_spec
from roadstead.kinds.strategy import Column, Strategy

_NOT_SET: Final = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
"""Claims have their own."""


class ResourceClaimTemplateStrategy(Strategy):
    """Templates never change: claims made from one are alike."""

    columns = (Column("Name", format="name"), Column("Age"))

    def default(self, obj: Json) -> None:
        default_spec(obj["spec"]["spec"])

    def prepare_create(self, obj: Json) -> None:
        drop_gated(obj["spec"]["spec"], None)

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        drop_gated(new["spec"]["spec"], old["spec"]["spec"])

    def validate(self, obj: Json) -> list[FieldError]:
        metadata: Json = obj["spec"].get("metadata") or {}
        found = check_annotations(metadata.get("annotations"), "spec.metadata.annotations")
        found += check_labels(metadata.get("labels"), "spec.metadata.labels")
        for name in _NOT_SET:
            if metadata.get(name):
                found.append(errors.forbidden(f"spec.metadata.{name}", "cannot be set"))
        validate_spec(obj["spec"]["spec"], "spec.spec", found)
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found: list[FieldError] = []
        checks.immutable(new["spec"], old["spec"], "spec", found)
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], ages.created(obj, now)]


def kind() -> Kind:
    return builtin_kind(RESOURCE_CLAIM_TEMPLATES, "ResourceClaimTemplate", ResourceClaimTemplateStrategy())
