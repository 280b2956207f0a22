"""Whether a service-account token holds: signature, times, audience, and whether what it speaks of still exists.

Deleting an account, or the pod or secret that a token is bound to, ends the token at once: nothing is revoked, the objects are
looked up (k8s `pkg/serviceaccount/claims.go` Validate).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from roadstead.auth.identity import AUTHENTICATED, Identity
from roadstead.auth.service_accounts import (
    AUDIENCES,
    LEEWAY_SECONDS,
    Issuer,
    TokenRefused,
    check_times,
    groups,
    username,
)
from roadstead.kinds.names import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, ObjectMeta, Resource
from roadstead.kinds.times import SECOND, parse_time

Lookup = Callable[[Resource, str, str], ObjectMeta | None]
"""(resource, namespace, name) -> the metadata of the stored object, or None."""

_EXTRA: Final = "authentication.kubernetes.io"


@dataclass(frozen=True, slots=True)
class Proven:
    """Whose token it is, and for which of the audiences asked for it is good."""

    identity: Identity
    audiences: Sequence[str]


class AccountTokens:
    """Checks service-account tokens. Cost: a signature (0.1 ms) and two or three look-ups."""

    def __init__(self, issuer: Issuer, lookup: Lookup, now: Callable[[], int] = time.time_ns) -> None:
        self.issuer = issuer
        self._lookup = lookup
        self._now = now

    def prove(self, token: str, audiences: Collection[str] = AUDIENCES) -> Proven | None:
        """Who holds the token, if it is good for one of `audiences`; None if it does not claim to be ours. Raises TokenRefused."""
        claims = self.issuer.read(token)
        if claims is None:
            return None
        own = claims.get("aud") or []
        own = [own] if isinstance(own, str) else own
        shared = [audience for audience in own if audience in audiences]
        if not shared:
            raise TokenRefused(
                f"token audiences {_quoted(own)} is invalid for the target audiences {_quoted(audiences)}"
            )
        now = self._now()
        check_times(claims, now)
        return Proven(self._identity(claims, now), shared)

    def _identity(self, claims: Json, now: int) -> Identity:
        ours = claims.get("kubernetes.io") or {}
        namespace, account = ours.get("namespace", ""), ours.get("serviceaccount") or {}
        name = account.get("name", "")
        found = self._lookup(SERVICE_ACCOUNTS, namespace, name)
        if found is None:
            raise TokenRefused(f'serviceaccounts "{name}" not found')
        if found.uid != account.get("uid"):
            raise TokenRefused(f"service account UID ({found.uid}) does not match claim ({account.get('uid', '')})")
        if _is_gone(found, now):
            raise TokenRefused(f"service account {namespace}/{name} has been deleted")
        pod, node, secret = (ours.get(kind) for kind in ("pod", "node", "secret"))
        if secret is not None:
            self._must_live(SECRETS, namespace, secret, "secret", "secret ref ", now)
        if pod is not None:
            self._must_live(PODS, namespace, pod, "pod", "pod ref ", now)
        elif node is not None:
            self._must_live(NODES, "", node, "node", "node ref ", now)
        extra = {f"{_EXTRA}/credential-id": (f"JTI={claims['jti']}",)} if claims.get("jti") else {}
        for kind, about in (("node", node), ("pod", pod)):
            for field in ("name", "uid"):
                if about is not None and about.get(field):
                    extra[f"{_EXTRA}/{kind}-{field}"] = (about[field],)
        return Identity(
            username(namespace, name), (*groups(namespace), AUTHENTICATED), found.uid, dict(sorted(extra.items()))
        )

    def _must_live(
        self, resource: Resource, namespace: str, about: Mapping[str, str], what: str, claim: str, now: int
    ) -> None:
        """What a token is bound to must still be the same object."""
        found = self._lookup(resource, namespace, about.get("name", ""))
        if found is None or _is_gone(found, now):
            raise TokenRefused("service account token has been invalidated")
        if found.uid != about.get("uid"):
            raise TokenRefused(
                f"{what} UID ({found.uid}) does not match service account {claim}claim ({about.get('uid', '')})"
            )


def _is_gone(found: ObjectMeta, now: int) -> bool:
    """Deleted a while ago and merely held by finalizers. (A pod's time of deletion is the end of its grace.)"""
    if not found.deletion_timestamp:
        return False
    return parse_time(found.deletion_timestamp) < now - LEEWAY_SECONDS * SECOND


def _quoted(audiences: Collection[str]) -> str:
    """As Go prints a slice with %q."""
    return "[" + " ".join(f'"{audience}"' for audience in audiences) + "]"
