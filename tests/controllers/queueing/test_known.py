"""Older news is told from newer without comparing versions: every order in which an informer may show what we wrote."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from roadstead.controllers.admission.known import Known
from roadstead.kinds.names import WORKLOADS
from roadstead.kinds.object import Object

KEY = ("default", "w")


def version(number: int, uid: str = "u1") -> Object:
    metadata = {"namespace": "default", "name": "w", "uid": uid, "resourceVersion": str(number)}
    return Object.of(WORKLOADS, {"apiVersion": WORKLOADS.api_version, "kind": "Workload", "metadata": metadata})


def shown(known: Known) -> str | None:
    found = known.get(KEY)
    return found.meta.resource_version if found is not None else None


def test_the_version_decided_on_does_not_come_back() -> None:
    known = Known()
    known.observe(KEY, version(1))
    known.updated(KEY, version(1).version, version(2))
    assert not known.observe(KEY, version(1))
    assert shown(known) == "2"
    assert not known.observe(KEY, version(2)), "what we wrote is no news"
    assert known.observe(KEY, version(3))
    assert shown(known) == "3"


def test_a_version_that_was_skipped_by_a_relist_is_not_waited_for() -> None:
    known = Known()
    known.observe(KEY, version(1))
    known.updated(KEY, version(1).version, version(2))
    assert known.observe(KEY, version(5))
    assert shown(known) == "5"


def test_several_writes_before_the_informer_shows_any() -> None:
    known = Known()
    known.observe(KEY, version(1))
    known.updated(KEY, version(1).version, version(2))
    known.updated(KEY, version(2).version, version(3))
    assert not known.observe(KEY, version(2))
    assert shown(known) == "3"


def test_an_informer_that_is_faster_than_the_answer_wins() -> None:
    known = Known()
    known.observe(KEY, version(1))
    known.observe(KEY, version(2))
    known.observe(KEY, version(3))
    known.updated(KEY, version(1).version, version(2))
    assert shown(known) == "3"


def test_the_end_of_a_predecessor_is_not_the_end_of_what_we_created() -> None:
    known = Known()
    known.observe(KEY, version(1, "old"))
    known.deleted(KEY, "old")
    known.created(KEY, version(5, "new"))
    assert not known.observe(KEY, version(2, "old"))
    assert not known.observe(KEY, None)
    assert shown(known) == "5"
    assert not known.observe(KEY, version(5, "new"))
    assert known.observe(KEY, None)
    assert shown(known) is None


def test_what_we_deleted_does_not_come_back_from_an_informer_that_lags() -> None:
    known = Known()
    known.observe(KEY, version(1))
    known.deleted(KEY, "u1")
    assert not known.observe(KEY, version(1))
    assert not known.observe(KEY, None)
    assert known.observe(KEY, version(7, "u2"))
    assert shown(known) == "7"


@given(st.lists(st.sampled_from(["ours", "theirs", "show"]), max_size=40))
def test_never_older_than_what_was_written_or_shown(events: list[str]) -> None:
    """History is a row of versions; ours are written on what is known (and fail if somebody was faster); an informer
    shows the row one by one, at any pace. What is known never goes back, and ends at the newest version."""
    known, history, at, newest_known = Known(), [1], 0, 1
    known.observe(KEY, version(1))
    at = 1
    for event in events:
        if event == "theirs":
            history.append(history[-1] + 1)
        elif event == "ours":
            current = known.get(KEY)
            assert current is not None
            if int(current.meta.resource_version) == history[-1]:
                history.append(history[-1] + 1)
                known.updated(KEY, current.version, version(history[-1]))
        elif at < len(history):
            known.observe(KEY, version(history[at]))
            at += 1
        current = known.get(KEY)
        assert current is not None
        assert int(current.meta.resource_version) >= newest_known
        newest_known = int(current.meta.resource_version)
    for number in history[at:]:
        known.observe(KEY, version(number))
    assert shown(known) == str(history[-1])
