"""GRES as the configuration names them: `Gres=gpu:tesla:2,mps:400,bandwidth:lustre:no_consume:4G` of a node, and lines of
`gres.conf`. Sources: slurm.conf(5) "Gres", gres.conf(5), gres.shtml."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from roadstead.slurm.language.configuration import ConfigurationError, Record
from roadstead.slurm.language.hostlist import Hostlist, HostlistError
from roadstead.slurm.language.numbers import amount

NO_CONSUME: Final = "no_consume"
MAX_FILES: Final = 1024
"""Most device files of a line, and most devices of one GRES on a node."""

MAX_CORES: Final = 65536
"""A limit of our own, so that `Cores=0-99999999999` is an error and not a full memory."""


@dataclass(frozen=True, slots=True)
class NodeGres:
    """One item of a node's `Gres=`."""

    name: str
    type: str
    count: int
    consumed: bool = True


@dataclass(frozen=True, slots=True)
class GresLine:
    """One line of `gres.conf`. `nodes` is empty if it holds for all. `cores` are abstract core numbers."""

    name: str
    type: str
    count: int
    files: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()
    nodes: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    links: tuple[int, ...] = ()
    where: str = ""


def node_gres(text: str, names: Collection[str], where: str) -> tuple[NodeGres, ...]:
    """The items of a node's `Gres=`. ConfigurationError if a name is not in `GresTypes`, a count is none, or typed and untyped items
    of one name stand side by side."""
    items: list[NodeGres] = []
    for item in filter(None, text.split(",")):
        words = item.split(":")
        name, rest = words[0], words[1:]
        if name not in names:
            raise ConfigurationError(
                f"{where}: Gres={item} names {name}, which is not among GresTypes={','.join(names)}. Add it there, or drop it here."
            )
        consumed = NO_CONSUME not in rest
        rest = [word for word in rest if word != NO_CONSUME]
        count = amount(rest[-1]) if rest and rest[-1][:1].isdigit() else None
        kind = rest[: len(rest) - (count is not None)]
        if len(kind) > 1 or (rest and rest[-1][:1].isdigit() and count is None):
            raise ConfigurationError(f"{where}: Gres={item} is not name[:type][:no_consume]:count, as in gpu:tesla:2.")
        items.append(NodeGres(name, kind[0] if kind else "", 1 if count is None else count, consumed))
    for name in {item.name for item in items}:
        types = {item.type for item in items if item.name == name}
        if "" in types and len(types) > 1:
            raise ConfigurationError(
                f"{where}: {name} stands there with a type and without one. Name the type of all of them, or of none."
            )
    unconsumed = {item.name for item in items if not item.consumed}
    return tuple(NodeGres(item.name, item.type, item.count, item.name not in unconsumed) for item in items)


def gres_lines(records: Sequence[Record], names: Collection[str]) -> tuple[GresLine, ...]:
    """The devices that `gres.conf` describes. Lines without a `Name` (`AutoDetect=` alone) describe none."""
    lines = []
    for record in records:
        found = record.attributes
        if "name" not in found:
            continue
        name = found["name"]
        if name not in names:
            raise ConfigurationError(f"{record.where}: Name={name} is not among GresTypes={','.join(names)}.")
        files = _expanded(found.get("file", found.get("multiplefiles", "")), record)
        count = amount(found["count"]) if "count" in found else (len(files) or 1)
        if count is None:
            raise ConfigurationError(f"{record.where}: Count={found['count']} is no number.")
        if files and count != len(files):
            raise ConfigurationError(
                f"{record.where}: Count={count}, but File names {len(files)}. They must agree; leave Count out."
            )
        if len(files) > MAX_FILES:
            raise ConfigurationError(f"{record.where}: {len(files)} files, at most {MAX_FILES} are possible.")
        lines.append(
            GresLine(
                name,
                found.get("type", ""),
                count,
                files,
                _cores(found.get("cores", found.get("cpus", "")), record),
                frozenset(_expanded(found.get("nodename", ""), record)),
                frozenset(filter(None, found.get("flags", "").lower().split(","))),
                tuple(int(link) for link in found.get("links", "").split(",") if re.fullmatch(r"-?\d+", link)),
                record.where,
            )
        )
    return tuple(lines)


def _expanded(text: str, record: Record) -> tuple[str, ...]:
    try:
        return tuple(Hostlist.parse(text))
    except HostlistError as err:
        raise ConfigurationError(f"{record.where}: {err.explained}") from err


def _cores(text: str, record: Record) -> tuple[int, ...]:
    cores: list[int] = []
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
            raise ConfigurationError(f"{record.where}: Cores={text} is no list of core numbers, as in 0-3,8.")
        if int(last if dash else first) >= MAX_CORES:
            raise ConfigurationError(
                f"{record.where}: Cores={text} goes beyond core {MAX_CORES - 1}, the last possible. Correct the range."
            )
        cores += range(int(first), int(last if dash else first) + 1)
    return tuple(cores)
