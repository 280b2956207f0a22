"""Writes go only while their writer leads; reads always do."""

from __future__ import annotations

import asyncio
from pathlib import Path

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS, NAMESPACES
from roadstead.kinds.served import default_registry
from roadstead.runtime.cluster import Create, Delete, Result, Update
from roadstead.runtime.guard import GuardedCluster


def test_a_write_after_the_lease_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        try:
            cluster = EmbeddedCluster(Resources(store, default_registry(), []))
            leads = True
            guarded = GuardedCluster(cluster, lambda: leads)
            assert (await guarded.write(Create(NAMESPACES, {"metadata": {"name": "n"}}))).is_done
            made = await guarded.write(Create(CONFIG_MAPS, {"metadata": {"name": "c", "namespace": "n"}}))
            assert made.object is not None
            before = (await cluster.list(CONFIG_MAPS)).items

            leads = False
            changed = {**made.object.decode(), "data": {"late": "yes"}}
            for write in (
                Create(CONFIG_MAPS, {"metadata": {"name": "d", "namespace": "n"}}),
                Update(CONFIG_MAPS, changed),
                Delete(made.object.ref, made.object.meta.uid),
            ):
                outcome = await guarded.write(write)
                assert outcome.result is Result.THROTTLED
                assert "nothing was sent" in outcome.message
            assert [item.version for item in (await cluster.list(CONFIG_MAPS)).items] == [o.version for o in before]
            assert (await guarded.get(made.object.ref)) is not None
            assert len((await guarded.list(CONFIG_MAPS)).items) == len(before)

            leads = True
            assert (await guarded.write(Update(CONFIG_MAPS, changed))).is_done
        finally:
            await store.close()

    asyncio.run(story())
