"""The committed objects of one resource, found by path and listed in byte order of `namespace/name`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from roadstead.kinds.object import Object


class Collection:
    """Objects by path. Writing is O(1): the order is mended when somebody lists, which sorts two runs (O(n))."""

    __slots__ = ("_added", "_has_gaps", "_objects", "_paths")

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._paths: list[str] = []  # sorted; may name removed objects until mended
        self._added: list[str] = []
        self._has_gaps = False

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, path: str) -> Object | None:
        return self._objects.get(path)

    def put(self, path: str, found: Object) -> None:
        if path not in self._objects:
            self._added.append(path)
        self._objects[path] = found

    def remove(self, path: str) -> None:
        if self._objects.pop(path, None) is not None:
            self._has_gaps = True

    def within(self, namespace: str) -> Sequence[Object]:
        """All objects of a namespace, or of all for ""; in byte order."""
        self._mend()
        paths = self._paths
        if namespace:
            paths = paths[bisect_left(paths, f"{namespace}/") : bisect_left(paths, f"{namespace}0")]  # "0" follows "/"
        objects = self._objects
        return [objects[path] for path in paths]

    def _mend(self) -> None:
        if self._has_gaps:
            kept = self._objects
            # A path removed and created again is in both lists: once is enough.
            self._paths = sorted(
                {path for path in self._paths if path in kept}.union(p for p in self._added if p in kept)
            )
        elif self._added:
            self._paths += self._added
            self._paths.sort()
        else:
            return
        self._added = []
        self._has_gaps = False
