"""May someone do something? The API server is asked, about another (SubjectAccessReview) or about whoever asks
(SelfSubjectAccessReview); https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roadstead.auth.identity import Identity
from roadstead.kinds.object import Json, Resource
from roadstead.runtime.cluster import Create, Outcome

SUBJECT_REVIEWS: Final = Resource("authorization.k8s.io", "v1", "subjectaccessreviews")
SELF_REVIEWS: Final = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews")


def question(attributes: Mapping[str, object], who: Identity | None = None) -> Create:
    """The write that asks. `attributes`: of the ResourceAttributes those that are known. `who`: None is whoever writes it."""
    resource = SELF_REVIEWS if who is None else SUBJECT_REVIEWS
    spec: Json = {"resourceAttributes": {name: value for name, value in attributes.items() if value}}
    if who is not None:
        spec |= {"user": who.name, "groups": list(who.groups)}
    kind = "SelfSubjectAccessReview" if who is None else "SubjectAccessReview"
    return Create(resource, {"apiVersion": resource.api_version, "kind": kind, "metadata": {}, "spec": spec})


def answer(outcome: Outcome) -> bool | None:
    """Is it allowed? None if the server did not say."""
    if outcome.object is None:
        return None
    return bool((outcome.object.decode().get("status") or {}).get("allowed"))
