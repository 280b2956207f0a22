"""`allocate(inventory, node, claims)`: the devices for a pod's claims on one node, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roadstead.core.dra.asking import Context, ask
from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Allocated, AllocationError, Failed, NoFit, Outcome, Scope
from roadstead.core.dra.results import allocation
from roadstead.core.dra.search import MAX_STEPS, InUse, Search
from roadstead.model.dra import Claim


def allocate(
    inventory: Inventory,
    node: NodeFacts,
    claims: Sequence[Claim],
    max_steps: int = MAX_STEPS,
    in_use: InUse | None = None,
) -> Outcome:
    """All claims together on this node, in this order; the inventory is not changed. `in_use` replaces what it has in
    use.

    Allocated with one allocation per claim, NoFit, or Failed: of scope NODE if nothing fits and a pool here is invalid,
    FATAL for everything that another node would not mend. O(devices x selectors) where nothing has to be undone,
    exponential at worst and bounded by `max_steps`.
    """
    try:
        view = inventory.view(node)
        context = Context(node, view, inventory.classes, inventory.features)
        asked = ask(context, claims)
        search = Search(context, asked, inventory.usage.view() if in_use is None else in_use, max_steps)
        if search.run():
            return Allocated(
                tuple(
                    allocation(
                        each.claim,
                        [search.chosen[at, number] for number in range(len(each.options))],
                        search.progress[at].taken,
                        node.name,
                        inventory.features,
                    )
                    for at, each in enumerate(asked)
                ),
                search.steps,
            )
        if view.has_invalid:
            return Failed("pools_invalid", "invalid resource pools were encountered", Scope.NODE)
        return NoFit(search.steps)
    except AllocationError as err:
        return replace(err.failed, claim=next((at for at, claim in enumerate(claims) if claim is err.claim), -1))
