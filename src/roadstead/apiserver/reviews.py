"""Questions that one posts, of which nothing is kept: who somebody is (SelfSubjectReview, TokenReview; kubernetes-api section
18.4), and what they may do (`access_reviews.py`).

`kubectl auth whoami` asks the first; webhooks and programs that were shown a token ask the second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import orjson

from roadstead.apiserver import access_reviews
from roadstead.apiserver.actions import Action, receive
from roadstead.apiserver.errors import method_not_allowed
from roadstead.apiserver.query import parse_query
from roadstead.apiserver.responses import Exchange, warning_headers
from roadstead.auth.authenticator import Authenticator
from roadstead.auth.authorizer import Authorizer
from roadstead.auth.identity import Identity
from roadstead.auth.service_accounts import TokenRefused
from roadstead.cluster.embedded.requests import User
from roadstead.kinds.errors import bad_request
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.schema import recorded
from roadstead.kinds.times import format_time

GROUP: Final = "authentication.k8s.io"
SELF_REVIEWS: Final = Resource(GROUP, "v1", "selfsubjectreviews")
TOKEN_REVIEWS: Final = Resource(GROUP, "v1", "tokenreviews")
_ACTIONS: Final = {
    **access_reviews.ACTIONS,
    SELF_REVIEWS: Action("SelfSubjectReview", (f"{GROUP}/v1",), "io.k8s.api.authentication.v1.SelfSubjectReview"),
    TOKEN_REVIEWS: Action("TokenReview", (f"{GROUP}/v1",), "io.k8s.api.authentication.v1.TokenReview"),
}


REVIEWS: Final = frozenset(_ACTIONS)
"""Every such resource."""


class Reviews:
    """Serves them all."""

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._now = now

    async def serve(self, exchange: Exchange, resource: Resource, namespace: str, identity: Identity) -> None:
        """Answer a request for one of REVIEWS. Raises StatusError."""
        if exchange.method != "POST":
            raise method_not_allowed()
        query = parse_query(exchange.query_string)
        action = _ACTIONS[resource]
        review, options = await receive(exchange, action, User(identity.name, tuple(identity.groups)), query)
        warnings = recorded(resource, action.kind).check(review, options.field_validation)
        if resource == SELF_REVIEWS:
            answer = self._whoami(identity)
        elif resource == TOKEN_REVIEWS:
            answer = self._whose(review)
        else:
            answer = access_reviews.answer(self._authorizer, resource, review, namespace, identity)
        body = {"kind": action.kind, "apiVersion": resource.api_version, **answer}
        await exchange.reply_json(201, orjson.dumps(body), warning_headers(warnings))

    def _whoami(self, identity: Identity) -> Json:
        metadata = {"creationTimestamp": format_time(self._now())}
        return {"metadata": metadata, "status": {"userInfo": user_info(identity)}}

    def _whose(self, review: Json) -> Json:
        spec = review.get("spec") or {}
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        status: Json = {"user": {}}
        try:
            proven = self._authenticator.prove(spec["token"], spec.get("audiences") or ())
        except TokenRefused as error:
            status["error"] = str(error)
        else:
            status |= {
                "authenticated": True,
                "user": user_info(proven.identity),
                "audiences": list(proven.audiences),
            }
        return {"metadata": review["metadata"], "spec": spec, "status": status}


def user_info(identity: Identity) -> Json:
    """An identity as the API writes it."""
    info: Json = {"username": identity.name}
    if identity.uid:
        info["uid"] = identity.uid
    if identity.groups:
        info["groups"] = list(identity.groups)
    if identity.extra:
        info["extra"] = {key: list(values) for key, values in identity.extra.items()}
    return info
