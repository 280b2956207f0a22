from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.slurm.language.hostlist import MAX_RANGE, Hostlist, HostlistError, compress, expand


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("tux[0-2],cpu1", "tux0 tux1 tux2 cpu1"),
        ("n[09-11]", "n09 n10 n11"),
        ("n[8-010]", "n8 n9 n10"),
        ("r[0-1]n[0-1]", "r0n0 r0n1 r1n0 r1n1"),
        ("a[1-2]b[1-2]c[1-2]", "a1b1c1 a1b1c2 a2b1c1 a2b1c2 a1b2c1 a1b2c2 a2b2c1 a2b2c2"),
        ("n1 n2,,\tn3,", "n1 n2 n3"),
        ("[1-3]", "1 2 3"),
        ("n[1-2", "n]"),
        ("a[1,b2", "a] b2"),
        ("n[ 1,+2]", "n01 n02"),
        ("n[3-]", "n3"),
        ("", ""),
    ],
)
def test_what_a_list_stands_for(text: str, names: str) -> None:
    assert expand(text) == names.split()


@pytest.mark.parametrize(
    ("text", "printed", "ordered"),
    [
        ("n1,n01,n2,n10", "n[1,01,2,10]", "n[1-2,01,10]"),
        ("n8,n9,n10", "n[8-10]", "n[8-10]"),
        ("n08,n09,n10", "n[08-10]", "n[08-10]"),
        ("a1b1,a1b2,a2b1", "a1b[1-2],a2b1", "a1b[1-2],a2b1"),
        ("tux3,cpu1,tux1,tux1", "tux3,cpu1,tux[1,1]", "cpu1,tux[1,1,3]"),
        ("tux[0-2],tux[1-3]", "tux[0-2,1-3]", "tux[0-1,1-2,2-3]"),
        ("n100,n[5-7],n20", "n[100,5-7,20]", "n[5-7,20,100]"),
        ("a10x1,a9x1", "a10x1,a9x1", "a9x1,a10x1"),
        ("x,y,x", "x,y,x", "x,x,y"),
    ],
)
def test_how_a_list_is_printed(text: str, printed: str, ordered: str) -> None:
    assert str(Hostlist.parse(text)) == printed
    assert str(Hostlist.parse(text).sorted()) == ordered


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("n[3-1]", ("_parse_single_range: Invalid range: `3-1'",)),
        ("n[]", ("_parse_single_range: Invalid range: `'",)),
        ("n[1--2]", ("_parse_single_range: Invalid range: `1--2'",)),
        (f"n[0-{MAX_RANGE}]", (f"_parse_single_range: Too many hosts in range `0-{MAX_RANGE}'",)),
        ("n[1-2]-ib", ()),
        ("n[[1-2]]", ()),
    ],
)
def test_what_is_refused(text: str, lines: tuple[str, ...]) -> None:
    with pytest.raises(HostlistError, match="Invalid hostlist: ") as refused:
        Hostlist.parse(text)
    assert refused.value.lines == lines
    assert str(refused.value) == f"Invalid hostlist: {text}"


def test_a_list_of_lists_does_not_fill_the_memory() -> None:
    with pytest.raises(HostlistError):
        Hostlist.parse("a[0-65535]b[0-65535]c[0-65535]")


names = st.from_regex(r"[a-z]{1,3}(-[a-z])?(0{0,2}[0-9]{1,3})?", fullmatch=True)


@given(st.lists(names, max_size=30))
def test_compressing_loses_nothing(hosts: list[str]) -> None:
    assert expand(compress(hosts)) == hosts
    assert sorted(Hostlist.of(hosts).sorted()) == sorted(hosts)


@given(st.lists(names, max_size=30, unique=True))
def test_what_is_sorted_stays_sorted(hosts: list[str]) -> None:
    ordered = Hostlist.of(hosts).sorted()
    assert str(Hostlist.parse(str(ordered))) == str(ordered)
