"""What a value is made of, and what changed between two values, as sets of paths (structured-merge-diff's `typed`).

ABSENT stands for what is not there; None is JSON's null, which is there. Wherever two values are compared, equal parts
are passed over without being looked into, so that a small change in a large object costs little.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from roadstead.kinds.fields import paths
from roadstead.kinds.fields.paths import Set
from roadstead.kinds.fields.typed import DEDUCED, ListType, MapType, Type
from roadstead.kinds.object import Json


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class Comparison(NamedTuple):
    """What the second value lacks, has otherwise, has more."""

    removed: Set
    modified: Set
    added: Set


class NoKey(ValueError):
    """An item of a list that is a map or set which cannot be told from others; the message is the real server's."""


def as_map(found: Any) -> Json:
    return found if isinstance(found, dict) else {}


def as_list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def element_of(kind: ListType, item: Any) -> str:
    """The path element of an item of a list that is a map or a set. Raises NoKey."""
    if not kind.keys:
        if isinstance(item, dict):
            raise NoKey("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise NoKey("not supported: associative list with lists as elements")
        if item is None:
            raise NoKey("associative list without keys has an element that's an explicit null")
        return paths.value(item)
    if item is None:
        raise NoKey("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise NoKey("associative list with keys may not have non-map elements")
    found: Json = {}
    defaults: Json = {} if kind.element.map is None else kind.element.map.defaults
    for name in kind.keys:
        if name in item:
            found[name] = item[name]
        elif defaults.get(name) is not None:
            found[name] = defaults[name]
    if not found:
        names = " ".join(f'"{name}"' for name in kind.keys)
        raise NoKey(
            f"associative list with keys has an element that omits all key fields [{names}] (and doesn't have default values "
            "for any key fields)"
        )
    return paths.key(found)


def _items(kind: ListType, found: list[Any]) -> dict[str, list[Any]]:
    """The items of a list by element, in order; several where they are duplicates. Items without a key are left out."""
    made: dict[str, list[Any]] = {}
    for item in found:
        try:
            made.setdefault(element_of(kind, item), []).append(item)
        except NoKey:
            continue
    return made


def covered(kind: Type, found: Any) -> Set:
    """The paths that a value is made of, as whoever applies it owns them: leaves, items of lists, entries of maps, but
    not the structs in between."""
    made = Set()
    _cover(kind, found, made)
    return made


def _cover(kind: Type, found: Any, into: Set) -> bool:
    """Fill in what lies below a value; True if the value is a leaf, for the caller to add."""
    match kind.sort(found):
        case "map":
            mapped = kind.map
            assert mapped is not None
            if mapped.atomic:
                return True
            for name, inner in as_map(found).items():
                element = paths.field(name)
                declared = mapped.fields.get(name)
                below = Set()
                is_leaf = _cover(declared or mapped.of(name), inner, below)
                if is_leaf or declared is None or inner is None or inner == {}:
                    into.members.add(element)
                if below:
                    into.children[element] = below
            return False
        case "list":
            listed = kind.list
            assert listed is not None
            if not listed.associative:
                return True
            for element, items in _items(listed, as_list(found)).items():
                into.members.add(element)
                if len(items) == 1:
                    below = Set()
                    _cover(listed.element, items[0], below)
                    if below:
                        into.children[element] = below
            return False
        case _:
            return True


def compare(kind: Type, before: Any, after: Any) -> Comparison:
    """What changed. O(what differs), beside a comparison of all in C."""
    found = Comparison(Set(), Set(), Set())
    if before != after:
        for sort in _sorts(kind, before, after):
            _differ(kind, sort, before, after, found)
    return found


def _sorts(kind: Type, before: Any, after: Any) -> Iterator[str]:
    """As what two values are compared: both ways where they are not alike."""
    first, second = kind.sort(before), kind.sort(after)
    if first != second:
        yield first
    yield second


def _differ(kind: Type, sort: str, before: Any, after: Any, into: Comparison) -> bool:
    """Fill in what differs below two values that are there and not equal; True if they are leaves."""
    if sort == "scalar":
        return True
    if sort == "map":
        mapped = kind.map
        assert mapped is not None
        old, new = as_map(before), as_map(after)
        if mapped.atomic or not (old or new):
            return True
        for name, inner in old.items():
            _compare_at(mapped.of(name), paths.field(name), inner, new.get(name, ABSENT), into)
        for name, inner in new.items():
            if name not in old:
                _one_sided(mapped.of(name), paths.field(name), inner, into.added)
        return False
    listed = kind.list
    assert listed is not None
    old_list, new_list = as_list(before), as_list(after)
    if not listed.associative or not (old_list or new_list):
        return True
    _compare_items(listed, _items(listed, old_list), _items(listed, new_list), into)
    return False


def _compare_at(kind: Type, element: str, before: Any, after: Any, into: Comparison) -> None:
    if after is ABSENT:
        _one_sided(kind, element, before, into.removed)
        return
    if before is ABSENT:
        _one_sided(kind, element, after, into.added)
        return
    if before == after:
        return
    for sort in _sorts(kind, before, after):
        below = Comparison(Set(), Set(), Set())
        if _differ(kind, sort, before, after, below):
            into.modified.members.add(element)
            continue
        for mine, theirs in zip(into, below, strict=True):
            if theirs:
                known = mine.children.get(element)
                mine.children[element] = theirs if known is None else known.union(theirs)


def _one_sided(kind: Type, element: str, found: Any, into: Set) -> None:
    """All that a value is made of, structs in between included: it came or went as a whole."""
    into.members.add(element)
    below = Set()
    _all(kind, found, below)
    if below:
        known = into.children.get(element)
        into.children[element] = below if known is None else known.union(below)


def _all(kind: Type, found: Any, into: Set) -> None:
    sort = kind.sort(found)
    if sort == "map":
        mapped = kind.map
        assert mapped is not None
        if not mapped.atomic and isinstance(found, dict):
            for name, inner in found.items():
                _one_sided(mapped.of(name), paths.field(name), inner, into)
    elif sort == "list":
        listed = kind.list
        assert listed is not None
        if listed.associative and found:
            for element, items in _items(listed, as_list(found)).items():
                if len(items) == 1:
                    _one_sided(listed.element, element, items[0], into)
                else:
                    into.members.add(element)


def _compare_items(kind: ListType, old: dict[str, list[Any]], new: dict[str, list[Any]], into: Comparison) -> None:
    """Items by key. Duplicates are compared as if they were one value together."""
    for element in (*old, *(added for added in new if added not in old)):
        before, after = old.get(element, ()), new.get(element, ())
        if len(before) <= 1 and len(after) <= 1:
            _compare_at(kind.element, element, before[0] if before else ABSENT, after[0] if after else ABSENT, into)
        elif len(before) >= 2 and len(after) >= 2:
            if before != after:
                into.modified.members.add(element)
        elif len(before) >= 2:
            if after:
                _one_sided(kind.element, element, after[0], into.added)
            into.removed.members.add(element)
        else:
            if before:
                _one_sided(kind.element, element, before[0], into.removed)
            into.added.members.add(element)


def with_structs(paths_: Set, kind: Type = DEDUCED) -> Set:
    """The same paths, and every declared field on the way to them (structured-merge-diff's
    EnsureNamedFieldsAreMembers)."""
    members = set(paths_.members)
    children = {}
    mapped: MapType | None = kind.map
    for element, inner in paths_.children.items():
        below = DEDUCED
        if element[0] == "f" and mapped is not None:
            name = element[2:]
            if name in mapped.fields:
                members.add(element)
            below = mapped.of(name)
        elif element[0] == "k" and kind.list is not None:
            below = kind.list.element
        children[element] = with_structs(inner, below)
    return Set(members, children)
