"""What the built-in kinds share: a status endpoint that leaves the rest alone, and a main endpoint that leaves status
alone."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import ALL_VERBS, Kind, Subresource
from roadstead.kinds.schema import recorded
from roadstead.kinds.strategy import Strategy

STATUS = Subresource("status")


class StatusStrategy(Strategy):
    """Spec and status are written through different endpoints."""

    has_status = True
    status_keeps = ("spec",)
    """Top-level fields that /status takes from the stored object."""

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        if subresource == "status":
            for name in self.status_keeps:
                keep(new, old, name)
            keep(new["metadata"], old["metadata"], "ownerReferences")
        else:
            keep(new, old, "status")


def keep(new: Json, old: Json, name: str) -> None:
    """Take a field from the stored object, or its absence."""
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def builtin_kind(
    resource: Resource,
    kind: str,
    strategy: Strategy,
    *,
    namespaced: bool = True,
    short_names: Sequence[str] = (),
    categories: Sequence[str] = (),
    subresources: Sequence[Subresource] = (),
    verbs: Sequence[str] = ALL_VERBS,
) -> Kind:
    """A built-in kind with its recorded schema."""
    return Kind(
        resource=resource,
        kind=kind,
        singular=kind.lower(),
        namespaced=namespaced,
        schema=recorded(resource, kind),
        strategy=strategy,
        short_names=tuple(short_names),
        categories=tuple(categories),
        subresources=tuple(subresources),
        verbs=tuple(verbs),
    )
