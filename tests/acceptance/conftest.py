from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cluster import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster per test module: a node with eight simulated GPUs."""
    home: Path = tmp_path_factory.mktemp("home")
    found = Cluster(home)
    found.roadstead("up", "--port", "0", "--node", "gpu=h100x8,cpu=8,memory=16Gi")
    try:
        yield found
    finally:
        found.roadstead("down", check=False)
