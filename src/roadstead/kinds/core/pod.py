"""Pods."""

from __future__ import annotations

from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind, Subresource


class PodStrategy(StatusStrategy):
    """Pods."""

    has_generation = True
    graceful = True

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {"phase": "Pending"}


def kind() -> Kind:
    return builtin_kind(
        PODS,
        "Pod",
        PodStrategy(),
        short_names=("po",),
        categories=("all",),
        subresources=(
            STATUS,
            Subresource("log", verbs=("get",)),
            Subresource("binding", verbs=("create",), kind="Binding", group="", version="v1"),
        ),
    )
