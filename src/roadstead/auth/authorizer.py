"""May they? Administrators always; nodes what nodes need; everybody else what roles and bindings say, kept up to date with the
objects (the real server's `--authorization-mode=Node,RBAC`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from roadstead.auth.attributes import ALLOWED, Attributes, Decision
from roadstead.auth.identity import MASTERS, Identity
from roadstead.auth.rbac import Policy
from roadstead.kinds.views.rbac import PolicyRule

NODE_RULES_UNKNOWN: Final = "node authorizer does not support user rule resolution"


class NodeRules(Protocol):
    """What nodes may do. None: whoever asks is none."""

    def decide(self, identity: Identity, asked: Attributes) -> Decision | None: ...


class Authorizer:
    """`policy` is asked for at each decision that needs it, and must be up to date then."""

    def __init__(self, policy: Callable[[], Policy], nodes: NodeRules | None = None) -> None:
        self.policy = policy
        self._nodes = nodes

    def decide(self, identity: Identity, asked: Attributes) -> Decision:
        """One comparison for administrators, mostly a look-up for others."""
        if MASTERS in identity.groups:
            return ALLOWED
        as_node = None if self._nodes is None else self._nodes.decide(identity, asked)
        if as_node is not None and as_node.is_allowed:
            return as_node
        by_policy = self.policy().decide(identity, asked)
        if by_policy.is_allowed or as_node is None or not as_node.reason:
            return by_policy
        return Decision(False, "\n".join(filter(None, (as_node.reason, by_policy.reason))))

    def rules_of(self, identity: Identity, namespace: str) -> tuple[Sequence[PolicyRule], bool, Sequence[str]]:
        """All rules that hold for somebody in a namespace; whether there may be more that cannot be listed; what went wrong."""
        rules, problems = self.policy().rules_of(identity, namespace)
        if self._nodes is not None and self._nodes.decide(identity, Attributes("")) is not None:
            return rules, True, [NODE_RULES_UNKNOWN, *problems]
        return rules, False, problems
