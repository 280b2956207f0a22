"""The demo's judge: a story that went well has no complaint, and each thing that can go wrong has its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from roadstead.cli.demo.story import PARTS, TEAMS, Borrowed, Seen, borrowed, judge, report_of
from roadstead.kinds.object import Json

Story = tuple[dict[str, Seen], dict[str, Borrowed]]


def having(condition: str) -> Json:
    return {"status": {"conditions": [{"type": condition, "status": "True", "reason": "R"}]}}


def went_well() -> Story:
    seen = {}
    for part in PARTS:
        report: Json = {"accuracy": 0.97, "resumed_from": 120 if part.yields else 0}
        if part.members > 1:
            report["weights"] = "abc"
        seen[part.name] = Seen(
            having("Complete"), having("Finished"), [dict(report)] * part.members, {part.yields} - {""}
        )
    return seen, {"vision": Borrowed(4, 0), "speech": Borrowed(2, 0)}


def test_a_story_that_went_well_has_no_complaint() -> None:
    assert judge(*went_well()) == []


def part(name: str, **changes: Any) -> Callable[[Story], None]:
    def spoil(story: Story) -> None:
        story[0][name] = replace(story[0][name], **changes)

    return spoil


def loan(team: str, most: int, at_the_end: int) -> Callable[[Story], None]:
    def spoil(story: Story) -> None:
        story[1][team] = Borrowed(most, at_the_end)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (part("sweep", job=having("Failed")), "job sweep is not Complete"),
        (part("sweep", workload=None), "the workload of sweep is not Finished"),
        (part("together", reports=[{"accuracy": 0.97}]), "together: 1 of 2 members reported a result"),
        (part("urgent", reports=[{"accuracy": 0.2}]), "urgent: accuracy 0.2 is below 0.9"),
        (part("digits", preempted=()), "digits was preempted for nothing, expected InClusterQueue"),
        (part("survey", preempted={"InClusterQueue"}), "survey was preempted for InClusterQueue, expected InCohortReclamation"),
        (part("urgent", preempted={"InCohortReclamation"}), "urgent was preempted for InCohortReclamation, expected nothing"),
        (part("survey", reports=[{"accuracy": 0.97, "resumed_from": 0}]), "survey started again from step 0"),
        (part("together", reports=[{"accuracy": 0.97, "weights": w} for w in "ab"]), "the members of together ended with different weights"),
        (loan("vision", 0, 0), "ClusterQueue vision borrowed 0 GPUs at most, expected 4"),
        (loan("vision", 4, 4), "ClusterQueue vision still has 4 GPUs borrowed"),
        (loan("speech", 0, 0), "ClusterQueue speech borrowed 0 GPUs at most, expected 2"),
    ],
)  # fmt: skip
def test_each_thing_that_goes_wrong_is_said(spoil: Callable[[Story], None], complaint: str) -> None:
    story = went_well()
    spoil(story)
    assert judge(*story) == [complaint]


def test_what_a_queue_borrows_is_read_off_its_status() -> None:
    resources = [
        {"name": "cpu", "total": "2", "borrowed": "1"},
        {"name": "nvidia.com/gpu", "total": "8", "borrowed": "4"},
    ]
    assert borrowed({"status": {"flavorsReservation": [{"name": "h100", "resources": resources}]}}) == 4
    assert borrowed({}) == 0
    assert set(TEAMS) == set(went_well()[1])


@pytest.mark.parametrize(
    ("terminated", "report"),
    [
        ({"exitCode": 0, "message": '{"steps": 3}'}, {"steps": 3}),
        ({"exitCode": 1, "message": '{"steps": 3}'}, None),
        ({"exitCode": 0, "message": "no JSON"}, None),
        ({"exitCode": 0}, None),
    ],
)
def test_a_report_is_the_last_word_of_a_process_that_ended_well(terminated: Json, report: Json | None) -> None:
    assert report_of({"status": {"containerStatuses": [{"state": {"terminated": terminated}}]}}) == report
