"""Questions beyond objects, by path: `queue`, `queue/NAMESPACE`, `why/NAMESPACE/[KIND:]NAME`; the empty path lists
them. What the API server serves under its own prefix and the command line asks for. (`plan` has a body, and is
compose/planning.py's.)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from roadstead.core.explain.explanation import Explanation
from roadstead.kinds.errors import StatusError
from roadstead.kinds.object import Json
from roadstead.runtime.step import Key, Read
from roadstead.views.queue import queue_page
from roadstead.views.viewer import EVERYBODY, Viewer
from roadstead.views.why import NothingOfThatName, why_answer

QUESTIONS: Final = ("queue", "queue/NAMESPACE", "why/NAMESPACE/[KIND:]NAME", "plan")


class Answers:
    """Callable with the path of a question; gives a JSON value or raises StatusError."""

    def __init__(self, read: Read, why: Callable[[Key, int], Explanation], clock: Callable[[], int]) -> None:
        """`read` sees jobs, pods and everything of the queue; `why` evaluates one workload anew; `clock` gives
        nanoseconds."""
        self._read = read
        self._why = why
        self._clock = clock

    def __call__(self, path: str, viewer: Viewer = EVERYBODY) -> Json:
        now = self._clock()
        match path.strip("/").split("/"):
            case [""]:
                return {"questions": list(QUESTIONS)}
            case ["queue"]:
                return queue_page(self._read, now).as_json()
            case ["queue", namespace]:
                return queue_page(self._read, now, namespace=namespace).as_json()
            case ["why", namespace, named]:
                kind, _, name = named.rpartition(":")
                try:
                    found = why_answer(namespace, name, self._read, lambda key: self._why(key, now), now, kind)
                    return found.as_json(viewer)
                except NothingOfThatName as error:
                    raise StatusError(404, "NotFound", str(error)) from error
        raise StatusError(
            404, "NotFound", f'there is no question "{path}"; there are {", ".join(QUESTIONS)} (plan is a POST)'
        )
