"""One running world per adapter for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.adapters import WORLDS, World


@pytest.fixture(scope="session", params=list(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = WORLDS[request.param]()
    made.start(tmp_path_factory.mktemp(request.param))
    yield made
    made.stop()
