"""What the options of `roadstead logs` ask the server for."""

from __future__ import annotations

import pytest

from roadstead.cli.failure import Failure
from roadstead.cli.follow import ends_by_itself
from roadstead.cli.logs import since_option


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", {}),
        ("30s", {"sinceSeconds": "30"}),
        ("5m", {"sinceSeconds": "300"}),
        ("1h30m", {"sinceSeconds": "5400"}),
        ("2026-01-31T12:00:00Z", {"sinceTime": "2026-01-31T12:00:00Z"}),
    ],
)
def test_since(text: str, asked: dict[str, str]) -> None:
    assert since_option(text) == asked


@pytest.mark.parametrize("text", ["5", "0s", "yesterday", "m", "-5m"])
def test_since_that_is_no_time(text: str) -> None:
    with pytest.raises(Failure, match="is neither how long ago nor a time"):
        since_option(text)


@pytest.mark.parametrize(
    ("reason", "does"), [("WaitingForQuota", True), ("ExceedsMaxQuota", False), ("Suspended", False), ("", True)]
)
def test_only_what_time_may_end_is_waited_for(reason: str, does: bool) -> None:
    conditions = [{"type": "QuotaReserved", "status": "False", "reason": reason}] if reason else []
    assert ends_by_itself({"status": {"conditions": conditions}}) is does
