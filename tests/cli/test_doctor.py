"""What the doctor says of machines in various states."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from roadstead.auth.certificates import Authority
from roadstead.cli import examine
from roadstead.cli.examine import Finding, Level, Machine
from roadstead.cli.home import Home
from roadstead.cluster.embedded.log import DATABASE_FILE, FORMAT, SqliteLog

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which all is well, and nothing was ever started."""
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o700)
    return Machine(
        home,
        root=tmp_path,
        user=1000,
        open_files=65536,
        find_program=lambda name: f"/bin/{name}",
        try_tier=lambda *_: "",
    )


def levels(machine: Machine, about: str) -> dict[Level, Finding]:
    return {finding.level: finding for finding in examine.examine(machine) if finding.about == about}


def test_nothing_stands_in_the_way(machine: Machine) -> None:
    findings = examine.examine(machine)
    assert all(finding.level is not Level.PROBLEM for finding in findings)
    assert all(finding.seen for finding in findings)
    assert "roadstead up" in levels(machine, "cluster")[Level.NOTE].advice


def test_what_is_not_enforced_is_said_on_every_machine(machine: Machine) -> None:
    seen = " ".join(finding.seen for finding in examine.examine(machine) if finding.about == "isolation")
    assert "CPU limits, securityContext and images are not enforced" in seen


def test_without_name_spaces_pods_are_bare(machine: Machine) -> None:
    refused = replace(machine, try_tier=lambda tier, _: "Operation not permitted")
    found = next(finding for finding in examine.examine(refused) if finding.about == "isolation")
    assert found.level is Level.NOTE
    assert "userns: Operation not permitted" in found.seen
    assert "ROADSTEAD_VOLUME_" in found.advice


def test_a_full_disk(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 40, 1 << 40, 100 << 20))
    assert "0.1 GiB free" in levels(machine, "state")[Level.PROBLEM].seen


def test_a_home_that_others_can_read(machine: Machine) -> None:
    machine.home.root.chmod(0o755)
    found = levels(machine, "state")[Level.PROBLEM]
    assert "mode 755" in found.seen
    assert found.advice == f"Close it: chmod 700 {machine.home.root}"


def test_data_that_is_well(machine: Machine) -> None:
    SqliteLog(machine.home.data).close()
    assert f"0 objects, 0.0 MB, format {FORMAT}" in levels(machine, "data")[Level.OK].seen


def test_a_home_with_a_strange_name_is_looked_at_all_the_same(machine: Machine, tmp_path: Path) -> None:
    strange = Home(tmp_path / "a#b?c%20d")
    SqliteLog(strange.data).close()
    assert "0 objects" in levels(replace(machine, home=strange), "data")[Level.OK].seen
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("a")] == [strange.root.name]


def test_data_of_a_newer_version(machine: Machine) -> None:
    SqliteLog(machine.home.data).close()
    with sqlite3.connect(machine.home.data / DATABASE_FILE) as connection:
        connection.execute(f"PRAGMA user_version={FORMAT + 1}")
    connection.close()
    assert f"has format {FORMAT + 1}; this version reads up to {FORMAT}" in levels(machine, "data")[Level.PROBLEM].seen


def test_data_that_is_none(machine: Machine) -> None:
    machine.home.data.mkdir()
    (machine.home.data / DATABASE_FILE).write_bytes(b"not a database" * 100)
    found = levels(machine, "data")[Level.PROBLEM]
    assert "cannot be read: file is not a database" in found.seen
    assert "Restore it from a backup" in found.advice


@pytest.mark.parametrize(("days", "level"), [(3640, Level.NOTE), (3700, Level.PROBLEM)])
def test_certificates_that_end(machine: Machine, days: int, level: Level) -> None:
    Authority.load_or_create(machine.home.pki)
    later = replace(machine, now=lambda: datetime.now(UTC) + timedelta(days=days))
    assert "ca.crt ends on" in levels(later, "certificates")[level].seen


def test_few_open_files_and_no_kubectl(machine: Machine) -> None:
    poor = replace(machine, open_files=1024, find_program=lambda _: None)
    assert "may open 1024 files" in levels(poor, "limits")[Level.NOTE].seen
    assert "not on the PATH" in levels(poor, "kubectl")[Level.NOTE].seen


def test_gpus_are_counted(machine: Machine) -> None:
    for number in range(2):
        (machine.root / f"proc/driver/nvidia/gpus/0000:0{number}").mkdir(parents=True)
    assert "2 NVIDIA GPUs" in levels(machine, "devices")[Level.NOTE].seen
