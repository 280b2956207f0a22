"""Why a container cannot start, as its waiting state will say."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """`reason` is what clients test, `message` what people read."""

    reason: str
    message: str


class CannotStart(Exception):
    """A container cannot start as things are. It is tried again: what it refers to may appear."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(reason, message)


def config_error(message: str) -> CannotStart:
    """Something that the pod refers to is missing; it is tried again."""
    return CannotStart("CreateContainerConfigError", message)


def unsupported(message: str) -> CannotStart:
    """The pod asks for something that this node does not do."""
    return CannotStart("CreateContainerError", message)
