"""`roadstead down` where nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.cli import main


def test_nothing_is_called_deleted_where_no_cluster_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["down", "--home", str(tmp_path), "--delete-data"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"nothing was running\nnothing to delete: there is no cluster in {tmp_path}\n"
