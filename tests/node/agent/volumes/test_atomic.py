"""Directories that change as a whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.node.agent.volumes import atomic
from roadstead.node.agent.volumes.atomic import Files

NAMES = st.sampled_from(["a", "b", "c/x", "c/y", "d/e/f", "..hidden-not", "g"]).filter(lambda name: name[0] != ".")
CONTENTS = st.dictionaries(NAMES, st.tuples(st.binary(max_size=8), st.sampled_from([0o644, 0o600, 0o440])), max_size=5)


def seen(place: Path) -> dict[str, tuple[bytes, int]]:
    """What a program finds that lists the directory and opens what it sees, `..` entries apart."""
    found = {}
    for entry in place.iterdir():
        if entry.name.startswith(".."):
            continue
        paths = [entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()]
        for path in paths:
            found[os.fspath(path.relative_to(place))] = (path.read_bytes(), path.stat().st_mode & 0o777)
    return found


@given(contents=st.lists(CONTENTS, min_size=1, max_size=4))
def test_after_each_write_there_is_exactly_what_was_written(contents: list[Files]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "v"
        before: Files | None = None
        for files in contents:
            assert atomic.write(place, files) == (files != before)
            assert seen(place) == dict(files)
            hidden = [name for name in os.listdir(place) if name.startswith("..")]
            assert len(hidden) == 2, "the link and the one directory that it leads to"
            before = files


def test_whoever_reads_while_it_changes_sees_the_old_content(tmp_path: Path) -> None:
    place = tmp_path / "v"
    atomic.write(place, {"key": (b"old", 0o644), "name": (b"old", 0o644)})
    with (place / "key").open() as held:
        atomic.write(place, {"key": (b"new", 0o644), "name": (b"new", 0o644)})
        assert held.read() == "old"
    assert (place / "key").read_text() == (place / "name").read_text() == "new"


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    place = tmp_path / "v"
    atomic.write(place, {"a": (b"1", 0o644)})
    with pytest.raises(OSError, match="a"):
        atomic.write(place, {"a": (b"2", 0o644), "a/b": (b"3", 0o644)})
    assert seen(place) == {"a": (b"1", 0o644)}


def test_files_of_an_older_agent_are_replaced(tmp_path: Path) -> None:
    place = tmp_path / "v"
    (place / "dir").mkdir(parents=True)
    (place / "dir" / "x").write_text("old")
    (place / "kept").write_text("old")
    (place / "gone").write_text("old")
    files = {"dir/x": (b"new", 0o644), "kept": (b"new", 0o600)}
    assert atomic.write(place, files)
    assert seen(place) == files
    assert os.readlink(place / "kept") == "..data/kept"


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    place = tmp_path / "v"
    atomic.write(place, {"a": (b"1", 0o644)})
    (place / "..123").mkdir()
    (place / "..data_tmp").symlink_to("..123")
    assert not atomic.write(place, {"a": (b"1", 0o644)})
    assert sorted(os.listdir(place)) == sorted(["..data", os.readlink(place / "..data"), "a"])


def test_reading_one_file(tmp_path: Path) -> None:
    atomic.write(tmp_path / "v", {"a/b": (b"1", 0o644)})
    assert atomic.read(tmp_path / "v", "a/b") == b"1"
    assert atomic.read(tmp_path / "v", "c") is None
    assert atomic.read(tmp_path / "w", "a") is None
