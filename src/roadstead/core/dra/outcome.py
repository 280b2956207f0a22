"""The answers of the allocator: allocated, no fit, or an error that says whom it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from roadstead.model.dra import Allocation, Claim


class Scope(StrEnum):
    FATAL = "fatal"
    """The claims cannot be allocated anywhere before somebody changes something."""
    NODE = "node"
    """Only this node is out."""


@dataclass(frozen=True, slots=True)
class Allocated:
    """One allocation for each claim, in order. `steps`: how many calls the search took."""

    allocations: tuple[Allocation, ...]
    steps: int = 0


@dataclass(frozen=True, slots=True)
class NoFit:
    """The node does not have the devices, in any combination that the rules allow."""

    steps: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """`kind` is one word (`cel_runtime`, `class_not_found`, ...), `message` is for people: what is wrong with the claim
    at place `claim` of those asked for (-1: with none in particular). `device_class` is the class at fault: it does not
    exist, or is wrong itself."""

    kind: str
    message: str
    scope: Scope = Scope.FATAL
    claim: int = -1
    device_class: str = ""


Outcome = Allocated | NoFit | Failed


class AllocationError(Exception):
    """Inside the allocator: ends the attempt. Becomes a Failed. `claim` is what was looked at, once somebody said
    so."""

    def __init__(self, kind: str, message: str, scope: Scope = Scope.FATAL, *, device_class: str = "") -> None:
        super().__init__(message)
        self.failed = Failed(kind, message, scope, device_class=device_class)
        self.claim: Claim | None = None
