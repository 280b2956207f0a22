"""The short cut before a search must never say "nobody" where the search would find a candidate."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.core.preemption.classic import ClassicSearch, nobody_may_be_asked
from roadstead.core.rules import Rules
from roadstead.core.settle import decide
from roadstead.core.world import World
from roadstead.model.queues import (
    ClusterQueue,
    FlavorQuotas,
    LocalQueue,
    Namespace,
    Preemption,
    PreemptionPolicy,
    Quota,
    ResourceFlavor,
    ResourceGroup,
)
from roadstead.model.selection import LabelSelector
from roadstead.model.workload import PodClass, PodSet, Workload

policies = st.sampled_from(list(PreemptionPolicy))
jobs = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=8)
rules = Rules(place_all=False)


@settings(max_examples=300, deadline=None)
@given(within=policies, reclaim=policies, jobs=jobs, asks=st.tuples(st.integers(0, 2), st.integers(0, 3)))
def test_nobody_means_that_the_search_finds_no_candidate(
    within: PreemptionPolicy, reclaim: PreemptionPolicy, jobs: list[tuple[int, int, int]], asks: tuple[int, int]
) -> None:
    world = World()
    world.apply(Namespace("team"))
    world.apply(ResourceFlavor("f0"))
    group = ResourceGroup(("cpu",), (FlavorQuotas("f0", (("cpu", Quota(3)),)),))
    for at in range(3):
        preemption = Preemption(within, reclaim)
        world.apply(ClusterQueue(f"q{at}", (group,), "all", namespace_selector=LabelSelector(), preemption=preemption))
        world.apply(LocalQueue("team", f"q{at}", f"q{at}"))

    def work(at: int, queue: int, cores: int, priority: int) -> Workload:
        pods = (PodSet("main", 1, PodClass((("cpu", cores),))),)
        return Workload("team", f"w{at}", f"{at:08}", f"q{queue}", pods, at, at, priority)

    for at, (queue, cores, priority) in enumerate(jobs):
        world.apply(work(at, queue, cores, priority))
    decide(world, 1, rules)
    queue, priority = asks
    newcomer = work(99, queue, 2, priority)
    world.apply(newcomer)
    table, standing = world.tables()[f"q{queue}"], world.workloads[newcomer.key]
    slot = world.tree.slot(("f0", "cpu"))
    scarce = frozenset((slot,))
    if nobody_may_be_asked(world, table, standing, scarce):
        search = ClassicSearch(world, table, standing, {slot: 2}, scarce, None, (), None)
        assert search._from_cohort() == ([], [])
        assert search._from_own_queue() == []
