"""Who asks: what an answer may name, and what may be asked on his behalf. Numbers are told to everybody; names of others' work only to
those who may read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from roadstead.kinds.names import WORKLOADS
from roadstead.kinds.object import Resource


class Viewer(NamedTuple):
    """`may(verb, resource, namespace)`: would the API let him?"""

    may: Callable[[str, Resource, str], bool]

    def sees(self, namespace: str) -> bool:
        """May work in this namespace be named to him?"""
        return self.may("get", WORKLOADS, namespace)


EVERYBODY = Viewer(lambda verb, resource, namespace: True)
"""The owner; and whoever reads another cluster with rights of his own, which let him see no more than he may."""


def unnamed(count: int) -> str:
    """How those are spoken of whom he may not see."""
    return f"{count} of other namespaces" if count > 1 else "one of another namespace"
