"""Nobody grants what they do not have: whether some rules cover others, and the sentence for what is missing (k8s
`component-helpers/auth/rbac/validation`, `pkg/registry/rbac/validation`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from roadstead.auth.identity import Identity
from roadstead.auth.rbac import ALL, Policy, covers_path, together
from roadstead.kinds.errors import go_quote
from roadstead.kinds.views.rbac import PolicyRule

EVERYTHING: Final = (
    PolicyRule(verbs=(ALL,), api_groups=(ALL,), resources=(ALL,)),
    PolicyRule(verbs=(ALL,), non_resource_urls=(ALL,)),
)


def escalation(policy: Policy, identity: Identity, rules: Iterable[PolicyRule], namespace: str) -> str | None:
    """What somebody lacks who wants to grant these rules in a namespace ("": everywhere), as a sentence; None: nothing."""
    own, problems = policy.rules_of(identity, namespace)
    missing = missing_rules(own, rules)
    if not missing:
        return None
    listed = "\n".join(sorted({describe(rule) for rule in compact(missing)}))
    groups = " ".join(map(go_quote, identity.groups))
    sentence = f"user {go_quote(identity.name)} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{listed}"
    return f"{sentence}; resolution errors: {together(problems)}" if problems else sentence


def missing_rules(own: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Of the single permissions in `wanted` those that no rule of `own` covers. O(own x permissions)."""
    return [one for rule in wanted for one in single(rule) if not any(covers(having, one) for having in own)]


def single(rule: PolicyRule) -> Iterator[PolicyRule]:
    """A rule as rules of one verb on one thing each."""
    names: Sequence[tuple[str, ...]] = [(name,) for name in rule.resource_names or ()] or [()]
    for group in rule.api_groups or ():
        for resource in rule.resources or ():
            for verb in rule.verbs or ():
                for name in names:
                    yield PolicyRule((verb,), (group,), (resource,), name)
    for path in rule.non_resource_urls or ():
        for verb in rule.verbs or ():
            yield PolicyRule((verb,), non_resource_urls=(path,))


def covers(own: PolicyRule, one: PolicyRule) -> bool:
    """Does a rule include a single permission?"""
    return (
        _includes(own.verbs, one.verbs)
        and _includes(own.api_groups, one.api_groups)
        and all(_covers_resource(own.resources or (), resource) for resource in one.resources or ())
        and (not own.resource_names or (bool(one.resource_names) and _includes(own.resource_names, one.resource_names)))
        and all(
            any(covers_path(pattern, path) for pattern in own.non_resource_urls or ())
            for path in one.non_resource_urls or ()
        )
    )


def _includes(own: Sequence[str] | None, one: Sequence[str] | None) -> bool:
    having = own or ()
    return ALL in having or all(value in having for value in one or ())


def _covers_resource(own: Sequence[str], resource: str) -> bool:
    if ALL in own or resource in own:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in own


def compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Single permissions on the same resource put together, with all their verbs."""
    found: dict[PolicyRule, PolicyRule] = {}
    for rule in rules:
        if rule.non_resource_urls:
            found[rule] = rule
            continue
        key = PolicyRule((), rule.api_groups, rule.resources, rule.resource_names)
        before = found.get(key)
        verbs = (*(before.verbs or () if before else ()), *(rule.verbs or ()))
        found[key] = PolicyRule(verbs, rule.api_groups, rule.resources, rule.resource_names)
    return list(found.values())


def describe(rule: PolicyRule) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`."""
    parts = (
        ("APIGroups", rule.api_groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.non_resource_urls),
        ("ResourceNames", rule.resource_names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:[{' '.join(map(go_quote, values))}]" for name, values in parts if values) + "}"
