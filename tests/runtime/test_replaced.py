"""An object that vanished while nobody watched, and whose name another bears by now: whoever minds it hears of both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import ClassVar

from roadstead.cluster.embedded.port import EmbeddedCluster
from roadstead.cluster.embedded.resources import Resources
from roadstead.cluster.embedded.store import Store
from roadstead.kinds.names import CONFIG_MAPS
from roadstead.kinds.object import Object, Resource
from roadstead.runtime.runner import Runner
from roadstead.runtime.step import NOTHING, Index, Key, KeysOf, Read, Step
from tests.cluster.kinds import small_registry


class Mourner:
    """Remembers the uid of everything that changed."""

    name: ClassVar[str] = "mourner"
    indexes: Mapping[tuple[Resource, str], Index] = {}

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.watches: Mapping[Resource, KeysOf] = {CONFIG_MAPS: self._keys}

    def _keys(self, changed: Object, read: Read) -> Iterable[Key]:
        self.heard.append(changed.meta.uid)
        return ()

    def reconcile(self, key: Key, read: Read, now: int) -> Step:
        return NOTHING


def config_map(uid: str, version: str) -> Object:
    metadata = {"namespace": "default", "name": "a", "uid": uid, "resourceVersion": version}
    return Object.of(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def test_a_list_that_shows_another_object_under_an_old_name_tells_of_both() -> None:
    async def story() -> list[str]:
        mourner = Mourner()
        runner = Runner(EmbeddedCluster(Resources(Store.in_memory(), small_registry())), [mourner])
        running = asyncio.create_task(runner.run())
        await runner.wait_synced()
        for _ in range(10):
            await asyncio.sleep(0)  # the controller takes note that all is listed
        [tell] = runner.informers[CONFIG_MAPS].listeners
        first, second = config_map("first", "1"), config_map("second", "3")
        tell(first.key, None, first)
        tell(first.key, first, config_map("first", "2"))
        tell(first.key, first, second)
        running.cancel()
        await asyncio.wait((running,))
        return mourner.heard

    assert sorted(asyncio.run(story())) == ["first", "first", "first", "second"]
