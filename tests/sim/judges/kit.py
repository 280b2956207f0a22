"""A judge and what the disk commits, without a simulation around them."""

from __future__ import annotations

import orjson

from roadstead.cluster.embedded.log import Row
from roadstead.kinds.object import Json
from roadstead.sim.judges import Judge
from roadstead.sim.judges.base import Past


class Court:
    """One judge, told of every write at its time; what it complains of."""

    def __init__(self, judge: type[Judge]) -> None:
        self.complaints: list[str] = []
        self._past = Past()
        self.judge = judge(self._past, lambda _, what: self.complaints.append(what))
        self._rv = 0

    def write(self, seconds: float, kind: str, value: Json) -> None:
        """An object is created or replaced."""
        meta = value["metadata"]
        path = f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else meta["name"]
        op = "ADDED" if self._past.get(kind, path) is None else "MODIFIED"
        self._rv += 1
        row = Row(self._rv, op, f"group/{kind}:{path}", "v1", orjson.dumps(value))
        self.judge.changed(self._past.take(row, seconds))
