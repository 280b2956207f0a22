"""What roles and bindings have in common (k8s `pkg/apis/rbac/validation`)."""

from __future__ import annotations

from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds.errors import FieldError, invalid, not_supported, required
from roadstead.kinds.names import RBAC
from roadstead.kinds.object import Json

SUBJECTS: Final = ("ServiceAccount", "User", "Group")
_NOT_SEGMENTS: Final = (".", "..")
_NOT_IN_SEGMENTS: Final = ("/", "%")


def segment_name(value: str) -> tuple[str, ...]:
    """What is wrong with a name that needs only be one segment of a path (`system:node` is one)."""
    if value in _NOT_SEGMENTS:
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{character}'" for character in _NOT_IN_SEGMENTS if character in value)


def policy_rules(rules: Any, found: list[FieldError], *, namespaced: bool) -> None:
    """Every rule allows some verb on resources or, cluster-wide, on paths."""
    for index, rule in enumerate(rules or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            found.append(required(f"{path}.verbs", "verbs must contain at least one value"))
        urls = rule.get("nonResourceURLs")
        if urls:
            if namespaced:
                why = "namespaced rules cannot apply to non-resource URLs"
                found.append(invalid(f"{path}.nonResourceURLs", urls, why))
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                why = "rules cannot apply to both regular resources and non-resource URLs"
                found.append(invalid(f"{path}.nonResourceURLs", urls, why))
            continue
        if not rule.get("apiGroups"):
            found.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            found.append(required(f"{path}.resources", "resource rules must supply at least one resource"))


def role_reference(reference: Json, found: list[FieldError], kinds: tuple[str, ...]) -> None:
    """What a binding grants."""
    if reference.get("apiGroup", "") != RBAC:
        found.append(not_supported("roleRef.apiGroup", reference.get("apiGroup", ""), (RBAC,)))
    if reference.get("kind", "") not in kinds:
        found.append(not_supported("roleRef.kind", reference.get("kind", ""), kinds, keep_order=True))
    name = reference.get("name") or ""
    if not name:
        found.append(required("roleRef.name"))
    found += [invalid("roleRef.name", name, why) for why in segment_name(name)]


def subjects(listed: Any, found: list[FieldError], *, namespaced: bool) -> None:
    """Whom a binding grants it."""
    for index, subject in enumerate(listed or ()):
        _subject(subject, f"subjects[{index}]", found, namespaced=namespaced)


def _subject(subject: Json, path: str, found: list[FieldError], *, namespaced: bool) -> None:
    name, kind, group = subject.get("name") or "", subject.get("kind") or "", subject.get("apiGroup") or ""
    if not name:
        found.append(required(f"{path}.name"))
    if kind == "ServiceAccount":
        if name:
            found += [invalid(f"{path}.name", name, why) for why in syntax.dns_subdomain(name)]
        if group:
            found.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            found.append(required(f"{path}.namespace"))
    elif kind in SUBJECTS:
        if group != RBAC:
            found.append(not_supported(f"{path}.apiGroup", group, (RBAC,)))
    else:
        found.append(not_supported(f"{path}.kind", kind, SUBJECTS, keep_order=True))
