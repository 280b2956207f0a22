"""Caches give the newest version, sorted, and find objects by owner and index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds.names import CONFIG_MAPS, PODS
from roadstead.runtime.view import Cache, View
from tests.runtime.objects import config_map


def test_list_is_sorted_and_narrowed_by_namespace() -> None:
    cache = Cache(CONFIG_MAPS)
    for namespace, name in (("b", "x"), ("a", "y"), ("a", "x"), ("a-b", "x")):
        cache.put(config_map(name, namespace=namespace))
    assert [obj.key for obj in cache.list()] == [("a", "x"), ("a", "y"), ("a-b", "x"), ("b", "x")]
    assert [obj.key for obj in cache.list("a")] == [("a", "x"), ("a", "y")]


def test_owner_index_follows_changes() -> None:
    cache = Cache(CONFIG_MAPS)
    view = View({CONFIG_MAPS: cache})
    cache.put(config_map("pod", owners=("u1", "u2")))
    assert [obj.meta.name for obj in view.owned_by(CONFIG_MAPS, "u1")] == ["pod"]
    cache.put(config_map("pod", version="2", owners=("u2",)))
    assert view.owned_by(CONFIG_MAPS, "u1") == []
    cache.remove(("default", "pod"))
    assert view.owned_by(CONFIG_MAPS, "u2") == []


def test_asking_for_what_nobody_watches_is_an_error() -> None:
    with pytest.raises(KeyError):
        View({}).list(PODS)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef"), st.sampled_from(["p", "q"])), max_size=40))
def test_cache_equals_a_plain_dict(changes: list[tuple[bool, str, str]]) -> None:
    cache = Cache(CONFIG_MAPS, {"uid": lambda obj: [obj.meta.uid]})
    plain = {}
    for number, (keep, name, namespace) in enumerate(changes):
        obj = config_map(name, namespace=namespace, uid=f"u{number % 3}", version=str(number))
        if keep:
            cache.put(obj)
            plain[obj.key] = obj
        else:
            cache.remove(obj.key)
            plain.pop(obj.key, None)
    assert list(cache.list()) == [plain[key] for key in sorted(plain)]
    for uid in ("u0", "u1", "u2"):
        assert list(cache.by_index("uid", uid)) == [plain[key] for key in sorted(plain) if plain[key].meta.uid == uid]
