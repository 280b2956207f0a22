"""features.toml: every row is proven by a test that exists, or says that it is not supported."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from typing import Any

import pytest

from tests.tidy.files import ROOT

GROUPS: list[dict[str, Any]] = tomllib.loads((ROOT / "features.toml").read_text())["group"]
ROWS: list[dict[str, str]] = [row for group in GROUPS for row in group["rows"]]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


def test_ids_are_used_once_and_titles_say_something() -> None:
    ids = [row["id"] for row in ROWS]
    assert len(set(ids)) == len(ids)
    assert all(row["title"].strip() for row in ROWS)
    assert len({group["title"] for group in GROUPS}) == len(GROUPS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_row_has_a_test_or_says_that_it_is_not_supported(row: dict[str, str]) -> None:
    assert set(row) in ({"id", "title", "test"}, {"id", "title", "status"})
    if "test" not in row:
        assert row["status"] == "not supported"
        return
    path, _, name = row["test"].partition("::")
    assert (ROOT / path).is_file(), f"{path} does not exist"
    assert name in names_in(path), f"{path} has no {name}"
    assert name.startswith("test_")
