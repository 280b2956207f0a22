"""How it is asked what someone may do, and what counts as an answer."""

from __future__ import annotations

import orjson
import pytest

from roadstead.auth.access_reviews import SELF_REVIEWS, SUBJECT_REVIEWS, answer, question
from roadstead.auth.identity import Identity
from roadstead.kinds.object import Json, Object
from roadstead.runtime.cluster import Outcome, Result

LIST_PODS = {"verb": "list", "resource": "pods", "namespace": "team", "name": ""}
ASKED = {"verb": "list", "resource": "pods", "namespace": "team"}


def test_about_oneself() -> None:
    asked = question(LIST_PODS)
    assert asked.resource == SELF_REVIEWS
    assert asked.value == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": {"resourceAttributes": ASKED},
    }


def test_about_another() -> None:
    asked = question(LIST_PODS, Identity("ann", ("readers",)))
    assert asked.resource == SUBJECT_REVIEWS
    assert asked.value["kind"] == "SubjectAccessReview"
    assert asked.value["spec"] == {"user": "ann", "groups": ["readers"], "resourceAttributes": ASKED}


@pytest.mark.parametrize(
    ("status", "allowed"),
    [({"allowed": True}, True), ({"allowed": False}, False), ({}, False), (None, False)],
)
def test_an_answer(status: Json | None, allowed: bool) -> None:
    reviewed = Object(SELF_REVIEWS, orjson.dumps({"metadata": {}, "status": status}))
    assert answer(Outcome(Result.DONE, reviewed)) is allowed


def test_no_answer_is_no_answer() -> None:
    assert answer(Outcome(Result.INVALID, message="no")) is None
