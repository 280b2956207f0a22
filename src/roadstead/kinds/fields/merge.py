"""One value laid over another, and a value without some of its paths (structured-merge-diff's merge and remove).

Results may share parts with what they were made of: whoever edits them copies first.
"""

from __future__ import annotations

from typing import Any

from roadstead.kinds.fields import paths
from roadstead.kinds.fields.compare import ABSENT, NoKey, as_list, as_map, element_of
from roadstead.kinds.fields.paths import Set
from roadstead.kinds.fields.typed import ListType, MapType, Type
from roadstead.kinds.fields.validate import fits_scalar
from roadstead.kinds.object import Json


class NotMergeable(ValueError):
    """Two values that cannot be laid over each other; the message is worded as the real server's."""


def merge(kind: Type, live: Any, config: Any) -> Any:
    """`config` over `live`: fields of structs and maps one by one, items of lists by key, all else as it is in
    `config`. Either may be ABSENT. Raises NotMergeable."""
    if config is ABSENT:
        return _merge_as(kind, kind.sort(live), live, config, ())
    return _merge_as(kind, kind.sort(config), live, config, ())


def _merge(kind: Type, live: Any, config: Any, path: paths.Path) -> Any:
    return _merge_as(kind, kind.sort(live if config is ABSENT else config), live, config, path)


def _merge_as(kind: Type, sort: str, live: Any, config: Any, path: paths.Path) -> Any:
    if sort == "map":
        mapped = kind.map
        assert mapped is not None
        old, new = as_map(live), as_map(config)
        if mapped.atomic or not (old or new):
            return _kept(live, config)
        return _merge_maps(mapped, old, new, path)
    if sort == "list":
        listed = kind.list
        assert listed is not None
        old_items, new_items = as_list(live), as_list(config)
        if not listed.associative or not (old_items or new_items):
            return _kept(live, config)
        return _merge_lists(listed, old_items, new_items, path)
    if not any(found is ABSENT or fits_scalar(kind, found) for found in (live, config)):
        raise NotMergeable(f"{paths.shown(path)}: neither side is a valid scalar")
    return _kept(live, config)


def _kept(live: Any, config: Any) -> Any:
    return live if config is ABSENT else config


def _merge_maps(kind: MapType, old: Json, new: Json, path: paths.Path) -> Any:
    made: Json = {}
    for name in (*old, *(added for added in new if added not in old)):
        below = (*path, paths.field(name))
        found = _merge(kind.of(name), old.get(name, ABSENT), new.get(name, ABSENT), below)
        if found is not ABSENT:
            made[name] = found
    return made or ABSENT


def _indexed(kind: ListType, items: list[Any], *, duplicates: bool) -> tuple[list[str], Json]:
    """Elements in order, and item by element: null where the live list has several. Raises NotMergeable."""
    elements: list[str] = []
    found: Json = {}
    for index, item in enumerate(items):
        try:
            element = element_of(kind, item)
        except NoKey as error:
            raise NotMergeable(f"element {index}: {error}") from error
        if element in found:
            if not duplicates:
                raise NotMergeable(f"duplicate entries for key {paths.shown((element,))}")
            found[element] = None
        else:
            found[element] = item
        elements.append(element)
    return elements, found


def _merge_lists(kind: ListType, old: list[Any], new: list[Any], path: paths.Path) -> Any:
    """Items of the configuration in its order, items of the live list between them where they were."""
    right, configured = _indexed(kind, new, duplicates=False)
    left, lived = _indexed(kind, old, duplicates=True)
    shared = [element for element in right if element in lived]
    shared.reverse()
    wanted = shared.pop() if shared else ""
    made: list[Any] = []
    merged: set[str] = set()

    def put(element: str, mine: Any, theirs: Any) -> None:
        found = _merge(kind.element, mine, theirs, (*path, element))
        if found is not ABSENT:
            made.append(found)

    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            element = left[i]
            if element == right[j]:
                merged.add(element)
                put(element, lived[element], configured[element])
                i += 1
                j += 1
                wanted = shared.pop() if shared else ""
                continue
            if element in configured and wanted and wanted != element:
                i += 1  # shared, and not the one whose turn it is
                continue
        if i < len(left):
            element = left[i]
            if element not in configured:
                put(element, old[i], ABSENT)
                i += 1
                continue
            if element in merged:
                i += 1
        if j < len(right):
            element = right[j]
            merged.add(element)
            put(element, lived.get(element, ABSENT), configured[element])
            j += 1
            if wanted and wanted == element:
                wanted = shared.pop() if shared else ""
    return made or ABSENT


def without(kind: Type, found: Any, gone: Set) -> Any:
    """A value without these paths. What loses all it holds becomes null, as in the real server: what an object may not
    have as null is dropped when it is read."""
    sort = kind.sort(found)
    if sort == "scalar":
        return found
    if sort == "map":
        mapped = kind.map
        assert mapped is not None
        if mapped.atomic or not isinstance(found, dict):
            return None
        made: Json = {}
        for name, inner in found.items():
            element = paths.field(name)
            if element in gone.members:
                continue
            below = gone.children.get(element)
            made[name] = without(mapped.of(name), inner, below) if below else inner
        return made or None
    listed = kind.list
    assert listed is not None
    if not listed.associative or not isinstance(found, list):
        return None
    left: list[Any] = []
    for item in found:
        try:
            element = element_of(listed, item)
        except NoKey:
            left.append(item)
            continue
        if element in gone.members:
            continue
        below = gone.children.get(element)
        left.append(without(listed.element, item, below) if below else item)
    return left or None


def reconciled(kind: Type, owned: Set) -> Set:
    """Owned paths after a schema changed: who owned parts of what is one value now owns that value."""
    removed, added = Set(), Set()
    _reconcile(kind, owned, (), False, removed, added)
    return owned.outside(removed).union(added) if removed or added else owned


def _reconcile(kind: Type, owned: Set | None, path: paths.Path, atomic: bool, removed: Set, added: Set) -> None:
    mapped, listed = kind.map, kind.list
    if mapped is not None:
        if kind.deduced or (not mapped.fields and mapped.element is not None and mapped.element.scalar == "untyped"):
            return
        if mapped.atomic and not atomic:
            if owned:
                removed.insert(path)
                added.insert(path)
            return
        for element in (owned.members | owned.children.keys()) if owned else ():
            if element[0] == "f" and (element[2:] in mapped.fields or mapped.element is not None):
                below = owned.children.get(element) if owned else None
                _reconcile(mapped.of(element[2:]), below, (*path, element), below is None, removed, added)
    elif listed is not None and not kind.scalar:
        if not listed.associative and not atomic:
            removed.insert(path)
            added.insert(path)
            return
        for element in (owned.members | owned.children.keys()) if owned else ():
            below = owned.children.get(element) if owned else None
            _reconcile(listed.element, below, (*path, element), below is None, removed, added)
