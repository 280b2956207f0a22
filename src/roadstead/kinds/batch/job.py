"""Jobs."""

from __future__ import annotations

from roadstead.kinds.builtin import STATUS, StatusStrategy, builtin_kind
from roadstead.kinds.names import JOBS
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Kind


class JobStrategy(StatusStrategy):
    """Jobs."""

    has_generation = True
    default_propagation = "Orphan"

    def prepare_create(self, obj: Json) -> None:
        obj["status"] = {}


def kind() -> Kind:
    return builtin_kind(JOBS, "Job", JobStrategy(), categories=("all",), subresources=(STATUS,))
