"""One running world per adapter for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.adapters import REAL, WORLDS, World


@pytest.fixture(
    scope="session", params=[*WORLDS, *(pytest.param(name, marks=pytest.mark.realcluster) for name in REAL)]
)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = (WORLDS | REAL)[request.param]()
    made.start(tmp_path_factory.mktemp(request.param))
    yield made
    made.stop()
