"""The election as a table: who holds the lease, what was seen of it, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.kinds.names import LEASES
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND
from roadstead.runtime.cluster import Create, Update
from roadstead.runtime.leader import Attempt, Election, Terms, Wait

WALL = 1_700_000_000 * SECOND
T0 = 1_000 * SECOND
ME, OTHER = "host-a_1", "host-b_2"


def election(identity: str = ME, **terms: int) -> Election:
    return Election("system", "operator", identity, Terms(**terms))


def lease(holder: str | None, version: str = "1", renewed: str = "2023-11-14T22:13:20.000000Z", **spec: Any) -> Object:
    value: Json = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": "system", "name": "operator", "uid": "u", "resourceVersion": version},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "acquireTime": "2023-11-14T22:00:00.000000Z",
            "renewTime": renewed,
            "leaseTransitions": 4,
            **spec,
        },
    }
    return Object.of(LEASES, value)


def spec_of(action: Attempt | Wait) -> Json:
    assert isinstance(action, Attempt)
    spec: Json = action.write.value["spec"]
    return spec


# ---------------------------------------------------------------------- acquiring


def test_a_lease_that_does_not_exist_is_created() -> None:
    action = election().observe(None, T0, WALL)
    assert isinstance(action, Attempt)
    assert isinstance(action.write, Create)
    assert action.write.value["metadata"] == {"namespace": "system", "name": "operator"}
    assert spec_of(action) == {
        "holderIdentity": ME,
        "leaseDurationSeconds": 15,
        "acquireTime": "2023-11-14T22:13:20.000000Z",
        "renewTime": "2023-11-14T22:13:20.000000Z",
        "leaseTransitions": 0,
    }


@pytest.mark.parametrize("holder", ["", None])
def test_a_lease_that_was_given_back_is_taken_at_once(holder: str | None) -> None:
    action = election().observe(lease(holder), T0, WALL)
    assert isinstance(action, Attempt)
    assert isinstance(action.write, Update)
    assert action.write.value["metadata"]["resourceVersion"] == "1"
    assert spec_of(action)["leaseTransitions"] == 5
    assert spec_of(action)["holderIdentity"] == ME


@pytest.mark.parametrize("written", ["1970-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"])
def test_a_held_lease_is_waited_for_from_when_it_was_seen_whatever_its_holders_clock_says(written: str) -> None:
    candidate = election()
    held = lease(OTHER, renewed=written)
    assert candidate.observe(held, T0, WALL) == Wait(OTHER, T0 + 15 * SECOND)
    assert candidate.observe(held, T0 + 15 * SECOND - 1, WALL) == Wait(OTHER, T0 + 15 * SECOND)
    assert spec_of(candidate.observe(held, T0 + 15 * SECOND, WALL))["leaseTransitions"] == 5


def test_every_renewal_starts_the_wait_anew() -> None:
    candidate = election()
    candidate.observe(lease(OTHER, "1"), T0, WALL)
    renewed = lease(OTHER, "2", renewed="2023-11-14T22:13:22.000000Z")
    assert candidate.observe(renewed, T0 + 14 * SECOND, WALL) == Wait(OTHER, T0 + 29 * SECOND)


def test_a_change_that_is_no_renewal_does_not_start_the_wait_anew() -> None:
    candidate = election()
    candidate.observe(lease(OTHER, "1"), T0, WALL)
    assert candidate.observe(lease(OTHER, "2"), T0 + 14 * SECOND, WALL) == Wait(OTHER, T0 + 15 * SECOND)


def test_the_holders_own_duration_counts() -> None:
    candidate = election()
    assert candidate.observe(lease(OTHER, leaseDurationSeconds=60), T0, WALL) == Wait(OTHER, T0 + 60 * SECOND)


def test_a_lease_that_vanished_does_not_end_its_holders_term() -> None:
    candidate = election()
    candidate.observe(lease(OTHER), T0, WALL)
    assert candidate.observe(None, T0 + 2 * SECOND, WALL) == Wait(OTHER, T0 + 15 * SECOND)
    assert isinstance(candidate.observe(None, T0 + 15 * SECOND, WALL), Attempt)


# ---------------------------------------------------------------------- leading


def leading(sent_at: int = T0) -> Election:
    leader = election()
    leader.observe(None, sent_at, WALL)
    leader.wrote(lease(ME, "2"), sent_at)
    return leader


def test_nobody_leads_before_the_server_has_said_so() -> None:
    candidate = election()
    candidate.observe(None, T0, WALL)
    assert not candidate.may_write(T0)
    assert candidate.age(T0) is None


def test_a_leader_writes_until_the_deadline_after_the_renewal_was_sent() -> None:
    leader = leading()
    assert leader.may_write(T0)
    assert leader.may_write(T0 + 10 * SECOND - 1)
    assert not leader.may_write(T0 + 10 * SECOND)
    assert leader.age(T0 + 3 * SECOND) == 3 * SECOND


def test_a_renewal_keeps_when_it_was_acquired_and_counts_no_transition() -> None:
    leader = leading()
    spec = spec_of(leader.observe(lease(ME, "2"), T0 + 2 * SECOND, WALL + 2 * SECOND))
    assert spec["acquireTime"] == "2023-11-14T22:00:00.000000Z"
    assert spec["renewTime"] == "2023-11-14T22:13:22.000000Z"
    assert spec["leaseTransitions"] == 4
    leader.wrote(lease(ME, "3"), T0 + 2 * SECOND)
    assert leader.may_write(T0 + 12 * SECOND - 1)


def test_an_attempt_whose_answer_was_lost_renews_nothing_and_the_next_one_does() -> None:
    leader = leading()
    landed = lease(ME, "3", renewed="2023-11-14T22:13:28.000000Z")  # it was carried out, but nobody told
    action = leader.observe(landed, T0 + 11 * SECOND, WALL)
    assert not leader.may_write(T0 + 11 * SECOND)
    assert isinstance(action, Attempt)
    assert action.write.value["metadata"]["resourceVersion"] == "3"


def test_who_sees_another_holder_leads_no_more_from_that_moment() -> None:
    leader = leading()
    assert isinstance(leader.observe(lease(OTHER, "3"), T0 + SECOND, WALL), Wait)
    assert not leader.may_write(T0 + SECOND)
    assert leader.age(T0 + SECOND) is None


def test_standing_down_is_at_once() -> None:
    leader = leading()
    leader.stand_down()
    assert not leader.may_write(T0)


def test_who_stood_down_leads_anew_when_its_own_last_writes_have_landed() -> None:
    leader = leading()
    last = T0 + 10 * SECOND - 1
    assert leader.may_write(last)
    leader.stand_down()
    until = T0 + 15 * SECOND
    assert leader.observe(lease(ME, "2"), last + 1, WALL) == Wait(ME, until)
    assert last + leader.terms.landing <= until
    assert isinstance(leader.observe(lease(ME, "2"), until, WALL), Attempt)


def test_who_lost_the_lease_waits_for_its_own_writes_too() -> None:
    leader = leading()
    leader.observe(lease(OTHER, "3", leaseDurationSeconds=1), T0 + SECOND, WALL)
    assert leader.observe(lease("", "4"), T0 + 14 * SECOND, WALL) == Wait(ME, T0 + 15 * SECOND)


def test_releasing_keeps_the_count_of_transitions_and_lets_others_in() -> None:
    leader = leading()
    write = leader.released(lease(ME, "9"), WALL)
    assert write is not None
    assert write.value["spec"] == {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": "2023-11-14T22:13:20.000000Z",
        "renewTime": "2023-11-14T22:13:20.000000Z",
        "leaseTransitions": 4,
    }
    assert isinstance(election(OTHER).observe(Object.of(LEASES, write.value), T0, WALL), Attempt)


def test_nobody_gives_back_what_another_holds() -> None:
    assert election().released(lease(OTHER), WALL) is None


# ---------------------------------------------------------------------- the law


@pytest.mark.parametrize("stopped_after", [0, 1, 5, 9])
def test_nothing_sent_by_one_leader_can_land_while_the_next_one_leads(stopped_after: int) -> None:
    """Whenever the old leader was stopped, its last write was allowed `landing` before the earliest moment of the next
    term."""
    old, new = election(ME), election(OTHER)
    old.observe(None, T0, WALL)
    stored = lease(ME, "2")
    old.wrote(stored, T0)
    seen_at = T0 + stopped_after * SECOND  # the candidate cannot see the renewal before it was sent
    action = new.observe(stored, seen_at, WALL)
    assert isinstance(action, Wait)
    last = max(t for t in range(T0, T0 + 30 * SECOND, SECOND // 4) if old.may_write(t))
    assert last + old.terms.landing <= action.until


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"lease_duration": 10 * SECOND}, "must be longer than the renew deadline"),
        ({"lease_duration": 9 * SECOND}, r"lease duration \(9 s\) must be longer than the renew deadline \(10 s\)"),
        ({"retry_period": 9 * SECOND}, "must be longer than 1.2 times the retry period"),
        ({"retry_period": 0}, "longer than 0"),
        ({"lease_duration": 15 * SECOND + 1}, "whole seconds"),
    ],
)
def test_terms_that_do_not_fit_together(terms: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Terms(**terms)
