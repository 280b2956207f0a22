"""The laboratory with the Job controller alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from roadstead.controllers.job import JobController
from roadstead.testing.controllers import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(lambda: [JobController()]) as lab:
        yield lab
