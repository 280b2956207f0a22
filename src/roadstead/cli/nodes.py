"""Which nodes this machine is to be: what was asked for, else what the cluster had last, else this machine as it is."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, read_record, write_record

if TYPE_CHECKING:
    from roadstead.node.agent.options import NodeOptions

HINT = "Write --node NAME=PROFILE[,cpu=4][,memory=8Gi][,pods=100], e.g. --node gpu=h100x8"


def chosen_nodes(home: Home, given: Sequence[str]) -> tuple[str, ...]:
    """The nodes in the words of `--node`, every one of which `parse_node` understands. Failure (code 2) if one does not."""
    remembered = (read_record(home.record("nodes")) or {}).get("nodes")
    chosen = tuple(given or remembered or (this_machine(),))
    names = [parse_node(text).name for text in chosen]
    for name in names:
        if names.count(name) > 1:
            raise Failure(
                f"--node names {name} {names.count(name)} times; every node needs a name of its own.", HINT, 2
            )
    return chosen


def remember_nodes(home: Home, chosen: Sequence[str]) -> None:
    """The agent started next without `--node` is these again."""
    write_record(home.record("nodes"), {"nodes": list(chosen)})


def parse_node(text: str, *, simulate: bool = False) -> NodeOptions:
    from roadstead.expr.quantity import QuantityError, parse
    from roadstead.node.agent.options import NodeOptions

    try:
        node = NodeOptions.parse(text, simulate=simulate)
    except ValueError as error:
        raise Failure(str(error), HINT, 2) from error
    for resource, amount in (("cpu", node.cpu), ("memory", node.memory)):
        try:
            is_wrong = amount != "" and parse(amount).nano <= 0
        except QuantityError:
            is_wrong = True
        if is_wrong:
            raise Failure(f"node {node.name}: {resource}={amount} is not an amount above 0.", HINT, 2)
    return node


def this_machine() -> str:
    """This machine as a node: its host name, no devices."""
    name = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in socket.gethostname().lower())
    return f"{name[:63].strip('-.') or 'node'}=cpu"
