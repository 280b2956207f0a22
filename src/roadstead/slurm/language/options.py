"""What the options mean: a command line to a `JobRequest`, with the refusals that the command makes by itself.

The order is the commands' own: values as they come, then what excludes each other, then what nodes and tasks follow, then GRES
(`request.reconcile`). Source: sbatch(1), srun(1); texts as observed on 22.05.8, and as the reference gives them for later releases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from roadstead.slurm.language.commandline import CommandLine, Given, read
from roadstead.slurm.language.errors import Refused
from roadstead.slurm.language.numbers import mebibytes, positive
from roadstead.slurm.language.releases import GRES_TWICE, NEWEST, SLASHED, Release
from roadstead.slurm.language.request import JobRequest
from roadstead.slurm.language.times import MomentError, minutes, moment, signal_wish

GRES_FLAGS: Final = ("disable-binding", "enforce-binding")
NEWER_GRES_FLAGS: Final = ("allow-task-sharing", "one-task-per-sharing", "multiple-tasks-per-sharing")
_BIND: Final = re.compile(
    r"(?:closest|none|single:(?!-).*|per_task:(?!-).*|(?:mask_gpu|map_gpu):(?P<list>.*))", re.IGNORECASE | re.DOTALL
)
_NEWER_BIND: Final = re.compile(r"(?:mask|map):(?P<list>.*)", re.IGNORECASE | re.DOTALL)
_DISTRIBUTION: Final = re.compile(
    r"(?:\*|block|cyclic|arbitrary)(?::(?:\*|block|cyclic|fcyclic)){0,2}(?:,(?:no)?pack)?|(?:no)?pack"
)
_ANY_DAY: Final = datetime(2000, 1, 1)
_FREQUENCY: Final = re.compile(r"(?:memory=)?(?:low|medium|high|highm1|\d+)|verbose", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A command line understood: the request, what was warned about, and the words after the options."""

    request: JobRequest
    operands: tuple[str, ...]
    warnings: tuple[str, ...]
    flags: frozenset[str]
    """Options without a bearing on placement that were given, e.g. "hold"."""


def understand(argv: Sequence[str], environment: Mapping[str, str] | None = None, release: Release = NEWEST) -> Asked:
    """The request of a command line and its environment. Refused as the command would."""
    line = read(argv, environment)
    values: dict[str, Any] = {}
    for given in line.given:
        reader = READERS.get(given.option.name) or CHECKED.get(given.option.name)
        if reader is not None:
            reader(values, given, release)
    _exclude(line, release)
    request, warnings = _settle(JobRequest(**values), line, release)
    flags = frozenset(given.option.name for given in line.given if given.option.name not in READERS)
    return Asked(request, line.operands, tuple(warnings), flags)


# --- values

Reader = Callable[[dict[str, Any], Given, Release], None]


def _text(key: str) -> Reader:
    def reader(values: dict[str, Any], given: Given, release: Release) -> None:
        values[key] = given.value or ""

    return reader


def _flag(key: str) -> Reader:
    def reader(values: dict[str, Any], given: Given, release: Release) -> None:
        values[key] = True

    return reader


def _count(key: str) -> Reader:
    def reader(values: dict[str, Any], given: Given, release: Release) -> None:
        value = positive(f"--{given.option.name}", given.value or "")
        values[key] = value or None

    return reader


def _memory(key: str) -> Reader:
    def reader(values: dict[str, Any], given: Given, release: Release) -> None:
        value = mebibytes(given.value or "")
        if value is None:
            raise Refused(f"error: Invalid --{given.option.name} specification", code=255)
        values[key] = value

    return reader


def _nodes(values: dict[str, Any], given: Given, release: Release) -> None:
    text = given.value or ""
    first, dash, last = text.partition("-") if not text.startswith("-") else (text, "", "")
    low = _node_count(first)
    high = (_node_count(last) if last else -1) if dash else low
    if high < low and high:
        raise Refused(f"error: Maximum node count {high} is less than minimum node count {low}", code=255)
    values["min_nodes"], values["max_nodes"] = (low, high or None) if low > 0 else (None, None)


def _node_count(text: str) -> int:
    match = re.fullmatch(r"\s*([+-]?\d+)([km]?)\s*", text, re.IGNORECASE)
    if match is None:
        raise Refused(f'error: "{text}" is not a valid node count', code=255)
    return int(match[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20}[match[2].lower()]


def _gpu_bind(values: dict[str, Any], given: Given, release: Release) -> None:
    text = given.value or ""
    wrong = f"gpu:{text}" if release < SLASHED else f"{text}"
    body = text[len("verbose,") :] if text.lower().startswith("verbose,") else text
    match = _BIND.match(body) or (_NEWER_BIND.match(body) if release >= SLASHED else None)
    if match is None:
        raise Refused(f"error: Invalid --gpu-bind argument: {wrong}", code=255)
    found = match.groupdict().get("list")
    if found and body.lower().startswith("map"):
        for item in found.split(","):
            bad = re.search(r"[^0-9*]", item)
            if bad:
                raise Refused(
                    f"error: Failed to validate {item}, offending character is {bad[0]}",
                    f"error: Invalid --gpu-bind argument: {wrong}",
                    code=255,
                )
    values["gpu_bind"] = text


def _gpu_freq(values: dict[str, Any], given: Given, release: Release) -> None:
    text = given.value or ""
    if not all(_FREQUENCY.fullmatch(item) for item in text.split(",")):
        raise Refused(f"error: Invalid --gpu-freq argument: gpu:{text}", code=255)


def _gres_flags(values: dict[str, Any], given: Given, release: Release) -> None:
    text = given.value or ""
    if release < SLASHED:
        if text.lower() not in GRES_FLAGS:
            raise Refused("error: Invalid --gres-flags specification", code=255)
    else:
        words = text.lower().split(",")
        if not all(word in (*GRES_FLAGS, *NEWER_GRES_FLAGS) for word in words):
            raise Refused("error: Invalid --gres-flags specification", code=255)
        for one, other in (GRES_FLAGS, NEWER_GRES_FLAGS[1:]):
            if one in words and other in words:
                raise Refused(f"fatal: Invalid --gres-flags combo: {one} and {other} are mutually exclusive.")
    values["gres_flags"] = text.lower()


def _time(values: dict[str, Any], given: Given, release: Release) -> None:
    if minutes(given.value or "") is None:
        raise Refused(f"error: Invalid --{given.option.name} specification", code=255)


def _signal(values: dict[str, Any], given: Given, release: Release) -> None:
    if signal_wish(given.value or "") is None:
        raise Refused("error: Invalid --signal specification", code=255)


def _moment(values: dict[str, Any], given: Given, release: Release) -> None:
    try:
        moment(given.value or "", _ANY_DAY, with_elevenses=release >= SLASHED)
    except MomentError as err:
        plain = (str(err),) if err.position >= 0 else ()
        raise Refused(f"error: Invalid --{given.option.name} specification", code=255, before=plain) from err


def _distribution(values: dict[str, Any], given: Given, release: Release) -> None:
    text = (given.value or "").lower()
    wrong = f"error: Invalid --{given.option.name} specification"
    if text.startswith("plane"):
        if not re.fullmatch(r"plane=0*[1-9]\d*", text):
            raise Refused("error: Invalid plane size or size not specified", wrong, code=255)
    elif not _DISTRIBUTION.fullmatch(text):
        raise Refused(wrong, code=255)
    values["distribution"] = text


def _checked_count(values: dict[str, Any], given: Given, release: Release) -> None:
    positive(f"--{given.option.name}", given.value or "")


def _checked_memory(values: dict[str, Any], given: Given, release: Release) -> None:
    if mebibytes(given.value or "") is None:
        raise Refused(f"error: Invalid --{given.option.name} specification", code=255)


CHECKED: Final[Mapping[str, Reader]] = {
    "time": _time,
    "time-min": _time,
    "signal": _signal,
    "begin": _moment,
    "deadline": _moment,
    "tmp": _checked_memory,
    "mincpus": _checked_count,
    "threads-per-core": _checked_count,
}
"""Options that are looked at and have no part in placement."""

READERS: Final[Mapping[str, Reader]] = {
    "nodes": _nodes,
    "ntasks": _count("tasks"),
    "ntasks-per-node": _count("tasks_per_node"),
    "tasks-per-node": _count("tasks_per_node"),
    "ntasks-per-socket": _count("tasks_per_socket"),
    "ntasks-per-core": _count("tasks_per_core"),
    "ntasks-per-gpu": _count("tasks_per_gpu"),
    "ntasks-per-tres": _count("tasks_per_gpu"),
    "sockets-per-node": _count("sockets_per_node"),
    "cores-per-socket": _count("cores_per_socket"),
    "cpus-per-task": _count("cpus_per_task"),
    "cpus-per-gpu": _count("cpus_per_gpu"),
    "mem": _memory("memory_per_node"),
    "mem-per-cpu": _memory("memory_per_cpu"),
    "mem-per-gpu": _memory("memory_per_gpu"),
    "gres": _text("gres"),
    "gpus": _text("gpus"),
    "gpus-per-node": _text("gpus_per_node"),
    "gpus-per-socket": _text("gpus_per_socket"),
    "gpus-per-task": _text("gpus_per_task"),
    "gpu-bind": _gpu_bind,
    "gpu-freq": _gpu_freq,
    "gres-flags": _gres_flags,
    "distribution": _distribution,
    "exclusive": _flag("exclusive"),
    "overcommit": _flag("overcommit"),
    "partition": _text("partition"),
    "nodelist": _text("nodelist"),
    "exclude": _text("exclude"),
    "constraint": _text("constraint"),
    "reservation": _text("reservation"),
}

# --- what excludes each other


def _exclude(line: CommandLine, release: Release) -> None:
    by_name: dict[str, Given] = {given.option.name: given for given in line.given}
    by_cli = {given.option.name for given in line.given if given.source == "cli"}
    memory = [name for name in ("mem", "mem-per-cpu", "mem-per-gpu") if name in by_cli]
    if len(memory) > 1:
        raise Refused("fatal: --mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.")
    if "ntasks-per-gpu" in by_name or "ntasks-per-tres" in by_name:
        against = ["gpus-per-task", "gpus-per-socket", "ntasks-per-node"]
        for source in ("cli", "env"):
            for name in against:
                other = by_name.get(name)
                if other is not None and other.source == source:
                    raise Refused(
                        f"fatal: {other.spelled} is mutually exclusive with --ntasks-per-gpu and SLURM_NTASKS_PER_GPU"
                    )
    gpus = any(
        item.split(":")[0] == "gpu"
        for given in line.given
        if given.option.name == "gres"
        for item in (given.value or "").split(",")
    )
    if release >= GRES_TWICE and gpus and "gpus-per-node" in by_name:
        raise Refused("fatal: --gpus-per-node and --gres=gpu are mutually exclusive.")


# --- nodes and tasks


def _settle(request: JobRequest, line: CommandLine, release: Release) -> tuple[JobRequest, list[str]]:
    """What the counts of nodes and tasks say of each other."""
    warnings: list[str] = []
    low, high, tasks = request.min_nodes, request.max_nodes, request.tasks
    if tasks is None and request.tasks_per_node and (low == high or line.command == "srun"):
        request = replace(request, tasks=(low or 1) * request.tasks_per_node)
    elif (
        tasks is None
        and low is not None
        and low == high
        and request.sockets_per_node is not None
        and line.command != "srun"
    ):
        request = replace(request, tasks=low * request.sockets_per_node * (request.cores_per_socket or 1))
    elif tasks is not None and low is not None and high is not None:
        if line.command == "srun" and request.tasks_per_node and tasks < request.tasks_per_node:
            request = replace(request, tasks_per_node=tasks)
        if tasks < low:
            warnings.append(f"Warning: can't run {tasks} processes on {low} nodes, setting nnodes to {tasks}")
            low = tasks
        high = min(high, tasks)
        request = replace(request, min_nodes=low, max_nodes=max(low, high))
        per_node = request.tasks_per_node
        if line.command == "srun" and per_node and tasks > per_node and tasks != low * per_node:
            warnings.append(
                f"Warning: can't honor --ntasks-per-node set to {per_node} which doesn't match the requested tasks {tasks} with the "
                f"number of requested nodes {low}. Ignoring --ntasks-per-node."
            )
            request = replace(request, tasks_per_node=None)
    if line.command == "sbatch" and request.distribution.startswith("plane=") and request.min_nodes:
        plane = int(request.distribution.removeprefix("plane="))
        if (request.min_nodes - 1) * plane >= (request.tasks or (request.min_nodes if low == high else 1)):
            raise Refused("error: Too few processes for the requested {plane,node} distribution")
    return request, warnings
