"""What quota is charged for: exclusions, transformations, resources that a queue does not list (kueue.md 7.1-7.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadstead.core.cycle import cycle
from roadstead.core.encoding import decode, encode
from roadstead.core.plan import Admit
from roadstead.core.quota.charges import charged
from roadstead.model.refusals import Code
from roadstead.model.resources import Output, ResourceRules, Transformation
from roadstead.model.workload import PodClass, PodSet
from tests.core.build import QUOTA_ONLY, queue, work, world

GI = 2**30
NANO = 10**9


def transform(source: str, outputs: Mapping[str, float], *, replaces: bool = True, by: str = "") -> Transformation:
    return Transformation(source, tuple(Output(name, round(f * NANO)) for name, f in outputs.items()), replaces, by)


SLICES = [transform("mig-1g.5gb", {"accel-mem": 5 * GI}), transform("mig-2g.10gb", {"accel-mem": 10 * GI})]
KEPT = [replace(each, replaces=False) for each in SLICES]
TOTAL = [transform("gpumem", {"total-gpumem": 1}, by="gpu")]
CREDITS = [transform("cpu", {"credits": 1}, replaces=False), transform("gpu", {"credits": 10}, replaces=False)]
ALLOWANCE = [transform("a", {"x": 5}), transform("b", {"x": -2})]


@pytest.mark.parametrize(
    ("story", "transformations", "asked", "expected"),
    [
        (
            "slices become memory", SLICES, {"mig-1g.5gb": 2, "mig-2g.10gb": 1, "cpu": 1000},
            {"accel-mem": 20 * GI, "cpu": 1000},
        ),
        (
            "beside themselves", KEPT, {"mig-1g.5gb": 2, "mig-2g.10gb": 1, "cpu": 1000},
            {"accel-mem": 20 * GI, "mig-1g.5gb": 2, "mig-2g.10gb": 1, "cpu": 1000},
        ),
        ("times another", TOTAL, {"gpu": 2, "gpumem": 1024}, {"gpu": 2, "total-gpumem": 2048}),
        ("times another that is not asked for", TOTAL, {"gpumem": 1024}, {"total-gpumem": 1024}),
        ("two into one", CREDITS, {"cpu": 4000, "gpu": 2}, {"cpu": 4000, "gpu": 2, "credits": 24}),
        ("into nothing", [transform("licence", {})], {"licence": 1, "cpu": 1000}, {"cpu": 1000}),
        ("an allowance, and what was asked for directly", ALLOWANCE, {"a": 1, "b": 4, "x": 3}, {"x": 3}),
        ("half a core is half a credit, rounded up", CREDITS, {"cpu": 500}, {"cpu": 500, "credits": 1}),
        ("into cpu", [transform("gpu", {"cpu": 0.0015})], {"gpu": 1, "cpu": 1000}, {"cpu": 1002}),
        ("outputs are no inputs", [transform("a", {"b": 1}), transform("b", {"c": 1})], {"a": 1}, {"b": 1}),
    ],
)  # fmt: skip
def test_transformations(
    story: str, transformations: list[Transformation], asked: Mapping[str, int], expected: Mapping[str, int]
) -> None:
    rules = ResourceRules(transformations=tuple(transformations))
    assert dict(charged(tuple(sorted(asked.items())), rules)) == expected, story
    assert decode(json.loads(json.dumps(encode(rules)))) == rules


def test_excluded_resources_are_gone_before_anything_is_made_of_them() -> None:
    rules = ResourceRules(("example.com/", "ephemeral-storage"), (transform("example.com/a", {"x": 1}),))
    asked = (("cpu", 1), ("ephemeral-storage", 2), ("example.com/a", 3), ("myexample.com/b", 4))
    assert charged(asked, rules) == (("cpu", 1), ("myexample.com/b", 4))


@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(0, 5), max_size=4),
    st.lists(
        st.builds(
            transform,
            st.sampled_from("abcde"),
            st.dictionaries(st.sampled_from("abcde"), st.integers(-3, 3), max_size=2),
            replaces=st.booleans(),
            by=st.sampled_from(["", "a", "b"]),
        ),
        max_size=3,
        unique_by=lambda each: each.source,
    ),
)
def test_nothing_is_charged_below_zero_and_what_is_untouched_stays(
    asked: dict[str, int], transformations: list[Transformation]
) -> None:
    rules = ResourceRules(transformations=tuple(transformations))
    got = dict(charged(tuple(sorted(asked.items())), rules))
    assert all(amount >= 0 for amount in got.values())
    touched = {each.source for each in transformations} | {o.resource for each in transformations for o in each.outputs}
    assert {n: a for n, a in got.items() if n not in touched} == {n: a for n, a in asked.items() if n not in touched}


def test_the_queue_is_charged_what_was_made_of_the_request() -> None:
    made = world(queue("q", {"f": {"credits": 20, "cpu": 10}}))
    pod = PodClass((("cpu", 1000), ("gpu", 1)))
    made.apply(work("w", "q", pod_sets=[PodSet("main", 2, pod)]))
    blocked = cycle(made, 1, QUOTA_ONLY)
    assert blocked.verdicts[0].refusals[0].code is Code.RESOURCE_NOT_COVERED
    rules = replace(QUOTA_ONLY, resources=ResourceRules(transformations=(transform("gpu", {"credits": 10}),)))
    (admit,) = cycle(made, 1, rules).commands
    assert isinstance(admit, Admit)
    assert dict(admit.admission.pod_sets[0].usage) == {"cpu": 2000, "credits": 20}


@pytest.mark.parametrize(
    ("rules", "admitted"),
    [
        (ResourceRules(), False),
        (ResourceRules(ignore_undeclared=True), True),
        (ResourceRules(excluded_prefixes=("example.com/",)), True),
        (ResourceRules(excluded_prefixes=("example.org/",)), False),
    ],
)
def test_a_resource_that_the_queue_does_not_list(rules: ResourceRules, admitted: bool) -> None:
    made = world(queue("q", {"f": {"cpu": 10}}))
    made.apply(work("w", "q", pod_sets=[PodSet("main", 1, PodClass((("cpu", 1000), ("example.com/x", 1))))]))
    plan = cycle(made, 1, replace(QUOTA_ONLY, resources=rules))
    assert bool(plan.commands) is admitted
    if admitted:
        (admit,) = plan.commands
        assert isinstance(admit, Admit)
        assert dict(admit.admission.pod_sets[0].usage) == {"cpu": 1000}
    else:
        assert plan.verdicts[0].refusals[0].code is Code.RESOURCE_NOT_COVERED
