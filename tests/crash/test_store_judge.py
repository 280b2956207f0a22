"""The judge itself: what it must and must not complain about."""

from __future__ import annotations

import pytest

from tests.crash.store_judge import Judge, Told

A1, A2 = Told(1, "ADDED", "a", "t1"), Told(2, "MODIFIED", "a", "t2")


@pytest.mark.parametrize(
    ("lines", "objects", "revision", "complaint"),
    [
        pytest.param(["ack\t1\tADDED\ta\tt1"], {"a": (1, "t1")}, 1, "", id="kept"),
        pytest.param(["ack\t1\tADDED\ta\tt1"], {}, 1, "acknowledged", id="lost"),
        pytest.param(["ack\t1\tADDED\ta\tt1"], {"a": (1, "t0")}, 1, "acknowledged", id="other content"),
        pytest.param(
            ["ack\t1\tADDED\ta\tt1", "ack\t2\tMODIFIED\ta\tt2"], {"a": (1, "t1")}, 2, "acknowledged", id="older"
        ),
        pytest.param(
            ["ack\t1\tADDED\ta\tt1", "sent\ta\tMODIFIED\tt2"], {"a": (2, "t2")}, 2, "", id="landed unanswered"
        ),
        pytest.param(["ack\t1\tADDED\ta\tt1", "sent\ta\tMODIFIED\tt2"], {"a": (1, "t1")}, 1, "", id="did not land"),
        pytest.param(["ack\t1\tADDED\ta\tt1", "sent\ta\tDELETED\t"], {}, 2, "", id="removal landed unanswered"),
        pytest.param(["ack\t1\tADDED\ta\tt1", "gone\ta"], {}, 2, "", id="removed"),
        pytest.param(["ack\t1\tADDED\ta\tt1", "gone\ta"], {"a": (1, "t1")}, 2, "acknowledged", id="came back"),
        pytest.param(["sent\ta\tADDED\tt1"], {"a": (1, "t9")}, 1, "stored", id="never sent"),
        pytest.param(["sent\ta\tADDED\tt1", "refused\ta"], {"a": (1, "t1")}, 1, "stored", id="refused and yet there"),
        pytest.param(
            ["saw\t5\tADDED\tb\tt1"], {}, 4, "the counter stands at 4, but 5 was sent", id="counter went back"
        ),
        pytest.param(["saw\t5\tADDED\tb\tt1", "ack\t5\tADDED\tb\tt2"], {"b": (5, "t2")}, 5, "sent twice", id="twice"),
        pytest.param(
            ["ack\t1\tADDED\ta\tt1", "ack\t2\tADDED\ta\tt2"], {"a": (2, "t2")}, 2, "was created", id="replaced"
        ),
        pytest.param(["ack\t1\tADDED\ta\tt1", "gone\ta", "ack\t3\tADDED\ta\tt2"], {"a": (3, "t2")}, 3, "", id="again"),
        pytest.param(["ack\t1\tADDED\ta\tt1", "CUT"], {"a": (1, "t1")}, 1, "", id="a line cut off"),
    ],
)
def test_complaints(lines: list[str], objects: dict[str, tuple[int, str]], revision: int, complaint: str) -> None:
    judge = Judge()
    judge.read(line if line == "CUT" else line + "\n" for line in lines)
    judge.reopened(objects, revision)
    assert bool(judge.complaints) == bool(complaint)
    assert all(complaint in text for text in judge.complaints)


def test_versions_are_compared_across_restarts() -> None:
    judge = Judge()
    judge.acked(A1)
    judge.reopened({"a": (1, "t1")}, 1)
    judge.acked(A2)
    judge.saw(Told(2, "MODIFIED", "a", "other"))
    assert judge.complaints
