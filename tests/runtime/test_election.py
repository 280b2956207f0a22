"""Candidates on one server: who leads, for how long, and what the others see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import LEASES, NAMESPACES
from roadstead.kinds.object import Object, Ref
from roadstead.kinds.served import default_registry
from roadstead.kinds.times import SECOND
from roadstead.kinds.views.lease import LeaseSpecView, LeaseView
from roadstead.runtime.cluster import Cluster, Create, Outcome, Result, Unavailable, Update, Write
from roadstead.runtime.election import Elector, LeaseRefused, boottime
from roadstead.runtime.guard import GuardedCluster
from roadstead.runtime.leader import Election, Terms

TERMS = Terms(retry_period=SECOND // 100)
LEASE = Ref(LEASES, "system", "operator")
DEADLINE = 20


@asynccontextmanager
async def server(directory: Path) -> AsyncIterator[EmbeddedCluster]:
    store = Store.open(directory)
    try:
        cluster = EmbeddedCluster(Resources(store, default_registry(), []))
        await cluster.write(Create(NAMESPACES, {"metadata": {"name": "system"}}))
        yield cluster
    finally:
        await store.close()


class Away(GuardedCluster):
    """A server that can be away: reads fail, writes go unanswered without being carried out."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, lambda: True)
        self.is_away = False

    async def get(self, ref: Ref) -> Object | None:
        if self.is_away:
            raise Unavailable("away")
        return await super().get(ref)

    async def write(self, write: Write) -> Outcome:
        return Outcome(Result.UNKNOWN, message="away") if self.is_away else await super().write(write)


class Clock:
    """A boot clock that can jump, as it does for a process that was stopped."""

    def __init__(self) -> None:
        self.jumped = 0

    def __call__(self) -> int:
        return boottime() + self.jumped


def elector(cluster: Cluster, identity: str, clock: Clock | None = None) -> Elector:
    return Elector(cluster, Election("system", "operator", identity, TERMS), now=clock or boottime)


async def stored(cluster: Cluster) -> LeaseSpecView:
    found = await cluster.get(LEASE)
    assert found is not None
    return found.view(LeaseView).spec


def run(story: object) -> None:
    assert asyncio.iscoroutine(story)
    asyncio.run(asyncio.wait_for(story, DEADLINE))


def test_one_leads_and_gives_the_lease_back_and_the_other_takes_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with server(tmp_path) as cluster:
            first, second = elector(cluster, "first"), elector(cluster, "second")
            await first.acquire()
            assert first.may_write()
            waiting = asyncio.ensure_future(second.acquire())
            keeping = asyncio.ensure_future(first.keep())
            while second.holder != "first":
                await asyncio.sleep(0.005)
            assert not second.may_write()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await first.release()
            assert not first.may_write()
            await waiting
            assert second.may_write()
            spec = await stored(cluster)
            assert (spec.holder_identity, spec.lease_transitions) == ("second", 1)

    run(story())


def test_a_lease_is_given_back_when_the_last_write_has_landed(tmp_path: Path) -> None:
    async def story() -> None:
        async with server(tmp_path) as cluster:
            clock = Clock()
            leader = elector(cluster, "first", clock)
            await leader.acquire()
            assert leader.may_write()  # a write leaves now
            releasing = asyncio.create_task(leader.release())
            await asyncio.sleep(0.05)
            assert not leader.may_write()
            assert (await stored(cluster)).holder_identity == "first"
            await releasing
            assert (await stored(cluster)).holder_identity == ""

    run(story())


def test_a_leader_that_was_stopped_may_not_write_when_it_goes_on_and_stands_down(tmp_path: Path) -> None:
    async def story() -> None:
        async with server(tmp_path) as cluster:
            clock = Clock()
            leader = elector(cluster, "first", clock)
            await leader.acquire()
            clock.jumped = 11 * SECOND  # as after SIGSTOP and SIGCONT
            assert not leader.may_write()
            reason = await leader.keep()
            assert reason.startswith("not renewed for 11.")
            assert (await stored(cluster)).holder_identity == "first"  # nothing was written by it

    run(story())


def test_a_leader_whose_lease_was_taken_says_by_whom(tmp_path: Path) -> None:
    async def story() -> None:
        async with server(tmp_path) as cluster:
            leader, thief = elector(cluster, "first"), elector(cluster, "thief")
            await leader.acquire()
            lease = await cluster.get(LEASE)
            assert lease is not None
            cleared = {**lease.decode(), "spec": {"holderIdentity": ""}}  # by hand
            assert (await cluster.write(Update(LEASES, cleared))).is_done
            await thief.acquire()
            assert await leader.keep() == "thief holds the lease now"
            assert not leader.may_write()

    run(story())


def test_a_leader_survives_a_short_absence_of_the_server_and_no_long_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with server(tmp_path) as cluster:
            away = Away(cluster)
            clock = Clock()
            leader = elector(away, "first", clock)
            await leader.acquire()
            keeping = asyncio.ensure_future(leader.keep())
            away.is_away = True
            await asyncio.sleep(0.05)
            away.is_away = False
            before = (await stored(cluster)).renew_time
            while (await stored(cluster)).renew_time == before:
                await asyncio.sleep(0.005)
            assert not keeping.done()
            away.is_away = True
            clock.jumped = 11 * SECOND
            assert "not renewed for" in await keeping
            assert not leader.may_write()
            away.is_away = False
            await leader.acquire()  # it stands again, and finds the lease still its own
            assert (await stored(cluster)).lease_transitions == 0

    run(story())


def test_who_can_never_have_the_lease_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with server(tmp_path) as cluster:
            nowhere = Elector(cluster, Election("nowhere", "operator", "first", TERMS))
            with pytest.raises(LeaseRefused, match='namespaces "nowhere" not found'):
                await nowhere.acquire()

    run(story())
