"""Read-your-own-writes: a waiter is blocked until its version was seen, in whichever order the news arrives."""

from __future__ import annotations

from roadstead.kinds.names import CONFIG_MAPS
from roadstead.runtime.expectations import Expectations
from tests.runtime.objects import config_map

ME = ("job", ("default", "train"))


def test_blocked_until_exactly_that_version_is_seen() -> None:
    expectations = Expectations()
    written = config_map("a", version="7")
    expectations.expect_version(ME, written.ref, written.version)
    older = config_map("a", version="5")
    assert expectations.saw(None, older) == set()
    assert expectations.is_blocked(ME)
    assert expectations.saw(older, written) == {ME}
    assert not expectations.is_blocked(ME)


def test_a_version_seen_before_its_answer_arrived_counts_even_if_newer_ones_followed() -> None:
    expectations = Expectations()
    written, newer = config_map("a", version="7"), config_map("a", version="9")
    expectations.saw(None, written)
    expectations.saw(written, newer)
    expectations.expect_version(ME, written.ref, written.version)
    assert not expectations.is_blocked(ME)


def test_an_object_that_vanished_frees_who_waited_for_one_of_its_versions() -> None:
    expectations = Expectations()
    old = config_map("a", version="3")
    expectations.expect_version(ME, old.ref, ("uid-a", "4"))
    assert expectations.saw(old, None) == {ME}


def test_waits_for_a_deletion_and_is_not_fooled_by_a_new_object_of_the_same_name() -> None:
    expectations = Expectations()
    old, new = config_map("a", uid="u1", version="3"), config_map("a", uid="u2", version="8")
    expectations.expect_gone(ME, old.ref, "u1")
    changed = config_map("a", uid="u1", version="4")
    assert expectations.saw(old, changed) == set()
    assert expectations.saw(changed, new) == {ME}


def test_a_list_begun_afterwards_frees_but_one_begun_before_does_not() -> None:
    expectations = Expectations()
    before = expectations.snapshot(CONFIG_MAPS)
    written = config_map("a", version="7")
    expectations.expect_version(ME, written.ref, written.version)
    assert expectations.met_by_list(before) == set()
    after = expectations.snapshot(CONFIG_MAPS)
    assert expectations.met_by_list(after) == {ME}


def test_all_expectations_must_be_met() -> None:
    expectations = Expectations()
    one, two = config_map("a", version="7"), config_map("b", version="8")
    for obj in (one, two):
        expectations.expect_version(ME, obj.ref, obj.version)
    assert expectations.saw(None, one) == set()
    assert expectations.saw(None, two) == {ME}
