"""Namespace (v1): a label with its own name, the `kubernetes` finalizer, a phase."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import ages, errors
from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.errors import FieldError
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.object import Json
from roadstead.kinds.registry import ALL_VERBS, Kind, Subresource
from roadstead.kinds.strategy import Column

NAME_LABEL: Final = "kubernetes.io/metadata.name"
FINALIZER: Final = "kubernetes"
_STANDARD_FINALIZERS: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


class NamespaceStrategy(StatusStrategy):
    """Namespaces."""

    name_rule = staticmethod(syntax.dns_label)
    field_names = ("status.phase", "name")
    columns = (Column("Name", format="name"), Column("Status"), Column("Age"))

    def default(self, obj: Json) -> None:
        metadata = obj["metadata"]
        if metadata.get("name"):
            labels = metadata.get("labels")
            metadata["labels"] = {**(labels or {}), NAME_LABEL: metadata["name"]}
        status = obj.setdefault("status", {})
        status.setdefault("phase", "Active")

    def prepare_create(self, obj: Json) -> None:
        self.default(obj)  # a generated name is known only now
        obj["status"] = {"phase": "Active"}
        finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        super().prepare_update(new, old, subresource)
        if subresource != "finalize":
            new["spec"] = old.get("spec", {})

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        for i, name in enumerate((obj.get("spec") or {}).get("finalizers") or ()):
            for why in syntax.qualified_name(name):
                found.append(errors.invalid("spec.finalizers", name, why))
            if "/" not in name and name not in _STANDARD_FINALIZERS:
                why = "name is neither a standard finalizer name nor is it fully qualified"
                found.append(errors.invalid(f"spec.finalizers[{i}]", name, why))
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        phase = (new.get("status") or {}).get("phase", "")
        deleted = bool(new["metadata"].get("deletionTimestamp"))
        if subresource == "status" and not deleted and phase != "Active":
            why = "may only be 'Active' if `deletionTimestamp` is empty"
            return [errors.invalid("status.Phase", phase, why)]
        if subresource == "status" and deleted and phase != "Terminating":
            why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            return [errors.invalid("status.Phase", phase, why)]
        return self.validate(new) if subresource == "finalize" else []

    def fields(self, obj: Json) -> dict[str, str]:
        return {"status.phase": (obj.get("status") or {}).get("phase", ""), "name": obj["metadata"]["name"]}

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], (obj.get("status") or {}).get("phase", ""), ages.created(obj, now)]


def kind() -> Kind:
    return builtin_kind(
        NAMESPACES,
        "Namespace",
        NamespaceStrategy(),
        namespaced=False,
        short_names=("ns",),
        subresources=(STATUS, Subresource("finalize", verbs=("update",))),
        verbs=tuple(verb for verb in ALL_VERBS if verb != "deletecollection"),
    )
