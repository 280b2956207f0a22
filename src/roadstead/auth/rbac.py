"""RBAC: roles say what may be done, bindings say by whom; there is no rule that forbids (k8s `plugin/pkg/auth/authorizer/rbac`).

A `Policy` holds all four kinds, indexed by subject: a decision costs the bindings that name the user or one of its groups, once,
and a look-up from then on, until any role or binding changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from roadstead.auth.attributes import DENIED, Attributes, Decision
from roadstead.auth.identity import Identity
from roadstead.auth.service_accounts import username
from roadstead.kinds.errors import go_quote
from roadstead.kinds.names import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, RBAC, ROLE_BINDINGS, ROLES
from roadstead.kinds.object import Object, Resource
from roadstead.kinds.views.rbac import PolicyRule, RoleBindingView, RoleRef, RoleView, Subject

RESOURCES: Final = (CLUSTER_ROLES, ROLES, CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS)
"""What a policy is made of."""

ALL: Final = "*"
CACHED: Final = 16384
"""So many decisions are remembered; then all are forgotten."""


class RoleMissing(LookupError):
    """A binding speaks of a role that does not exist."""

    def __init__(self, reference: RoleRef) -> None:
        super().__init__(f"{reference.kind.lower()}.{RBAC} {go_quote(reference.name)} not found")
        self.reference = reference


class Grant(NamedTuple):
    """What one binding gives to somebody. `source` names it, as the real server does."""

    source: str
    rules: Sequence[PolicyRule]


def allows(rule: PolicyRule, asked: Attributes) -> bool:
    """Does this rule allow that?"""
    if not _has(rule.verbs, asked.verb):
        return False
    if not asked.is_resource:
        return any(covers_path(path, asked.path) for path in rule.non_resource_urls or ())
    if not _has(rule.api_groups, asked.group):
        return False
    resources = rule.resources or ()
    if not (
        ALL in resources
        or asked.full_resource in resources
        or (asked.subresource and f"*/{asked.subresource}" in resources)
    ):
        return False
    return not rule.resource_names or asked.name in rule.resource_names


def covers_path(pattern: str, path: str) -> bool:
    """`*`, the path itself, or a beginning of it with a star at the end."""
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _has(values: Sequence[str] | None, value: str) -> bool:
    return values is not None and (value in values or ALL in values)


class _Scope:
    """The bindings of a namespace, or those of the cluster."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.bindings: dict[str, RoleBindingView] = {}
        self.by_subject: dict[str, set[str]] = {}

    def put(self, binding: RoleBindingView) -> None:
        name = binding.metadata.name
        self.remove(name)
        self.bindings[name] = binding
        for subject in binding.subjects or ():
            self.by_subject.setdefault(_key(subject, self.namespace), set()).add(name)

    def remove(self, name: str) -> None:
        found = self.bindings.pop(name, None)
        for subject in (found.subjects if found is not None else None) or ():
            key = _key(subject, self.namespace)
            names = self.by_subject.get(key)
            if names is not None:
                names.discard(name)
                if not names:
                    del self.by_subject[key]

    def of(self, identity: Identity) -> Iterator[tuple[RoleBindingView, Subject]]:
        """The bindings that name somebody, by name, each with the first of its subjects that does."""
        keys = {_user(identity.name), *map(_group, identity.groups)}
        names = {name for key in keys for name in self.by_subject.get(key, ())}
        for name in sorted(names):
            binding = self.bindings[name]
            yield binding, next(one for one in binding.subjects or () if _key(one, self.namespace) in keys)


def _user(name: str) -> str:
    return f"u:{name}"


def _group(name: str) -> str:
    return f"g:{name}"


def _key(subject: Subject, namespace: str) -> str:
    """Whom a subject is, as one word; "" is nobody."""
    match subject.kind:
        case "User":
            return _user(subject.name)
        case "Group":
            return _group(subject.name)
        case "ServiceAccount" if subject.namespace or namespace:
            return _user(username(subject.namespace or namespace, subject.name))
    return ""


class Policy:
    """All roles and bindings, and what follows from them."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str, str], Sequence[PolicyRule]] = {}
        self._scopes: dict[str, _Scope] = {}
        self._decisions: dict[tuple[str, tuple[str, ...], Attributes], Decision] = {}

    # --- what it is made of

    def put(self, found: Object) -> None:
        """A role or binding, new or changed. O(its subjects)."""
        meta = found.meta
        self._decisions.clear()
        if found.resource in (CLUSTER_ROLES, ROLES):
            self._roles[meta.namespace, meta.name] = found.view(RoleView).rules or ()
            return
        scope = self._scopes.get(meta.namespace)
        if scope is None:
            scope = self._scopes[meta.namespace] = _Scope(meta.namespace)
        scope.put(found.view(RoleBindingView))

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """It is gone."""
        self._decisions.clear()
        if resource in (CLUSTER_ROLES, ROLES):
            self._roles.pop((namespace, name), None)
        elif namespace in self._scopes:
            scope = self._scopes[namespace]
            scope.remove(name)
            if not scope.bindings:
                del self._scopes[namespace]

    # --- what follows

    def decide(self, identity: Identity, asked: Attributes) -> Decision:
        """May they? A look-up when it was asked before; else O(rules of the bindings that name them)."""
        key = (identity.name, tuple(identity.groups), asked)
        found = self._decisions.get(key)
        if found is None:
            if len(self._decisions) >= CACHED:
                self._decisions.clear()
            found = self._decisions[key] = self._decide(identity, asked)
        return found

    def _decide(self, identity: Identity, asked: Attributes) -> Decision:
        problems: list[str] = []
        for grant in self._visit(identity, asked.namespace):
            if isinstance(grant, RoleMissing):
                problems.append(str(grant))
            elif any(allows(rule, asked) for rule in grant.rules):
                return Decision(True, f"RBAC: allowed by {grant.source}")
        return Decision(False, f"RBAC: {together(problems)}") if problems else DENIED

    def rules_of(self, identity: Identity, namespace: str) -> tuple[list[PolicyRule], list[str]]:
        """Every rule that holds for somebody in a namespace (""; everywhere), and what could not be found out."""
        rules: list[PolicyRule] = []
        problems: list[str] = []
        for grant in self._visit(identity, namespace):
            if isinstance(grant, RoleMissing):
                problems.append(str(grant))
            else:
                rules += grant.rules
        return rules, problems

    def rules_behind(self, reference: RoleRef, namespace: str) -> Sequence[PolicyRule]:
        """The rules of the role that a binding in `namespace` ("": of the cluster) speaks of. Raises RoleMissing."""
        found = self._roles.get((namespace if reference.kind == "Role" else "", reference.name))
        if found is None:
            raise RoleMissing(reference)
        return found

    def _visit(self, identity: Identity, namespace: str) -> Iterator[Grant | RoleMissing]:
        """The cluster's bindings first, then those of the namespace."""
        for where in ("", namespace) if namespace else ("",):
            scope = self._scopes.get(where)
            if scope is None:
                continue
            for binding, subject in scope.of(identity):
                try:
                    yield Grant(_source(binding, subject), self.rules_behind(binding.role_ref, where))
                except RoleMissing as error:
                    yield error


def together(problems: Sequence[str]) -> str:
    """Several errors as Go prints an aggregate: each once."""
    unique = list(dict.fromkeys(problems))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


def _source(binding: RoleBindingView, subject: Subject) -> str:
    meta, role = binding.metadata, binding.role_ref
    kind, name = (
        ("RoleBinding", f"{meta.name}/{meta.namespace}") if meta.namespace else ("ClusterRoleBinding", meta.name)
    )
    who = subject.name
    if subject.kind == "ServiceAccount":
        who = f"{subject.name}/{subject.namespace or meta.namespace}"
    return f"{kind} {go_quote(name)} of {role.kind} {go_quote(role.name)} to {subject.kind} {go_quote(who)}"
