"""The demo ends by itself and judges itself by the stored objects; here it is only seen to do so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.cluster import Cluster


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_ends_as_it_must(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    cluster = Cluster(tmp_path / "home")
    cluster.environment["TMPDIR"] = str(tmp_path)
    done = cluster.roadstead("demo", timeout=240)
    assert "all five jobs ended as they should" in done.stdout
    # Where its path is too long for a socket, that is in a folder that all of a user's clusters share, and stays empty.
    left = [path for path in tmp_path.rglob("*") if not path.is_dir()]
    assert (left, list(tmp_path.glob("roadstead-demo-*"))) == ([], []), "nothing is left behind"
    assert not cluster.processes()
