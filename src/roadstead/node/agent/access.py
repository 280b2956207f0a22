"""Who may ask this node, where the cluster's own rules say so: the API server is asked, as kubelets ask it (SubjectAccessReview
for `nodes/proxy` and its parts; k8s `pkg/kubelet/server/auth.go`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from roadstead.auth.identity import Identity
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.times import SECOND
from roadstead.runtime.cluster import Create, Outcome, Refused, Unavailable, Write

ACCESS_REVIEWS: Final = Resource("authorization.k8s.io", "v1", "subjectaccessreviews")
SELF_REVIEWS: Final = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
YES_LASTS: Final = 300 * SECOND
NO_LASTS: Final = 30 * SECOND
"""How long an answer holds (kubelet: authorization.webhook.cacheAuthorizedTTL and cacheUnauthorizedTTL)."""
_KEPT: Final = 1000


class Access:
    """Answers of the API server, kept for a while."""

    def __init__(self, write: Callable[[Write], Awaitable[Outcome]], now: Callable[[], int]) -> None:
        """`write`: a Cluster's."""
        self._write = write
        self._now = now
        self._answers: dict[tuple[str, tuple[str, ...], str, str], tuple[int, bool]] = {}

    async def allows(self, who: Identity, node: str, subresources: Sequence[str]) -> bool:
        """May `who` get one of these subresources of the node? Raises Unavailable if the server does not say."""
        for subresource in subresources:
            if await self._allows(who, node, subresource):
                return True
        return False

    async def _allows(self, who: Identity, node: str, subresource: str) -> bool:
        key = (who.name, tuple(who.groups), node, subresource)
        until, answer = self._answers.get(key, (0, False))
        if self._now() < until:
            return answer
        answer = await self._ask(who, node, subresource)
        if len(self._answers) >= _KEPT:
            self._answers.clear()
        self._answers[key] = (self._now() + (YES_LASTS if answer else NO_LASTS), answer)
        return answer

    async def _ask(self, who: Identity, node: str, subresource: str) -> bool:
        attributes: Json = {
            "verb": "get",
            "version": "v1",
            "resource": "nodes",
            "subresource": subresource,
            "name": node,
        }
        review: Json = {
            "apiVersion": ACCESS_REVIEWS.api_version,
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {"user": who.name, "groups": list(who.groups), "resourceAttributes": attributes},
        }
        return _allowed(await self._write(Create(ACCESS_REVIEWS, review)))

    async def may_list_pods(self, namespace: str) -> bool:
        """May this agent itself list the pods of a whole namespace? Yes if the server does not say: it is to be asked again."""
        attributes: Json = {"verb": "list", "version": "v1", "resource": "pods", "namespace": namespace}
        review: Json = {
            "apiVersion": SELF_REVIEWS.api_version,
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": attributes},
        }
        try:
            return _allowed(await self._write(Create(SELF_REVIEWS, review)))
        except Unavailable:
            return True


def _allowed(outcome: Outcome) -> bool:
    if outcome.object is None:
        raise Unavailable(str(Refused(outcome)))
    return bool((outcome.object.decode().get("status") or {}).get("allowed"))
