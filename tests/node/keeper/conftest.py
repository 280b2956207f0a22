from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.node.keeper.box import Box


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One keeper for a module's tests."""
    made = Box(tmp_path_factory.mktemp("keeper"))
    yield made
    made.close()


@pytest.fixture
def own_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A keeper of the test's own, to be killed."""
    made = Box(tmp_path_factory.mktemp("keeper"))
    yield made
    made.close()
