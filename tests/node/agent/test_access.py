"""Who may ask a guest's log port: the API server's answer, kept for a while."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from roadstead.auth.access_reviews import SUBJECT_REVIEWS
from roadstead.auth.identity import Identity
from roadstead.kinds.object import Json, Object
from roadstead.node.agent.access import NO_LASTS, YES_LASTS, Access
from roadstead.runtime.cluster import Create, Outcome, Result, Unavailable, Write

READER = Identity("reader", ("readers", "system:authenticated"))


class Server:
    """Answers access reviews from a set of subresources, and notes them."""

    def __init__(self, *granted: str) -> None:
        self.granted = set(granted)
        self.asked: list[Json] = []
        self.time = 0
        self.is_down = False
        self.access = Access(self.write, lambda: self.time)

    async def write(self, write: Write) -> Outcome:
        assert isinstance(write, Create)
        assert write.resource == SUBJECT_REVIEWS
        if self.is_down:
            return Outcome(Result.THROTTLED, message="down")
        self.asked.append(write.value["spec"])
        allowed = write.value["spec"]["resourceAttributes"]["subresource"] in self.granted
        return Outcome(
            Result.DONE, Object(write.resource, orjson.dumps({**write.value, "status": {"allowed": allowed}}))
        )

    def allows(self, *subresources: str, who: Identity = READER, node: str = "n1") -> bool:
        return asyncio.run(self.access.allows(who, node, subresources))


def test_what_is_asked_is_what_kubelets_ask() -> None:
    server = Server("proxy")
    assert server.allows("proxy")
    assert server.asked == [
        {
            "user": "reader",
            "groups": ["readers", "system:authenticated"],
            "resourceAttributes": {
                "verb": "get",
                "version": "v1",
                "resource": "nodes",
                "subresource": "proxy",
                "name": "n1",
            },
        }
    ]


def test_one_of_several_subresources_is_enough() -> None:
    server = Server("proxy")
    assert server.allows("healthz", "proxy")
    assert not server.allows("healthz")
    assert len(server.asked) == 2


@pytest.mark.parametrize(("granted", "lasts"), [(("proxy",), YES_LASTS), ((), NO_LASTS)])
def test_an_answer_holds_for_a_while(granted: tuple[str, ...], lasts: int) -> None:
    server = Server(*granted)
    for time, asked in ((0, 1), (lasts - 1, 1), (lasts, 2)):
        server.time = time
        assert server.allows("proxy") is bool(granted)
        assert len(server.asked) == asked


def test_an_answer_is_for_this_caller_and_this_node() -> None:
    server = Server("proxy")
    server.allows("proxy")
    server.granted.clear()
    assert server.allows("proxy")
    assert not server.allows("proxy", node="n2")
    assert not server.allows("proxy", who=Identity("reader", ("others",)))


def test_a_server_that_does_not_say_is_no_answer() -> None:
    server = Server("proxy")
    server.is_down = True
    with pytest.raises(Unavailable, match="down"):
        server.allows("proxy")
    server.is_down = False
    assert server.allows("proxy")
