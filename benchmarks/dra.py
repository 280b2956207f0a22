"""Device claims per second: 500 nodes x 8 GPUs, the allocator alone.

Boundary: decisions only, one thread, no persistence, no API. Counted is finding the devices and marking them as in use;
publishing the slices and making the columns is outside the clock, which counts CPU seconds of this process. "scanning"
asks for the first node of the list that fits, for every claim from the first node on; "from the last" starts at the
node of the last success, as a scheduler with a hint does. Compiled selectors and devices are kept between claims, as
the upstream program's `-reuse` keeps its allocator.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from time import process_time

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.features import Features
from roadstead.core.dra.fitting import Shortlist
from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Allocated
from roadstead.model.dra import (
    Allocation,
    Amount,
    Attribute,
    Capacity,
    Claim,
    Constraint,
    Device,
    DeviceClass,
    DeviceRequest,
    NodeChoice,
    Request,
    ResourceSlice,
)

DRIVER = "gpu.example.com"
NODES = 500
GPUS = 8
RICH = (
    'device.attributes["gpu.example.com"].model == "H100" && '
    'device.capacity["gpu.example.com"].memory.compareTo(quantity("40Gi")) >= 0'
)


def device(number: int) -> Device:
    attributes = (
        ("index", Attribute("int", (number,))),
        ("model", Attribute("string", ("H100",))),
        ("numa", Attribute("int", (number // 4,))),
    )
    return Device(f"gpu-{number}", attributes, (("memory", Capacity(Amount(80 * 2**30 * 10**9, "BinarySI"))),))


def published(features: Features) -> tuple[Inventory, list[NodeFacts]]:
    """500 nodes with a slice of 8 GPUs each, and one class."""
    inventory = Inventory(features)
    inventory.set_class(DeviceClass("gpu", (f'device.driver == "{DRIVER}"',)))
    nodes = [NodeFacts(f"node-{at:04}") for at in range(NODES)]
    devices = tuple(device(number) for number in range(GPUS))
    for node in nodes:
        inventory.set_slice(
            ResourceSlice(f"{node.name}-gpu", DRIVER, node.name, 1, 1, NodeChoice(name=node.name), devices)
        )
    return inventory, nodes


def claim(count: int, *, match: bool = False, rich: bool = False) -> Claim:
    body = DeviceRequest("r", "gpu", count=count, selectors=(RICH,) if rich else ())
    constraints = (Constraint(match=f"{DRIVER}/numa"),) if match else ()
    return Claim("default", "c", (Request("r", (body,)),), constraints)


def fill(wanted: Claim, *, hint: bool) -> tuple[int, float]:
    """Claims until nothing fits: (how many, CPU seconds)."""
    inventory, nodes = published(Features())
    shortlist = Shortlist(inventory, nodes)
    shortlist.first_fit([wanted])
    done, at = 0, 0
    started = process_time()
    while True:
        at, outcome = shortlist.first_fit([wanted], at if hint else 0)
        if not isinstance(outcome, Allocated):
            return done, process_time() - started
        inventory.hold(outcome.allocations[0])
        done += 1


def steady(wanted: Claim, used: float, rounds: int) -> tuple[int, float]:
    """One claim goes, one comes, at this share of devices in use."""
    inventory, nodes = published(Features())
    shortlist = Shortlist(inventory, nodes)
    live: list[Allocation] = []
    for _ in range(int(NODES * GPUS * used)):
        _, outcome = shortlist.first_fit([wanted])
        assert isinstance(outcome, Allocated)
        inventory.hold(outcome.allocations[0])
        live.append(outcome.allocations[0])
    started = process_time()
    for at in range(rounds):
        place = at * 7919 % len(live)
        inventory.release(live[place])
        _, outcome = shortlist.first_fit([wanted])
        assert isinstance(outcome, Allocated)
        inventory.hold(outcome.allocations[0])
        live[place] = outcome.allocations[0]
    return rounds, process_time() - started


def backtracking() -> tuple[int, float]:
    """Six interchangeable requests and one that nothing satisfies: every order is tried."""
    inventory, nodes = published(Features())
    same = [Request(f"r{at}", (DeviceRequest(f"r{at}", "gpu"),)) for at in range(4)]
    never = Request("never", (DeviceRequest("never", "gpu", selectors=("false",)),))
    started = process_time()
    outcome = allocate(inventory, nodes[0], [Claim("default", "c", (*same, never))])
    assert not isinstance(outcome, Allocated)
    return getattr(outcome, "steps", 0), process_time() - started


def line(what: str, count: int, seconds: float, unit: str = "claims") -> str:
    return f"{what:<58} {count:>7} {unit} in {seconds:7.3f} s {count / seconds:>10,.0f}/s"


def run() -> Iterator[str]:
    """The rows."""
    yield f"{NODES} nodes x {GPUS} GPUs, Python {sys.version.split()[0]}"
    yield line("one GPU, scanning, until full", *fill(claim(1), hint=False))
    yield line("one GPU, from the last, until full", *fill(claim(1), hint=True))
    yield line("two GPUs, matchAttribute, selector, scanning", *fill(claim(2, match=True, rich=True), hint=False))
    yield line("two GPUs, matchAttribute, selector, from the last", *fill(claim(2, match=True, rich=True), hint=True))
    yield line("one GPU, half full, one goes and one comes", *steady(claim(1), 0.5, 2000))
    yield line("one GPU, full, one goes and one comes", *steady(claim(1), 1.0, 2000))
    yield line("forced backtracking, one node", *backtracking(), "steps")


if __name__ == "__main__":
    print(__doc__)
    for text in run():
        print(text)
