"""What one container is started with because of its claims: variables, binds, and whether it can be started at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from roadstead.kinds.object import Json
from roadstead.node.agent.claims import cdi, visible
from roadstead.node.agent.claims.cdi import Edits
from roadstead.node.agent.claims.record import Prepared
from roadstead.node.agent.claims.visible import Share
from roadstead.node.agent.views import Container, Pod


@dataclass(frozen=True, slots=True)
class Claims:
    """A pod's prepared claims, where their files are, and where drivers leave what they prepared."""

    prepared: Prepared = ()
    files: Path = Path("/nonexistent")
    cdi_directories: Sequence[Path] = cdi.DIRECTORIES


@dataclass(frozen=True, slots=True)
class Given:
    gpus: Sequence[str] = ()
    variables: dict[str, str] = field(default_factory=dict)
    """For the container's own environment to override."""
    edits: Sequence[Edits] = ()
    binds: Sequence[Json] = ()
    """Worth a mount name space of its own."""
    files: Sequence[Json] = ()
    """Binds that are made if there is one anyway: the files are named by variables, too."""

    @property
    def overriding(self) -> dict[str, str]:
        """Variables that come after the container's own, as a container runtime applies CDI."""
        return cdi.variables(self.edits)


def give(pod: Pod, container: Container, claims: Claims) -> Given:
    """What the container gets of its pod's claims. CannotStart if a driver took back what it prepared, or a device node
    cannot be opened."""
    shares = visible.shares(pod, container, claims.prepared)
    if not shares:
        return Given()
    edits = _edits(shares, claims)
    cdi.check_nodes(edits)
    top = PurePosixPath(claims.files)
    return Given(
        gpus=visible.gpus(shares),
        variables=visible.variables(shares, top),
        edits=edits,
        binds=cdi.binds(edits),
        files=[
            {"source": os.fspath(top / place), "target": os.fspath(visible.MOUNTED / place), "read_only": True}
            for share in shares
            for request in share.by_request
            for place in [visible.place(share.claim) / request]
        ],
    )


def _edits(shares: Sequence[Share], claims: Claims) -> list[Edits]:
    names = [name for share in shares for device in share.devices for name in device.cdi]
    return cdi.load(claims.cdi_directories).edits(names) if names else []


def left_out(pod: Pod, container: Container, claims: Claims, *, mounts: bool) -> str:
    """What the container's drivers prepared and this node does not carry out; "" if there is nothing."""
    return cdi.left_out(_edits(visible.shares(pod, container, claims.prepared), claims), mounts=mounts)
