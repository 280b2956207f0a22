"""From what a connection proves and a header claims to an `Identity`.

Four proofs are taken: a bearer token from the tokens file, a service-account token, a client certificate of our own authority, and
the kernel's word about the process at the other end of a Unix socket. Whoever gives none of them is anonymous, as for kube-apiserver; a
token that does not hold is refused (401).
"""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Sequence
from typing import Final

from roadstead.auth.account_tokens import AccountTokens, Proven
from roadstead.auth.identity import ANONYMOUS, AUTHENTICATED, MASTERS, Connection, Identity
from roadstead.auth.service_accounts import AUDIENCES, TokenRefused
from roadstead.auth.tokens import Tokens

log = logging.getLogger(__name__)

NOT_OURS: Final = "invalid bearer token"


class Authenticator:
    """Decides who asks. Cost per request: one hash when a token of the file is given, a signature for one of an account, else a
    comparison. `accounts`: None takes no service-account tokens."""

    def __init__(self, tokens: Tokens, owner_uid: int | None = None, accounts: AccountTokens | None = None) -> None:
        self._tokens = tokens
        self._owner_uid = os.getuid() if owner_uid is None else owner_uid
        self._accounts = accounts

    def identify(self, authorization: str | None, connection: Connection) -> Identity | None:
        """The caller, `ANONYMOUS` who proves nothing, or None if what was presented does not hold: answer 401."""
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "bearer":
                return self._bearer(token.strip())
        if connection.certificate is not None:
            return connection.certificate
        if connection.peer_uid is not None:
            if connection.peer_uid in (0, self._owner_uid):
                return Identity(_user_name(connection.peer_uid), (MASTERS, AUTHENTICATED))
            return None
        return ANONYMOUS

    def _bearer(self, token: str) -> Identity | None:
        try:
            return self.prove(token).identity
        except TokenRefused as error:
            log.info("a bearer token was refused: %s", error)
            return None

    def prove(self, token: str, audiences: Sequence[str] = ()) -> Proven:
        """Whose bearer token this is, and for which of `audiences` (none: this server) it is good. Raises TokenRefused, its text
        as the real server says it in a TokenReview."""
        wanted = audiences or AUDIENCES
        found = self._tokens.find(token)
        if found is not None:  # a token of the file is good for this server, and for nobody else
            shared = [audience for audience in wanted if audience in AUDIENCES]
            if shared:
                return Proven(found, shared)
        elif self._accounts is not None:
            try:
                proven = self._accounts.prove(token, wanted)
            except TokenRefused as error:
                raise TokenRefused(f"[{NOT_OURS}, {error}]") from error
            if proven is not None:
                return proven
        raise TokenRefused(NOT_OURS)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
