"""What is known about somebody's rights only once an object is looked for: a PUT, or an apply, of one that is missing
makes it."""

from __future__ import annotations

from roadstead.auth.attributes import Attributes, refusal
from roadstead.auth.identity import Identity
from roadstead.cluster.embedded.requests import User
from roadstead.kinds.registry import Kind


def check_may_create(kind: Kind, namespace: str, name: str, user: User) -> None:
    """Raises StatusError 403 if they may change such objects and not make them."""
    if not user.may_create:
        asked = Attributes("create", kind.resource.group, kind.resource.plural, namespace=namespace, name=name)
        raise refusal(Identity(user.name), asked)
