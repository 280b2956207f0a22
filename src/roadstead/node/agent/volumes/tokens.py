"""Tokens of a pod's service account: asked of the API server when a volume needs one, and again long before they end.

The file on the disk is all that is remembered: when its token was given out is written in it. So an agent that starts
again asks for nothing that it has.
"""

from __future__ import annotations

import base64
import random
from typing import Any, Final

import orjson

from roadstead.kinds.names import SERVICE_ACCOUNTS
from roadstead.kinds.object import Json
from roadstead.kinds.times import SECOND
from roadstead.node.agent.views import Pod
from roadstead.node.agent.volumes.contents import TokenFile
from roadstead.runtime.cluster import Cluster, Create, Result, Unavailable

MOST_SECONDS: Final = 24 * 3600
"""A token is renewed when it is so old (less a little, so that not all are at once), or at 80 % of its life: k8s
`pkg/kubelet/token/token_manager.go`."""
JITTER_SECONDS: Final = 10


class NoToken(Exception):
    """The server gives no token: why, in its words."""


async def request(cluster: Cluster, pod: Pod, wanted: TokenFile) -> str:
    """A fresh token, bound to the pod. Raises NoToken, and Unavailable if the server could not be asked."""
    account, namespace = pod.spec.service_account_name or "default", pod.metadata.namespace
    spec: Json = {
        "audiences": [wanted.audience] if wanted.audience else [],
        "expirationSeconds": wanted.seconds,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.uid},
    }
    value: Json = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": account, "namespace": namespace},
        "spec": spec,
    }
    outcome = await cluster.write(Create(SERVICE_ACCOUNTS, value, "token"))
    if outcome.is_done and outcome.object is not None:
        token = (outcome.object.decode().get("status") or {}).get("token")
        if token:
            return str(token)
    if outcome.result in (Result.UNKNOWN, Result.THROTTLED):  # nothing is stored, so asking again is safe
        raise Unavailable(outcome.message)
    raise NoToken(outcome.message or ("the answer holds no token" if outcome.is_done else outcome.result))


def renew_at(token: bytes, seconds: int) -> int:
    """When a token that was asked for so many seconds should be renewed, nanoseconds since the epoch; 0 if that cannot
    be told.

    A server may give less than was asked for (`--service-account-max-token-expiration`), or more (tokens for the API
    server that are to be refreshed after an hour and live for a year): what is shorter counts.
    """
    claims = _claims(token)
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int | float):
        return 0
    if isinstance(expires, int | float):
        seconds = min(seconds, int(expires - issued))
    return int((issued + min(seconds * 0.8, MOST_SECONDS) - random.uniform(0, JITTER_SECONDS)) * SECOND)


def _claims(token: bytes) -> dict[str, Any]:
    """What the token says, unchecked: it is the server that gave it to us."""
    try:
        payload = token.split(b".")[1]
        value = orjson.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
