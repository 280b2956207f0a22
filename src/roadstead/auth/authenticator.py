"""From what a connection proves and a header claims to an `Identity`.

Three proofs are taken: a bearer token from the tokens file, a client certificate of our own authority, and the kernel's word about
the process at the other end of a Unix socket. Whoever gives none of them is told to authenticate (401); whoever gives a scheme
that is not ours is anonymous, as for kube-apiserver, and anonymous may do nothing (403).
"""

from __future__ import annotations

import os
import pwd

from roadstead.auth.identity import ANONYMOUS, AUTHENTICATED, MASTERS, Connection, Identity
from roadstead.auth.tokens import Tokens


class Authenticator:
    """Decides who asks. Cost per request: one hash when a token is given, else a comparison."""

    def __init__(self, tokens: Tokens, owner_uid: int | None = None) -> None:
        self._tokens = tokens
        self._owner_uid = os.getuid() if owner_uid is None else owner_uid

    def identify(self, authorization: str | None, connection: Connection) -> Identity | None:
        """The caller, `ANONYMOUS`, or None if what was presented does not hold (or nothing was): answer 401."""
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "bearer":
                return self._tokens.find(token.strip())
        if connection.certificate is not None:
            return connection.certificate
        if connection.peer_uid is not None:
            if connection.peer_uid in (0, self._owner_uid):
                return Identity(_user_name(connection.peer_uid), (MASTERS, AUTHENTICATED))
            return None
        return ANONYMOUS if authorization is not None else None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
