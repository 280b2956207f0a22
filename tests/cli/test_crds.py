"""`roadstead crds`: what it prints is what the kinds say of themselves."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner

from roadstead.cli.crds import command
from roadstead.kinds.apiextensions import definition
from roadstead.kinds.crds import definitions
from roadstead.kinds.served import default_registry
from tests.kinds.way import check_new, texts


def test_it_prints_the_definitions() -> None:
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert list(yaml.safe_load_all(result.output)) == definitions(default_registry())


def test_kueues_may_be_left_out() -> None:
    result = CliRunner().invoke(command, ["--without-kueue"])
    assert {crd["spec"]["group"] for crd in yaml.safe_load_all(result.output)} == {"roadstead.dev"}


@pytest.mark.parametrize("crd", definitions(default_registry()), ids=lambda crd: crd["metadata"]["name"])
def test_each_is_a_valid_definition(crd: dict[str, object]) -> None:
    _, found = check_new(definition.kind(), crd, mode="Strict")
    assert texts(found) == []
