"""Objects of older versions as they are stored now."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from roadstead.kinds.object import Json, Resource
from roadstead.kinds.registry import Kind, Registry, UnknownVersion, Upgrade
from roadstead.kinds.served import default_registry


def rename(old: str, new: str) -> Upgrade:
    def change(value: Json) -> Json:
        return {new if name == old else name: each for name, each in value.items()}

    return Upgrade(old, change)


@pytest.fixture
def registry() -> Registry:
    """Boxes, whose field is called as their version: v1, then v2, and v3 today."""
    kind = default_registry().by_kind("v1", "ConfigMap")
    assert kind is not None
    box: Kind = replace(
        kind,
        resource=Resource("toys.dev", "v3", "boxes"),
        kind="Box",
        upgrades=(rename("v1", "v2"), rename("v2", "v3")),
    )
    return Registry([box])


def upgraded(registry: Registry, api_version: str, key: str = "toys.dev/boxes:default/a") -> tuple[str, Json]:
    version = api_version.rpartition("/")[2]
    found, raw = registry.upgraded(key, api_version, json.dumps({"apiVersion": api_version, version: "kept"}).encode())
    return found, json.loads(raw)


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_every_version_ends_as_the_one_of_today(registry: Registry, version: str) -> None:
    assert upgraded(registry, f"toys.dev/{version}") == ("toys.dev/v3", {"apiVersion": "toys.dev/v3", "v3": "kept"})


def test_a_version_that_never_was_is_refused_with_those_that_were(registry: Registry) -> None:
    with pytest.raises(
        UnknownVersion, match=r"stored as toys.dev/v4; this version of roadstead knows v1, v2, v3 of boxes"
    ):
        upgraded(registry, "toys.dev/v4")


def test_kinds_that_are_not_served_stay_as_they_are(registry: Registry) -> None:
    assert upgraded(registry, "x.dev/v1", "x.dev/things:a")[0] == "x.dev/v1"


def test_every_kind_that_is_served_stores_what_it_serves() -> None:
    for kind in default_registry():
        assert kind.resource.version not in [step.version for step in kind.upgrades]
