"""Keeps the volumes of one pod as their sources are: what they need before a container starts, and what changed since.

ConfigMaps and Secrets are read again every REFRESH_SECONDS (pods of one node share what was read: the kubelet's "Cache"
strategy), so a change is in the volume within about a minute; fields of the pod itself follow at once; tokens are
renewed in time. Volumes mounted by subPath do not follow, as with the kubelet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from roadstead.kinds.names import CONFIG_MAPS, SECRETS
from roadstead.kinds.object import Json, Ref
from roadstead.kinds.times import SECOND
from roadstead.node.agent import volumes
from roadstead.node.agent.environment import CONFIG_MAP, Reference, Sources
from roadstead.node.agent.problems import CannotStart, config_error
from roadstead.node.agent.views import Pod
from roadstead.node.agent.volumes import atomic, contents
from roadstead.node.agent.volumes.contents import TokenFile
from roadstead.node.agent.volumes.tokens import NoToken, renew_at, request
from roadstead.runtime.cluster import Cluster, Unavailable

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 60
RETRY_SECONDS: Final = 10
_CACHED: Final = 1000
"""Objects that a node remembers having read."""


class ReadObjects:
    """ConfigMaps and Secrets as the pods of a node last read them."""

    def __init__(self, cluster: Cluster, now: Callable[[], int]) -> None:
        self._cluster = cluster
        self._now = now
        self._known: dict[Ref, tuple[int, Json | None]] = {}

    async def get(self, namespace: str, reference: Reference, oldest: int | None = None) -> Json | None:
        """The object, read now or (with `oldest`) not before that time. Raises Unavailable. The caller must not edit
        it."""
        kind, name = reference
        ref = Ref(CONFIG_MAPS if kind == CONFIG_MAP else SECRETS, namespace, name)
        known = self._known.get(ref)
        if oldest is not None and known is not None and known[0] >= oldest:
            return known[1]
        begun = self._now()
        obj = await self._cluster.get(ref)
        value = None if obj is None else obj.decode()
        self._known[ref] = (begun, value)
        while len(self._known) > _CACHED:
            del self._known[next(iter(self._known))]
        return value


class Upkeep:
    """One pod's volumes under `top`."""

    def __init__(self, cluster: Cluster, objects: ReadObjects, now: Callable[[], int], top: Path) -> None:
        self._cluster = cluster
        self._objects = objects
        self._now = now
        self._top = top
        self._shown: object = None
        self._due = 0
        self._renew_not_before: dict[TokenFile, int] = {}
        """When a renewal that failed is asked for again."""

    async def tokens(self, pod: Pod) -> dict[TokenFile, str]:
        """The tokens that the pod's volumes should hold now: those on the disk, new ones where they are missing or due.
        CannotStart if the server gives none and there is none that was good; Unavailable if it could not be asked for
        the first."""
        found = {}
        for wanted in volumes.token_files(pod):
            old = atomic.read(self._top / wanted.volume, wanted.path)
            if old is not None and self._now() < self._renew_at(wanted, old):
                found[wanted] = old.decode()
                continue
            try:
                found[wanted] = await request(self._cluster, pod, wanted)
            except (NoToken, Unavailable) as error:
                if old is None and isinstance(error, Unavailable):
                    raise
                if old is None:
                    raise config_error(
                        f'MountVolume.SetUp failed for volume "{wanted.volume}" : failed to fetch token: {error}'
                    ) from error
                log.warning("pod %s: a token could not be renewed: %s", pod.uid, error)
                self._renew_not_before[wanted] = self._now() + RETRY_SECONDS * SECOND
                found[wanted] = old.decode()
            else:
                self._renew_not_before.pop(wanted, None)
        return found

    async def look(self, pod: Pod, sources_of: Callable[[Mapping[Reference, Json | None]], Sources]) -> int | None:
        """Bring the volumes up to date if something may have changed; when to look again, None if nothing ever changes.

        Costs nothing for pods whose volumes do not come from the API, and nothing between two looks.
        """
        changing = [volume for volume in pod.spec.volumes if contents.is_made(volume)]
        if not changing:
            return None
        now = self._now()
        shown = (pod.metadata.labels, pod.metadata.annotations) if contents.has_own_fields(pod) else None
        if now < self._due and shown == self._shown:
            return self._due
        self._shown = (
            shown  # whatever comes of it: what could not be written now is tried again in time, not at every look
        )
        try:
            wanted = volumes.references(pod)
            oldest = now - REFRESH_SECONDS * SECOND
            objects = {one: await self._objects.get(pod.metadata.namespace, one, oldest) for one in sorted(wanted)}
            volumes.update(pod, self._top, changing, sources_of(objects), await self.tokens(pod))
        except (CannotStart, OSError, Unavailable) as error:
            log.info("volumes of pod %s stay as they are: %s", pod.uid, error)
            self._due = now + RETRY_SECONDS * SECOND
            return self._due
        self._due = self._next(pod, now)
        return self._due

    def _next(self, pod: Pod, now: int) -> int:
        times = [now + REFRESH_SECONDS * SECOND]
        for wanted in volumes.token_files(pod):
            token = atomic.read(self._top / wanted.volume, wanted.path)
            if token is not None:
                times.append(self._renew_at(wanted, token))
        return max(min(times), now + SECOND)

    def _renew_at(self, wanted: TokenFile, token: bytes) -> int:
        return max(renew_at(token, wanted.seconds), self._renew_not_before.get(wanted, 0))
