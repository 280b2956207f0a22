"""ServiceAccount (v1)."""

from __future__ import annotations

from typing import Any

from roadstead.kinds import ages
from roadstead.kinds.builtin import builtin_kind
from roadstead.kinds.names import SERVICE_ACCOUNTS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind, Subresource
from roadstead.kinds.strategy import Column, Strategy


class ServiceAccountStrategy(Strategy):
    """Service accounts: nothing beyond their metadata is checked."""

    columns = (Column("Name", format="name"), Column("Age"))

    def cells(self, obj: Json, now: float) -> list[Any]:
        return [obj["metadata"]["name"], ages.created(obj, now)]


def kind() -> Kind:
    return builtin_kind(
        SERVICE_ACCOUNTS,
        "ServiceAccount",
        ServiceAccountStrategy(),
        short_names=("sa",),
        subresources=(
            Subresource("token", verbs=("create",), kind="TokenRequest", group="authentication.k8s.io", version="v1"),
        ),
    )
