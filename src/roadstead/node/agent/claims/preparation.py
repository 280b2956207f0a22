"""One pod's claims: checked and written down before anything of the pod starts, gone when nothing of it runs any
more."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from roadstead.kinds.names import RESOURCE_CLAIMS
from roadstead.kinds.object import Ref
from roadstead.kinds.times import SECOND
from roadstead.node.agent.claims import cdi, checking, record, reporting, visible
from roadstead.node.agent.claims.checking import NotPrepared
from roadstead.node.agent.claims.record import Prepared
from roadstead.node.agent.hardware import Hardware
from roadstead.node.agent.occupancy import Use
from roadstead.node.agent.views import Pod
from roadstead.node.keeper.crash import crashpoint
from roadstead.runtime.cluster import Cluster, Result, Update
from roadstead.runtime.writing import write_once

log = logging.getLogger(__name__)

FILES: Final = "claims"
"""Where the files of its claims are in a pod's directory."""
_RETRY: Final = (SECOND // 5, 5 * SECOND)


class Preparation:
    """Of the pod whose directory this is."""

    def __init__(
        self,
        cluster: Cluster,
        hardware: Hardware,
        directory: Path,
        now: Callable[[], int],
        cdi_directories: Sequence[Path] = cdi.DIRECTORIES,
    ) -> None:
        self._cluster = cluster
        self._hardware = hardware
        self._directory = directory
        self._now = now
        self._cdi_directories = cdi_directories
        self._prepared = record.read(directory)
        self._delay = 0
        self._not_before = 0
        self._unreported = {claim.name: claim for claim in self.prepared if reporting.has_report(claim)}
        self.problem = ""
        """Why the pod cannot start yet, as of the last look."""

    @property
    def prepared(self) -> Prepared:
        return self._prepared or ()

    @property
    def uses(self) -> frozenset[Use]:
        """What of the machine the pod's claims hold."""
        return record.uses(self.prepared)

    async def look(self, pod: Pod) -> int | None:
        """Prepare the pod's claims if that has to be done and can be; when to look again if `problem` is left. Raises
        Unavailable.

        Costs nothing for pods without claims, and once a pod's claims are prepared: allocations do not change while
        they are in use.
        """
        if self._unreported:
            await self._report()
        if self._prepared is not None or not (pod.spec.resource_claims or pod.status.extended_resource_claim_status):
            return None
        if self._now() < self._not_before:
            return self._not_before
        try:
            prepared = await self._check(pod)
        except NotPrepared as error:
            is_news = self.problem != str(error)
            self.problem = str(error)
            self._delay = _RETRY[0] if is_news else min(self._delay * 2, _RETRY[1])
            self._not_before = self._now() + self._delay
            return self._not_before
        record.write(self._directory, prepared)
        crashpoint("agent.prepared")
        self._prepared = prepared
        self._unreported = {claim.name: claim for claim in prepared if reporting.has_report(claim)}
        self.problem = ""
        await self._report()
        return None

    async def _report(self) -> None:
        """Say what is to be said of devices in the claims' status. What cannot be written just now is left for the next
        look: the pod need not wait for it."""
        for name, claim in list(self._unreported.items()):
            stored = await self._cluster.get(Ref(RESOURCE_CLAIMS, claim.namespace, name))
            value = None if stored is None else reporting.report(claim, stored, self._now())
            if value is not None:
                outcome = await write_once(self._cluster, Update(RESOURCE_CLAIMS, value, "status"))
                if not outcome.is_done:
                    log.log(
                        logging.DEBUG if outcome.result is Result.CONFLICT else logging.WARNING,
                        "status of ResourceClaim %s: %s %s", name, outcome.result, outcome.message,
                    )  # fmt: skip
                    continue
            del self._unreported[name]

    async def _check(self, pod: Pod) -> Prepared:
        wanted = list(checking.entries(pod))
        refs = [Ref(RESOURCE_CLAIMS, pod.metadata.namespace, entry.claim) for entry in wanted]
        found = await asyncio.gather(*(self._cluster.get(ref) for ref in refs))
        registry: list[cdi.Registry] = []

        def find_cdi(driver: str, device: str, uid: str) -> Sequence[str]:
            if not registry:
                registry.append(cdi.load(self._cdi_directories))
            return registry[0].find(driver, device, uid)

        return tuple(
            checking.check(pod, entry, claim, self._hardware, find_cdi)
            for entry, claim in zip(wanted, found, strict=True)
        )

    def write_files(self) -> Path:
        """Make the files of all claims, as `visible.files` says; where they are. Safe to repeat. OSError."""
        top = self._directory / FILES
        for path, content in visible.files(self.prepared).items():
            place = top / path
            place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if place.exists() and place.read_bytes() == content:
                continue
            temporary = place.with_name(f".{place.name}.new")
            temporary.write_bytes(content)
            os.replace(temporary, place)
        return top

    def unprepare(self) -> None:
        """Nothing of the pod runs any more: its files may go. The record stays as long as the pod's directory."""
        if self._prepared:
            shutil.rmtree(self._directory / FILES, ignore_errors=True)
