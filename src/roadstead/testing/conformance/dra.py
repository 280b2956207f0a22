"""The `dra` suite: scenarios recorded from Kubernetes' own allocator, and CEL selectors with the verdicts of its
evaluator.

A scenario passes if every node's answer agrees at the judge's strictest level: the same devices in the same order with
all fields, configuration and node selector; errors by outcome, kind and scope. A line of CEL cases passes if every case
does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Final

from roadstead.core.dra.allocator import allocate
from roadstead.core.dra.features import Features
from roadstead.core.dra.inventory import Inventory
from roadstead.core.dra.nodes import NodeFacts
from roadstead.core.dra.outcome import Allocated, Failed, Outcome
from roadstead.expr.cel.device import compile_selector, selects, variables_of
from roadstead.expr.cel.errors import CompileError, EvaluationError
from roadstead.ingest.dra import allocation_object, claim_of, class_of, device_of, share_of, slice_of
from roadstead.model.dra import DeviceId
from roadstead.testing.conformance import Report, judge, records

STRICTEST: Final = 4
GATES: Final[Mapping[str, str]] = {
    "AdminAccess": "admin_access",
    "PrioritizedList": "prioritized_list",
    "PartitionableDevices": "partitionable",
    "DeviceTaints": "taints",
    "DeviceBindingAndStatus": "binding_conditions",
    "ConsumableCapacity": "consumable_capacity",
    "FractionalCapacityRange": "fractional_ranges",
    "ListTypeAttributes": "list_attributes",
    "DerivedAttributes": "derived_attributes",
    "CompatibilityGroups": "compatibility_groups",
}
"""Fields of upstream's Features struct, and ours. Absent is off."""


def run(files: Sequence[Path]) -> Report:
    """Play every record of the files."""
    report = Report()
    level = judge("dra/judge.py").level
    for path in files:
        for record in records(path):
            name, differences = _differences(record, level)
            if differences:
                report.fails(name, f"{record['id']}: {'; '.join(differences)}")
            else:
                report.passes(name)
    return report


def _differences(record: Mapping[str, Any], level: Any) -> tuple[str, list[str]]:
    if "cases" in record:
        return "cel", cel_differences(record)
    answers = answers_to(record["scenario"])
    found = []
    for want, got in zip(record["expected"]["nodes"], answers, strict=True):
        reached = level(want, got)
        if reached < STRICTEST:
            found.append(f"{want['node']} level {reached}, expected {brief(want)}, came {brief(got)}")
    return record["class"], found


def brief(answer: Mapping[str, Any]) -> str:
    """An answer in short: `claim.request=pool/device` or the outcome."""
    if answer["outcome"] != "allocated":
        return " ".join(str(answer[key]) for key in ("outcome", "kind", "scope", "message") if key in answer)
    parts = []
    for number, result in enumerate(answer["results"]):
        for each in (result.get("devices") or {}).get("results") or ():
            parts.append(f"{number}.{each['request']}={each['pool']}/{each['device']}")
    return " ".join(parts) or "allocated nothing"


def inventory_of(scenario: Mapping[str, Any]) -> Inventory:
    """What a scenario publishes and has in use."""
    features = Features(**{own: bool(scenario["features"].get(name)) for name, own in GATES.items()})
    inventory = Inventory(features)
    for each in scenario["classes"]:
        inventory.set_class(class_of(each))
    for each in scenario["slices"]:
        inventory.set_slice(slice_of(each))
    for each in scenario["allocated"]:
        if isinstance(each, list):
            inventory.hold_device(DeviceId(*each))
        else:
            inventory.hold_share(share_of(each))
    return inventory


def answers_to(scenario: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answer for each node, in the recorded form."""
    inventory = inventory_of(scenario)
    claims = [claim_of(each) for each in scenario["claims"]]
    found = []
    for value in scenario["nodes"]:
        meta = value["metadata"]
        node = NodeFacts(meta["name"], tuple(sorted((meta.get("labels") or {}).items())))
        found.append({"node": node.name, **_answer(allocate(inventory, node, claims))})
    return found


def _answer(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Allocated):
        results = [allocation_object(each, list(repeat("*", len(each.results)))) for each in outcome.allocations]
        return {"outcome": "allocated", "results": results}
    if isinstance(outcome, Failed):
        return {
            "outcome": "error", "kind": outcome.kind, "scope": outcome.scope.value, "message": outcome.message,
        }  # fmt: skip
    return {"outcome": "no_fit"}


# --- CEL


def cel_differences(record: Mapping[str, Any]) -> list[str]:
    """What our evaluator says otherwise on a line of cases."""
    value = dict(record["device"])
    driver = value.pop("driver")
    device = device_of({"name": "device", **value})
    found = []
    for case in record["cases"]:
        got, detail = _verdict(case["expr"], driver, device)
        if got != case["result"]:
            found.append(f"{case['expr']}: expected {case['result']} ({case.get('message', '')}), came {got} {detail}")
    return found


def _verdict(text: str, driver: str, device: Any) -> tuple[str, str]:
    try:
        program = compile_selector(text)
    except CompileError as err:
        return "compile_error", str(err)
    try:
        return ("true" if selects(program, variables_of(driver, device)) else "false"), ""
    except EvaluationError as err:
        return "runtime_error", str(err)
