"""What somebody wants to do, as authorizers see it, and the sentence that refuses it.

Verbs, groups and names are those of the URL (kubernetes-api section 1.3): nothing of a body is looked at.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from roadstead.auth.identity import Identity
from roadstead.kinds.errors import StatusError, access_denied, go_quote
from roadstead.kinds.object import Resource


class Attributes(NamedTuple):
    """One question. For a resource: `group` ("" = core), `resource` (plural), `subresource`, `namespace` ("" = all, or none),
    `name` ("" = none). Otherwise `path`, and the verb is the method in lower case."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    is_resource: bool = True

    @property
    def full_resource(self) -> str:
        """`pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Decision(NamedTuple):
    """Whether it may be done, and why: "" if there is no more to say."""

    is_allowed: bool
    reason: str = ""


ALLOWED: Final = Decision(True)
DENIED: Final = Decision(False)


def on_path(path: str, verb: str) -> Attributes:
    """The question about something that is no resource."""
    return Attributes(verb, path=path, is_resource=False)


def refusal(identity: Identity, asked: Attributes, reason: str = "") -> StatusError:
    """403 in the words of the real server (k8s `responsewriters.ForbiddenStatusError`)."""
    return denied(asked, _inert(_sentence(identity.name, asked)) + (f": {reason}" if reason else ""))


def denied(asked: Attributes, why: str) -> StatusError:
    """403 about what was asked for, with a sentence of its own."""
    if not asked.is_resource:
        return StatusError(403, "Forbidden", f"forbidden: {why}", {})
    return access_denied(Resource(asked.group, "", asked.resource), asked.name, why)


def _sentence(user: str, asked: Attributes) -> str:
    if not asked.is_resource:
        return f"User {go_quote(user)} cannot {asked.verb} path {go_quote(asked.path)}"
    what = f"resource {go_quote(asked.full_resource)} in API group {go_quote(asked.group)}"
    where = f"in the namespace {go_quote(asked.namespace)}" if asked.namespace else "at the cluster scope"
    return f"User {go_quote(user)} cannot {asked.verb} {what} {where}"


def _inert(text: str) -> str:
    """No browser takes it for HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
