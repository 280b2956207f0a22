"""Who finds quota of one flavor without nodes, and of the next no quota, starts when nodes of the first are given
back."""

from __future__ import annotations

from roadstead.core.cycle import cycle
from roadstead.core.plan import Admit, Plan
from roadstead.core.rules import Rules
from roadstead.core.settle import settle
from roadstead.core.world import World
from roadstead.model.facts import Gone
from roadstead.model.nodes import Node
from roadstead.model.queues import ResourceFlavor
from roadstead.model.workload import Workload
from tests.core.build import SECOND, queue, work, world

CELLS = {"blue": {"cpu": 4}, "red": {"cpu": 0}}


def admitted_by(made: World, now: int) -> list[str]:
    plans: list[Plan] = list(settle(made, now * SECOND, Rules()).plans)
    for plan in plans:
        made.assume(plan)
    return [command.workload[1] for plan in plans for command in plan.commands if isinstance(command, Admit)]


def test_nodes_given_back_wake_who_ran_out_of_flavors() -> None:
    made = world(
        queue("q", CELLS),
        queue("other", {"blue": {"cpu": 4}}),
        ResourceFlavor("blue", node_labels=(("pool", "blue"),)),
        ResourceFlavor("red", node_labels=(("pool", "red"),)),
    )
    labels = (("kubernetes.io/hostname", "n"), ("pool", "blue"))
    made.apply(Node("n", labels, allocatable=(("cpu", 4000), ("pods", 110))))
    first = work("first", "other", 4, at=1)
    made.apply(first)
    assert admitted_by(made, 2) == ["first"]
    made.apply(work("second", "q", 4, at=3))
    assert admitted_by(made, 3) == []
    made.apply(Gone(Workload, first.key))
    assert admitted_by(made, 10) == ["second"]


def test_a_scan_begun_anew_goes_on_to_the_next_flavor() -> None:
    """It may stop where the last one stopped, and nothing seems to have changed; but the flavors after that are yet to
    be tried."""
    made = world(
        queue("q", {"blue": {"cpu": 8}, "red": {"cpu": 8}}, "all", strict=True),
        queue("other", {"red": {"cpu": 8}}, "all"),
        ResourceFlavor("blue", node_labels=(("pool", "blue"),)),
        ResourceFlavor("red", node_labels=(("pool", "red"),)),
    )
    for pool, cpu in (("blue", 2000), ("red", 4000)):  # no node of the first flavor will ever do
        labels = (("kubernetes.io/hostname", pool), ("pool", pool))
        made.apply(Node(pool, labels, allocatable=(("cpu", cpu), ("pods", 110))))
    first = work("first", "other", 4, at=1)
    made.apply(first)
    assert admitted_by(made, 2) == ["first"]
    second = work("second", "q", 4, at=3)
    made.apply(second)
    made.assume(cycle(made, 3 * SECOND, Rules()))
    tried = made.workloads[second.key].tried
    assert tried is not None
    assert tried.pod_sets == ((("cpu", 0),),)
    made.apply(Gone(Workload, first.key))
    assert admitted_by(made, 10) == ["second"]
