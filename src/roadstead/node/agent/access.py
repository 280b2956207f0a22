"""Who may ask this node, where the cluster's own rules say so: the API server is asked, as kubelets ask it
(SubjectAccessReview for `nodes/proxy` and its parts; k8s `pkg/kubelet/server/auth.go`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from roadstead.auth.access_reviews import answer, question
from roadstead.auth.identity import Identity
from roadstead.kinds.times import SECOND
from roadstead.runtime.cluster import Create, Outcome, Refused, Unavailable, Write

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
        until, kept = self._answers.get(key, (0, False))
        if self._now() < until:
            return kept
        is_allowed = await self._ask(who, node, subresource)
        if len(self._answers) >= _KEPT:
            self._answers.clear()
        self._answers[key] = (self._now() + (YES_LASTS if is_allowed else NO_LASTS), is_allowed)
        return is_allowed

    async def _ask(self, who: Identity, node: str, subresource: str) -> bool:
        attributes = {"verb": "get", "version": "v1", "resource": "nodes", "subresource": subresource, "name": node}
        return await self._answer(question(attributes, who))

    async def may_list_pods(self, namespace: str) -> bool:
        """May this agent itself list the pods of a whole namespace? Yes if the server does not say: it is to be asked
        again."""
        attributes = {"verb": "list", "version": "v1", "resource": "pods", "namespace": namespace}
        try:
            return await self._answer(question(attributes))
        except Unavailable:
            return True

    async def _answer(self, asked: Create) -> bool:
        outcome = await self._write(asked)
        is_allowed = answer(outcome)
        if is_allowed is None:
            raise Unavailable(str(Refused(outcome)))
        return is_allowed
