"""RoleBinding and ClusterRoleBinding (rbac.authorization.k8s.io/v1): who is granted a role. What is granted never
changes."""

from __future__ import annotations

from typing import Any, Final

from roadstead.kinds import ages
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.names import CLUSTER_ROLE_BINDINGS, RBAC, ROLE_BINDINGS
from roadstead.kinds.object import Json
from roadstead.kinds.rbac.checks import role_reference, segment_name, subjects
from roadstead.kinds.registry import Kind
from roadstead.kinds.strategy import Column, Strategy

_REFERENCE: Final = ("apiGroup", "kind", "name")


class RoleBindingStrategy(Strategy):
    """Bindings in a namespace, of its roles or of the cluster's."""

    is_namespaced = True
    role_kinds: tuple[str, ...] = ("Role", "ClusterRole")
    create_on_update = True
    name_rule = staticmethod(segment_name)
    columns = (
        Column("Name", format="name"),
        Column("Role"),
        Column("Age"),
        Column("Users", priority=1),
        Column("Groups", priority=1),
        Column("ServiceAccounts", priority=1),
    )

    def default(self, obj: Json) -> None:
        reference = obj.setdefault("roleRef", {})
        for name in _REFERENCE:
            reference.setdefault(name, "")
        reference["apiGroup"] = reference["apiGroup"] or RBAC
        if not obj.get("subjects"):
            obj.pop("subjects", None)
        for subject in obj.get("subjects") or ():
            if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = RBAC

    def validate(self, obj: Json) -> list[FieldError]:
        found: list[FieldError] = []
        role_reference(obj["roleRef"], found, self.role_kinds)
        subjects(obj.get("subjects"), found, namespaced=self.is_namespaced)
        return found

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        found = self.validate(new)
        if new["roleRef"] != old["roleRef"]:
            value = {name[0].upper() + name[1:]: new["roleRef"][name] for name in _REFERENCE}
            value["APIGroup"] = value.pop("ApiGroup")
            found.append(invalid("roleRef", dict(sorted(value.items())), "cannot change roleRef"))
        return found

    def cells(self, obj: Json, now: float) -> list[Any]:
        reference = obj["roleRef"]
        names: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
        for subject in obj.get("subjects") or ():
            kind, name = subject.get("kind", ""), subject.get("name", "")
            if kind in names:
                names[kind].append(f"{subject.get('namespace', '')}/{name}" if kind == "ServiceAccount" else name)
        role = f"{reference['kind']}/{reference['name']}"
        return [obj["metadata"]["name"], role, ages.created(obj, now), *(", ".join(one) for one in names.values())]


class ClusterRoleBindingStrategy(RoleBindingStrategy):
    """Bindings that hold everywhere."""

    is_namespaced = False
    role_kinds = ("ClusterRole",)


def role_binding() -> Kind:
    return builtin_kind(ROLE_BINDINGS, "RoleBinding", RoleBindingStrategy())


def cluster_role_binding() -> Kind:
    return builtin_kind(CLUSTER_ROLE_BINDINGS, "ClusterRoleBinding", ClusterRoleBindingStrategy(), namespaced=False)
