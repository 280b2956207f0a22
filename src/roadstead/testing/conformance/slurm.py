"""The `slurm` suite: command lines with the answers of a real Slurm 22.05.

Each vector's command is answered by `slurm.language` from the configuration that the vector names, on an idle cluster,
speaking as 22.05, and judged as the recordings' judge does: refusals to the letter, placements by counts. Vectors that
are marked as sensitive to the version are told apart and not counted. Commands that are not spoken yet fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from roadstead.slurm.language.commands import Answer, show, submit
from roadstead.slurm.language.fleet import Cluster, read
from roadstead.slurm.language.releases import OLDEST
from roadstead.testing.conformance import REPOSITORY, Report, Unusable, judge, records

CONFIGURATIONS = REPOSITORY / "tests" / "data" / "slurm" / "configs"
SUBMITTING = ("sbatch", "srun", "salloc")


def run(files: Sequence[Path]) -> Report:
    """Answer every vector of the files."""
    report = Report()
    differences = judge("slurm/judge.py").differences
    apart = [0, 0]
    for path in files:
        for vector in records(path):
            found = differences(vector["expect"], result(vector), False)
            if vector.get("version_sensitive"):
                apart[bool(found)] += 1
            elif found:
                report.fails(vector["class"], f"{vector['id']} {' '.join(vector['argv'])}: {'; '.join(found[:3])}")
            else:
                report.passes(vector["class"])
    if any(apart):
        report.remarks.append(f"sensitive to the version, not counted: {apart[0]} agree, {apart[1]} differ")
    return report


@cache
def configuration(name: str) -> Cluster:
    """One of the recorded clusters."""
    folder = CONFIGURATIONS / name
    if not folder.is_dir():
        raise Unusable(
            f"The configuration {folder} does not exist: run from a checkout of the project, it is not part of the package."
        )
    return read((folder / "slurm.conf").read_text(), (folder / "gres.conf").read_text())


def result(vector: Mapping[str, Any]) -> dict[str, Any]:
    """Our answer to a vector, in the recorded form."""
    answer = _answer(vector)
    if answer is None:
        return {"exit": None, "stdout": "", "stderr": "not spoken"}
    if answer.waits and vector["argv"][0] != "sbatch":
        return {"exit": None, "pending": True, "stdout": answer.stdout, "stderr": answer.stderr}
    out: dict[str, Any] = {"exit": answer.exit, "stdout": answer.stdout, "stderr": answer.stderr}
    if answer.placement is not None:
        shares = answer.placement.shares
        out["summary"] = {
            "nodes": len(shares),
            "tasks": sum(share.tasks for share in shares),
            "tasks_per_node": [share.tasks for share in shares],
            "distinct_gpus_per_node": [len({gpu for seen in share.by_task for gpu in seen}) for share in shares],
            "gpus_per_task": [len(seen) for share in shares for seen in share.by_task],
        }
    return out


def _answer(vector: Mapping[str, Any]) -> Answer | None:
    argv, environment = vector["argv"], vector.get("env") or {}
    if argv[0] == "scontrol":
        return show(argv, environment, OLDEST)
    if argv[0] not in SUBMITTING:
        return None
    script = vector.get("stdin")
    return submit(argv, configuration(vector["config"]), environment=environment, script=script, release=OLDEST)
