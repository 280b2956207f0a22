"""Selectors: the grammar with its sentences, and what matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.expr import selectors
from roadstead.expr.selectors import FieldTerm, SelectorError, parse_field_selector, parse_label_selector
from roadstead.model.selection import LabelSelector, NodeTerm, Requirement


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("", {}, None),
        ("a", {"a": ""}, {"b": "1"}),
        ("!a", {"b": "1"}, {"a": "1"}),
        ("a=1", {"a": "1"}, {"a": "2"}),
        ("a==1", {"a": "1"}, {}),
        ("a=", {"a": ""}, {"a": "1"}),
        ("a!=1", {}, {"a": "1"}),
        ("a in (1,2)", {"a": "2"}, {"a": "3"}),
        ("a in (,1)", {"a": ""}, {"a": "2"}),
        ("a notin (1,2)", {}, {"a": "1"}),
        ("a>5", {"a": "6"}, {"a": "5"}),
        ("a<5", {"a": "-7"}, {"a": "x"}),
        ("a=1,b", {"a": "1", "b": "2"}, {"a": "1"}),
        (" a  in ( 1 , 2 ) , ! b ", {"a": "1"}, {"a": "1", "b": ""}),
        ("in=1", {"in": "1"}, {}),
        ("a=in", {"a": "in"}, {}),
        ("x.y/z=1", {"x.y/z": "1"}, {"z": "1"}),
    ],
)
def test_what_a_label_selector_selects(text: str, matching: dict[str, str], other: dict[str, str] | None) -> None:
    selector = parse_label_selector(text)
    assert selector.matches(matching)
    if other is not None:
        assert not selector.matches(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a gt 3", "unable to parse requirement: found 'gt', expected: in, notin, =, ==, !=, gt, lt"),
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"),
        (f"a={'v' * 64}", f'unable to parse requirement: values[0][a]: Invalid value: "{"v" * 64}": must be no more than 63 bytes'),
    ],
)  # fmt: skip
def test_what_cannot_be_parsed_is_said_in_the_servers_words(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse_label_selector(text)
    assert str(refused.value) == message


def test_a_bad_key_is_named() -> None:
    with pytest.raises(SelectorError, match='<nil>: Invalid value: "-a": name part must consist of'):
        parse_label_selector("-a=b")


keys = st.sampled_from(["a", "b", "c.d/e"])
values = st.sampled_from(["", "1", "x", "-"]).filter(lambda value: value != "-")
requirements = st.one_of(
    st.builds(Requirement, keys, st.sampled_from(["Exists", "DoesNotExist"])),
    st.builds(
        Requirement,
        keys,
        st.sampled_from(["In", "NotIn"]),
        st.lists(values, min_size=1, max_size=3, unique=True).map(lambda found: tuple(sorted(found))),
    ),
    st.builds(Requirement, keys, st.sampled_from(["Gt", "Lt"]), st.integers(0, 9).map(lambda n: (str(n),))),
)


@given(st.lists(requirements, max_size=4), st.dictionaries(keys, values))
def test_a_printed_selector_selects_the_same(found: list[Requirement], labels: dict[str, str]) -> None:
    selector = selectors.Selector(tuple(found))
    assert parse_label_selector(str(selector)).matches(labels) == selector.matches(labels)


@given(requirements, st.dictionaries(keys, values))
def test_in_and_notin_are_opposites(requirement: Requirement, labels: dict[str, str]) -> None:
    opposite = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}.get(
        requirement.operator
    )
    if opposite is not None:
        other = Requirement(requirement.key, opposite, requirement.values)
        assert selectors.matches_requirement(requirement, labels) != selectors.matches_requirement(other, labels)


def test_label_selector_objects() -> None:
    selector = selectors.from_object(
        {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "In", "values": ["x", "y"]}]}
    )
    assert selectors.matches_selector(selector, {"a": "1", "b": "y"})
    assert not selectors.matches_selector(selector, {"a": "1"})
    assert selectors.matches_selector(selectors.from_object({}), {"anything": "1"})
    assert not selectors.matches_selector(selectors.from_object(None), {})
    assert selectors.matches_selector(LabelSelector(), {})


def test_node_terms() -> None:
    term = NodeTerm((Requirement("gpu", "In", ("h100",)),), (Requirement("metadata.name", "In", ("n1",)),))
    assert selectors.matches_node_term(term, {"gpu": "h100"}, "n1")
    assert not selectors.matches_node_term(term, {"gpu": "h100"}, "n2")
    assert not selectors.matches_node_term(NodeTerm(), {}, "n1"), "an empty term matches nothing"
    assert not selectors.matches_node_terms((), {}, "n1")
    assert selectors.matches_node_terms((NodeTerm(), term), {"gpu": "h100"}, "n1")


def test_numbers_beyond_64_bits_compare_with_nothing() -> None:
    assert not selectors.matches_requirement(Requirement("a", "Gt", ("1",)), {"a": str(2**63)})


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("metadata.name=a", (FieldTerm("metadata.name", "=", "a"),)),
        ("a==1,b!=2", (FieldTerm("a", "=", "1"), FieldTerm("b", "!=", "2"))),
        ("a=1,,b=", (FieldTerm("a", "=", "1"), FieldTerm("b", "=", ""))),
        (r"a=x\,y\=z\\", (FieldTerm("a", "=", "x,y=z\\"),)),
        ("metadata.name=a,metadata.name=a", (FieldTerm("metadata.name", "=", "a"),) * 2),
    ],
)
def test_field_selectors(text: str, terms: tuple[FieldTerm, ...]) -> None:
    assert parse_field_selector(text) == terms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("a=\\", "invalid field selector: invalid escape sequence: \\"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_bad_field_selectors(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse_field_selector(text)
    assert str(refused.value) == message
