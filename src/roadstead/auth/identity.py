"""Who asks, and what a connection proves about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MASTERS: Final = "system:masters"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: user name and groups; where the proof says so, a uid, and more about it by name (which pod, which token)."""

    name: str
    groups: Sequence[str] = ()
    uid: str = ""
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


ANONYMOUS: Final = Identity("system:anonymous", (UNAUTHENTICATED,))


@dataclass(frozen=True, slots=True)
class Connection:
    """What the transport itself proves about the caller; established once per connection."""

    peer_uid: int | None = None
    """User id of the process at the other end of a Unix socket."""
    certificate: Identity | None = None
    """Subject of the verified client certificate: common name and organizations."""

    @property
    def is_local(self) -> bool:
        """It came through the Unix socket."""
        return self.peer_uid is not None


def certificate_identity(subject: Sequence[Sequence[tuple[str, str]]]) -> Identity | None:
    """The identity that a verified certificate's subject names (as `ssl.SSLSocket.getpeercert` gives it)."""
    attributes = [attribute for relative_name in subject for attribute in relative_name]
    name = next((value for key, value in attributes if key == "commonName"), "")
    groups = tuple(value for key, value in attributes if key == "organizationName")
    return Identity(name, (*groups, AUTHENTICATED)) if name else None
