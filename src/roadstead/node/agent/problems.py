"""Why a container cannot start, as its waiting state will say."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """`reason` is what clients test, `message` what people read."""

    reason: str
    message: str


class CannotStart(Exception):
    """A container cannot start as things are. `is_passing`: it may later, without the pod being changed."""

    def __init__(self, reason: str, message: str, *, is_passing: bool = True) -> None:
        super().__init__(message)
        self.problem = Problem(reason, message)
        self.is_passing = is_passing


def config_error(message: str) -> CannotStart:
    """Something that the pod refers to is missing; it is tried again."""
    return CannotStart("CreateContainerConfigError", message)


def unsupported(message: str) -> CannotStart:
    """The pod asks for something that this node does not do."""
    return CannotStart("CreateContainerError", message, is_passing=False)
