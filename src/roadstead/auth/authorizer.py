"""May they? Administrators always; everybody else what roles and bindings say, kept up to date with the objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roadstead.auth.attributes import ALLOWED, Attributes, Decision
from roadstead.auth.identity import MASTERS, Identity
from roadstead.auth.rbac import Policy
from roadstead.kinds.views.rbac import PolicyRule


class Authorizer:
    """`policy` is asked for at each decision that needs it, and must be up to date then."""

    def __init__(self, policy: Callable[[], Policy]) -> None:
        self._policy = policy

    def decide(self, identity: Identity, asked: Attributes) -> Decision:
        """One comparison for administrators, mostly a look-up for others."""
        if MASTERS in identity.groups:
            return ALLOWED
        return self._policy().decide(identity, asked)

    def rules_of(self, identity: Identity, namespace: str) -> tuple[Sequence[PolicyRule], Sequence[str]]:
        """All rules that hold for somebody in a namespace, and what could not be found out. (Administrators have theirs by a
        binding as well.)"""
        return self._policy().rules_of(identity, namespace)
