"""Which nodes a job may have: `--nodelist`, `--exclude` and `--constraint`.

Source: sbatch(1). A constraint is feature names joined by `&` and `|`, read from left to right; counts (`a*2`), brackets and
parentheses are refused, as a name is that no node has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from roadstead.slurm.language.errors import INVALID_FEATURE, INVALID_NODE_COUNT, INVALID_NODE_NAME, Rejected
from roadstead.slurm.language.hostlist import Hostlist, HostlistError
from roadstead.slurm.language.request import JobRequest

if TYPE_CHECKING:
    from roadstead.slurm.language.placement.model import Node


def hosts(text: str) -> frozenset[str]:
    """The names of a hostlist. Rejected if it is none."""
    try:
        return frozenset(Hostlist.parse(text))
    except HostlistError as err:
        raise Rejected(INVALID_NODE_NAME) from err


def eligible(request: JobRequest, nodes: Iterable[Node]) -> list[Node]:
    """The nodes that `--exclude` and `--constraint` leave to the job."""
    excluded = hosts(request.exclude)
    return [
        node
        for node in nodes
        if node.name not in excluded and (not request.constraint or _holds(request.constraint, node.features))
    ]


def check(request: JobRequest, names: Collection[str], features: Collection[str], members: Collection[str]) -> None:
    """The controller's look at the nodes asked for. `names` and `features`: all of the cluster; `members`: nodes of the partition.
    Rejected in its words."""
    if request.constraint and not all(name in features for name in re.split(r"[&|]", request.constraint)):
        raise Rejected(INVALID_FEATURE)
    required, excluded = hosts(request.nodelist), hosts(request.exclude)
    if not (required | excluded) <= set(names) or required & excluded:
        raise Rejected(INVALID_NODE_NAME)
    if not required <= set(members):
        raise Rejected("Requested nodes not in this partition")
    if request.max_nodes is not None and len(required) > request.max_nodes:
        raise Rejected(INVALID_NODE_COUNT)


def _holds(constraint: str, features: Collection[str]) -> bool:
    first, *rest = re.split(r"([&|])", constraint)
    holds = first in features
    for operator, name in zip(rest[::2], rest[1::2], strict=True):
        holds = (holds and name in features) if operator == "&" else (holds or name in features)
    return holds
