"""serviceaccounts/token: a token for an account, if wanted bound to a pod, secret or node, made on request and never
stored.

Rules and texts are those of k8s `pkg/registry/core/serviceaccount/storage/token.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from roadstead.auth.service_accounts import (
    AUDIENCES,
    EXTENDED_SECONDS,
    WARN_SECONDS,
    Binding,
    Issuer,
    Named,
    claims_of,
)
from roadstead.kinds.errors import StatusError, bad_request, conflict, invalid, invalid_object, not_found
from roadstead.kinds.names import NODES, PODS, SECRETS, SERVICE_ACCOUNTS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.schema import recorded
from roadstead.kinds.times import SECOND, format_time

TOKEN_REQUESTS: Final = Resource("authentication.k8s.io", "v1", "tokenrequests")
KIND: Final = "TokenRequest"
DEFAULT_SECONDS: Final = 3600
LEAST_SECONDS: Final = 600
MOST_SECONDS: Final = 2**32

Find = Callable[[Resource, str, str], Object | None]
"""(resource, namespace, name) -> the committed object, or None."""


def token_of(
    namespace: str, name: str, request: Json, issuer: Issuer, find: Find, now: int, field_validation: str = "Ignore"
) -> tuple[Json, Sequence[str]]:
    """The TokenRequest with its token in `status`, and warnings. `request` is edited. Raises StatusError 400, 404, 409,
    422."""
    warnings = recorded(TOKEN_REQUESTS, KIND).check(request, field_validation)
    request["apiVersion"], request["kind"] = TOKEN_REQUESTS.api_version, KIND
    metadata = request.setdefault("metadata", {})
    for field, wanted, what in (("name", name, "name"), ("namespace", namespace, "namespace")):
        if metadata.get(field) and metadata[field] != wanted:
            why = f"must match the service account {what} if specified"
            problem = invalid(f"metadata.{field}", metadata[field], why)
            raise invalid_object(TOKEN_REQUESTS.group, KIND, name, [problem])
    account = find(SERVICE_ACCOUNTS, namespace, name)
    if account is None:
        raise not_found(SERVICE_ACCOUNTS, name)
    if metadata.get("uid") and metadata["uid"] != account.meta.uid:
        why = f"the UID in the token request ({metadata['uid']}) does not match the UID of the service account ({account.meta.uid})"
        raise conflict(Resource(TOKEN_REQUESTS.group, "v1", KIND), name, why)
    metadata |= {"name": name, "namespace": namespace, "uid": account.meta.uid, "creationTimestamp": format_time(now)}
    spec = request.setdefault("spec", {})
    audiences = spec["audiences"] = spec.get("audiences") or list(AUDIENCES)
    seconds = spec["expirationSeconds"] = _seconds(spec.get("expirationSeconds", DEFAULT_SECONDS))
    reference = spec.setdefault("boundObjectRef", None)
    bound = Binding() if reference is None else _bound(namespace, name, reference, find)
    lasts, warn_after = seconds, 0
    if bound.pod is not None and seconds == WARN_SECONDS and set(audiences) <= set(AUDIENCES):
        lasts, warn_after = EXTENDED_SECONDS, seconds
    claims = claims_of(namespace, Named(name, account.meta.uid), audiences, now, lasts, bound, warn_after)
    ends = format_time(now + seconds * SECOND)
    request["status"] = {"token": issuer.sign(claims), "expirationTimestamp": ends}
    return request, warnings


def _seconds(asked: int) -> int:
    for is_wrong, why in (
        (asked < LEAST_SECONDS, "less than 10 minutes"),
        (asked > MOST_SECONDS, "larger than 2^32 seconds"),
    ):
        if is_wrong:
            problem = invalid("spec.expirationSeconds", asked, f"may not specify a duration {why}")
            raise invalid_object(TOKEN_REQUESTS.group, KIND, "", [problem])
    return asked


def _bound(namespace: str, account: str, reference: Json, find: Find) -> Binding:
    """What the token shall end with: it must be there, with the uid that is asked for."""
    group, _, version = reference.get("apiVersion", "").rpartition("/")
    kind, name = reference.get("kind", ""), reference.get("name", "")
    resources = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}
    resource = None if group else resources.get(kind)
    if resource is None:
        raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
    found = find(resource, "" if resource == NODES else namespace, name)
    if found is None:
        raise not_found(resource, name)
    itself = Named(name, found.meta.uid)
    if resource == PODS:
        bound = Binding(pod=itself, node=_node_of(found, account, find))
    elif resource == SECRETS:
        bound = Binding(secret=itself)
    else:
        bound = Binding(node=itself)
    asked = reference.get("uid")
    if asked and asked != found.meta.uid:
        why = (
            f"the UID in the bound object reference ({asked}) does not match the UID in record. The object might have been deleted "
            "and then recreated"
        )
        raise conflict(Resource("", version, kind), name, why)
    return bound


def _node_of(pod: Object, account: str, find: Find) -> Named | None:
    spec = pod.decode()["spec"]
    if spec.get("serviceAccountName") != account:
        raise _wrong_account(account)
    node = spec.get("nodeName")
    if not node:
        return None
    found = find(NODES, "", node)
    return Named(node, "" if found is None else found.meta.uid)


def _wrong_account(account: str) -> StatusError:
    why = f'cannot bind token for serviceaccount "{account}" to pod running with different serviceaccount name.'
    return bad_request(why)
