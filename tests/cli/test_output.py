"""Tables, JSON, YAML, colour."""

from __future__ import annotations

import io
import json

import pytest
import yaml

from roadstead.cli.output import dump, table, wants_colour


def test_a_table_is_kubectls() -> None:
    assert (
        table(("NAME", "AGE"), [("a-long-name", 1), ("b", None)])
        == "NAME          AGE\na-long-name   1\nb             <none>"
    )


def test_dumps_read_back_and_keep_their_order() -> None:
    value = {"b": [1, {"x": None}], "a": "f\N{LATIN SMALL LETTER U WITH DIAERESIS}r"}
    for read in (json.loads(dump(value, "json")), yaml.safe_load(dump(value, "yaml"))):
        assert read == value
        assert list(read) == ["b", "a"]


@pytest.mark.parametrize(
    ("tty", "environment", "wanted"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour(tty: bool, environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return tty

    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(Stream()) is wanted
