"""A process with a store under write load, to be killed. Every promise it makes goes to a ledger file of the parent at
once.

    python -m tests.crash.store_child DIRECTORY LEDGER ROUND [MUTANT]

The mutants are defects made on purpose, so that the tests can show that the judge notices them.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from roadstead.cluster.embedded.history import Change, Limits
from roadstead.cluster.embedded.log import Row, SqliteLog
from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.requests import WatchOptions
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Pending, Store
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES
from roadstead.kinds.object import Object, Ref
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create, Delete, Update

WRITERS = 8
KEYS_PER_WRITER = 3
LIMITS = Limits(changes=200)  # so that trimming is killed, too


class AcknowledgesEarly(Store):
    """Mutant: says done before the batch is on the disk."""

    def _accept(self, change: Change) -> Pending:
        pending = super()._accept(change)
        pending.committed.set_result(None)
        return pending


class PublishesEarly(Store):
    """Mutant: tells watchers before the batch is on the disk."""

    def _accept(self, change: Change) -> Pending:
        pending = super()._accept(change)
        self._history.append(change).wake()
        return pending

    def _publish(self, changes: Sequence[Change]) -> None:
        kept = self._history.append
        self._history.append = lambda change: self._history.feed(change.object.resource)  # type: ignore[method-assign]  # a mutant
        super()._publish(changes)
        self._history.append = kept  # type: ignore[method-assign]  # a mutant


class SlowLog(SqliteLog):
    """So slow that what is said too early is said long before."""

    def commit(self, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        time.sleep(0.02)
        super().commit(rows, dead, floor)


class SkipsCommits(SqliteLog):
    """Mutant: every other batch is not written, once the store is set up. So often because only the last write of a key
    can be missed after a kill: with rarer ones a whole run may happen to lose nothing that counts."""

    count = 0

    def commit(self, rows: Sequence[Row], dead: Sequence[int], floor: int) -> None:
        self.count += 1
        if self.count <= 5 or self.count % 2:
            super().commit(rows, dead, floor)


def open_store(directory: Path, mutant: str = "") -> Store:
    """The store as it is, or with a defect."""
    match mutant:
        case "":
            return Store.open(directory, "full", LIMITS)
        case "normal":  # no mutant: survives the death of the process just the same
            return Store.open(directory, "normal", LIMITS)
        case "acknowledges-early":
            return AcknowledgesEarly(SlowLog(directory), LIMITS)
        case "publishes-early":
            return PublishesEarly(SlowLog(directory), LIMITS)
        case "skips-commits":
            return Store(SkipsCommits(directory), LIMITS)
        case _:
            raise SystemExit(f"no mutant {mutant}")


class Ledger:
    """Appends lines with one write each: what is written stays, however the process ends."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)

    def note(self, *words: object) -> None:
        os.write(self._descriptor, ("\t".join(map(str, words)) + "\n").encode())


async def write_on(cluster: EmbeddedCluster, ledger: Ledger, writer: int, round_: str, is_mutant: bool) -> None:
    """Create, change and remove a few objects for ever."""
    chance = random.Random(f"{round_}/{writer}")
    count = 0
    while True:
        count += 1
        name = f"w{writer}-{chance.randrange(KEYS_PER_WRITER)}"
        token = f"{round_}.{writer}.{count}"
        found: Object | None = await cluster.get(Ref(CONFIG_MAPS, "load", name))
        if found is None:
            ledger.note("sent", name, "ADDED", token)
            metadata = {"name": name, "namespace": "load"}
            value = {"metadata": metadata, "data": {"token": token, "filler": "x" * chance.randrange(3000)}}
            outcome = await cluster.write(Create(CONFIG_MAPS, value))
            op = "ADDED"
        elif chance.random() < 0.2:
            ledger.note("sent", name, "DELETED", "")
            outcome = await cluster.write(Delete(found.ref, found.meta.uid))
            op = "DELETED"
        else:
            ledger.note("sent", name, "MODIFIED", token)
            value = found.decode()
            value["data"]["token"] = token
            outcome = await cluster.write(Update(CONFIG_MAPS, value))
            op = "MODIFIED"
        if not outcome.is_done:
            # Its only writer just read it: a store without a defect does not refuse this.
            if not is_mutant:
                raise SystemExit(f"a write was not done: {outcome}")
            ledger.note("refused", name)
            await asyncio.sleep(0)
            continue
        if outcome.object is not None:
            ledger.note("ack", outcome.object.meta.resource_version, op, name, token)
        else:
            ledger.note("gone", name)


async def watch_on(resources: Resources, ledger: Ledger) -> None:
    """Note every change that a watcher is told."""
    kind = resources.registry.get(CONFIG_MAPS)
    assert kind is not None
    options = WatchOptions(resource_version=resources.current_rv())
    async for type_, found, version in resources.watch(kind, "load", options):
        assert found is not None
        ledger.note("saw", version, type_, found.meta.name, "" if type_ == "DELETED" else token_of(found))


def token_of(found: Object) -> str:
    token: str = found.decode()["data"]["token"]
    return token


async def main(directory: Path, ledger: Ledger, round_: str, mutant: str) -> None:
    store = open_store(directory, mutant)
    resources = Resources(store, default_registry())
    cluster = EmbeddedCluster(resources)
    if await cluster.get(Ref(NAMESPACES, "", "load")) is None:
        await cluster.write(Create(NAMESPACES, {"metadata": {"name": "load"}}))
    ledger.note("ready")
    await asyncio.gather(
        watch_on(resources, ledger),
        *(write_on(cluster, ledger, writer, round_, bool(mutant)) for writer in range(WRITERS)),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Ledger(sys.argv[2]), sys.argv[3], "".join(sys.argv[4:])))
