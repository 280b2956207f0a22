"""Which nodes this machine is to be: what was asked for, else what the cluster had last, else this machine as it is."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, write_record

if TYPE_CHECKING:
    from roadstead.node.agent.options import NodeOptions

HINT = (
    "Write --node NAME=PROFILE[,cpu=4][,memory=8Gi][,pods=100][,devices=claims], e.g. --node gpu=h100x8 "
    "(devices=claims: none of its devices are counted, only resourceClaims get them)"
)


def chosen_nodes(home: Home, given: Sequence[str]) -> tuple[str, ...]:
    """The nodes in the words of `--node`, every one of which `parse_node` understands. Failure (code 2) if one does
    not."""
    chosen = tuple(given or _remembered(home, "nodes") or (this_machine(),))
    names = [parse_node(text).name for text in chosen]
    for name in names:
        if names.count(name) > 1:
            raise Failure(
                f"--node names {name} {names.count(name)} times; every node needs a name of its own.", HINT, 2
            )
    return chosen


def remember_nodes(home: Home, chosen: Sequence[str]) -> None:
    """The agent started next without `--node` is these again. What it was before and is no more is kept until
    `forget_gone`."""
    names = {name_in(text) for text in chosen}
    before = [*(name_in(text) for text in _remembered(home, "nodes")), *_remembered(home, "gone")]
    gone = [name for name in dict.fromkeys(before) if name not in names]
    write_record(home.record("nodes"), {"nodes": list(chosen), **({"gone": gone} if gone else {})})


def gone_nodes(home: Home) -> tuple[str, ...]:
    """Names of nodes that agents of this home registered and that its agent is no more. Of nobody else's."""
    return _remembered(home, "gone")


def forget_gone(home: Home) -> None:
    """Their objects are deleted."""
    write_record(home.record("nodes"), {"nodes": list(_remembered(home, "nodes"))})


def name_in(text: str) -> str:
    """The name of a node in the words of `--node`."""
    return text.partition(",")[0].partition("=")[0]


def _remembered(home: Home, what: str) -> tuple[str, ...]:
    """What the record of this home's nodes holds under a key. Failure if it cannot be read: guessing would make other
    nodes."""
    path = home.record("nodes")
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    found = value.get(what, []) if isinstance(value, dict) else None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise _unreadable(path, f"no list of words under {what!r}")
    return tuple(found)


def _unreadable(path: Path, why: str) -> Failure:
    return Failure(
        f"{path} does not say which nodes this machine was: {why}.",
        "Mend it, or move it away and name the nodes again with --node (without, it is this machine as it is).",
    )


def parse_node(text: str, *, simulate: bool = False) -> NodeOptions:
    from roadstead.expr.quantity import QuantityError, parse
    from roadstead.node.agent.options import NodeOptions

    try:
        node = NodeOptions.parse(text, simulate=simulate)
    except ValueError as error:
        raise Failure(str(error), HINT, 2) from error
    if "=" not in text.partition(",")[0]:
        raise Failure(
            f"--node {text} names no profile, that is, no devices.",
            HINT + f", or --node {name_in(text)}=cpu for none",
            2,
        )
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
