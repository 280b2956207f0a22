"""Who has to leave a tainted device, when, and what the rule tells of it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from roadstead.controllers.claims import DeviceTaintController
from roadstead.controllers.claims.tainted import hit_by, tolerates
from roadstead.controllers.claims.tally import RuleId, Tally
from roadstead.kinds.names import DEVICE_TAINT_RULES, PLACEMENTS, PODS, RESOURCE_CLAIMS, RESOURCE_SLICES
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.views.claim import (
    DeviceTaintView,
    DeviceTolerationView,
    TaintRuleSpecView,
    TaintRuleView,
    TaintSelectorView,
)
from tests.controllers.claims.kit import DRIVER, ClaimLab, allocation, from_template

START = "2027-01-15T08:00:00Z"


def running(lab: ClaimLab, **result: Any) -> None:
    """Pod a on gpu-0 and gpu-1, pod b on gpu-2 and gpu-3."""
    lab.template()
    lab.place([{"gpus": allocation("gpu-0", "gpu-1", **result)}, {"gpus": allocation("gpu-2", "gpu-3", **result)}])
    for name in ("a", "b"):
        lab.pod(name, [from_template()])
    lab.settle()


def rule(lab: ClaimLab, *, effect: str = "NoExecute", name: str = "broken", **selector: str) -> None:
    lab.create(
        DEVICE_TAINT_RULES,
        {
            "apiVersion": DEVICE_TAINT_RULES.api_version,
            "kind": "DeviceTaintRule",
            "metadata": {"name": name},
            "spec": {
                "deviceSelector": selector,
                "taint": {"key": "example.com/broken", "effect": effect, "timeAdded": START},
            },
        },
    )


def publish(lab: ClaimLab, *tainted: str, generation: int = 1, effect: str = "NoExecute") -> None:
    taint = {"key": "example.com/sick", "effect": effect, "timeAdded": START}
    devices: list[Json] = [{"name": f"gpu-{number}"} for number in range(4)]
    for device in devices:
        if device["name"] in tainted:
            device["taints"] = [taint]
    lab.create(
        RESOURCE_SLICES,
        {
            "apiVersion": RESOURCE_SLICES.api_version,
            "kind": "ResourceSlice",
            "metadata": {"name": f"n1-{generation}"},
            "spec": {
                "driver": DRIVER,
                "pool": {"name": "n1", "generation": generation, "resourceSliceCount": 1},
                "nodeName": "n1",
                "devices": devices,
            },
        },
    )


def pods(lab: ClaimLab) -> list[str]:
    return [pod["metadata"]["name"] for pod in lab.all(PODS) if "deletionTimestamp" not in pod["metadata"]]


def told(lab: ClaimLab, name: str = "broken") -> tuple[str, str, str]:
    [condition] = lab.the(DEVICE_TAINT_RULES, name)["status"]["conditions"]
    assert condition["type"] == "EvictionInProgress"
    return condition["status"], condition["reason"], condition.get("message", "")


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        ({"device": "gpu-1"}, ["b"]),
        ({"device": "gpu-1", "pool": "n1", "driver": DRIVER}, ["b"]),
        ({"device": "gpu-1", "pool": "n2"}, ["a", "b"]),
        ({"pool": "n1"}, []),
        ({}, []),
        ({"device": "gpu-9"}, ["a", "b"]),
    ],
)
def test_a_rule_evicts_who_uses_a_device_that_it_selects(selector: dict[str, str], left: list[str]) -> None:
    """Published or not: nothing is published here."""
    with ClaimLab() as lab:
        running(lab)
        rule(lab, **selector)
        lab.advance(1)
        assert pods(lab) == left


@pytest.mark.parametrize("admin", [{}, {"adminAccess": True}])
def test_a_rule_that_names_one_device_looks_at_its_claims_alone(admin: dict[str, Any]) -> None:
    class Counted:
        """Reads that count how many claims were looked through."""

        def __init__(self, lab: ClaimLab) -> None:
            self._view = lab.brain.view
            self.listed = 0

        def list(self, resource: Resource, *args: Any) -> Any:
            self.listed += resource == RESOURCE_CLAIMS
            return self._view.list(resource, *args)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._view, name)

    with ClaimLab() as lab:
        running(lab, **admin)
        read = cast(Any, Counted(lab))
        one = TaintSelectorView(DRIVER, "n1", "gpu-1")
        found = [
            [pod.meta.name for pod in hit_by(TaintRuleView(spec=TaintRuleSpecView(selector)), read)]
            for selector in (one, TaintSelectorView(DRIVER, "n2", "gpu-1"), TaintSelectorView(None, None, "gpu-1"))
        ]
        assert found == [["a"], [], ["a"]]
        assert read.listed == 1, "only for the last"


def test_a_rule_without_a_selector_selects_nothing() -> None:
    with ClaimLab() as lab:
        running(lab)
        rule(lab)
        lab.edit(DEVICE_TAINT_RULES, "broken", lambda value: value["spec"].pop("deviceSelector"))
        lab.create(
            DEVICE_TAINT_RULES,
            {
                "apiVersion": DEVICE_TAINT_RULES.api_version,
                "kind": "DeviceTaintRule",
                "metadata": {"name": "none"},
                "spec": {"taint": {"key": "example.com/broken", "effect": "NoExecute", "timeAdded": START}},
            },
        )
        lab.advance(1)
        assert pods(lab) == ["a", "b"]


def test_what_a_driver_taints_evicts_until_a_newer_generation_says_otherwise() -> None:
    with ClaimLab() as lab:
        running(lab)
        publish(lab, "gpu-0", effect="NoSchedule")
        lab.advance(1)
        assert pods(lab) == ["a", "b"], "it only keeps new ones away"
        publish(lab, "gpu-2", generation=2)
        lab.advance(1)
        assert pods(lab) == ["a"]


def test_a_newer_generation_without_the_taint_lets_them_stay() -> None:
    with ClaimLab() as lab:
        lab.template()
        publish(lab, "gpu-0")
        publish(lab, generation=2)
        lab.place([{"gpus": allocation("gpu-0", "gpu-1")}])
        lab.pod("a", [from_template()])
        lab.advance(5)
        assert pods(lab) == ["a"]


def test_an_evicted_pod_says_why_and_its_workload_is_placed_anew() -> None:
    with ClaimLab() as lab:
        running(lab)
        rule(lab, device="gpu-0")
        lab.settle(lab.clock + 1)
        pod = lab.the(PODS, "a")
        [condition] = [each for each in pod["status"]["conditions"] if each["type"] == "DisruptionTarget"]
        assert (condition["status"], condition["reason"], condition["message"]) == (
            "True", "DeletionByDeviceTaintManager", "Device Taint manager: deleting due to NoExecute taint",
        )  # fmt: skip
        assert [(note.reason, note.message) for note in lab.notes if note.reason.startswith("DeviceTaint")] == [
            ("DeviceTaintManagerEviction", "Marking for deletion")
        ]
        assert lab.all(PLACEMENTS) == []


@pytest.mark.parametrize(
    ("tolerations", "stays"),
    [
        ([{"key": "example.com/broken", "operator": "Exists"}], None),
        ([{"key": "example.com/broken", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}], 30),
        ([{"operator": "Exists", "tolerationSeconds": 30}, {"operator": "Exists", "tolerationSeconds": 10}], 10),
        ([{"operator": "Exists", "tolerationSeconds": 30}, {"operator": "Exists"}], 30),
        ([{"operator": "Exists", "tolerationSeconds": -5}], 0),
        ([{"operator": "Exists", "effect": "NoSchedule"}], 0),
        ([{"key": "example.com/other", "operator": "Exists"}], 0),
        ([{"key": "example.com/broken", "operator": "Equal", "value": "x"}], 0),
    ],
)
def test_how_long_a_claim_tolerates_it(tolerations: list[Json], stays: int | None) -> None:
    with ClaimLab() as lab:
        running(lab, tolerations=tolerations)
        rule(lab, device="gpu-0")
        since = lab.clock
        lab.advance(0)
        if stays != 0:
            assert pods(lab) == ["a", "b"]
        if stays:
            lab.settle(since + (stays - 1) * 10**9)
            assert pods(lab) == ["a", "b"]
        lab.settle(since + ((stays or 0) + 1) * 10**9)
        assert pods(lab) == (["b"] if stays is not None else ["a", "b"])


def test_a_rule_that_goes_in_time_evicts_nobody() -> None:
    with ClaimLab() as lab:
        running(lab, tolerations=[{"operator": "Exists", "tolerationSeconds": 30}])
        rule(lab, device="gpu-0")
        lab.advance(20)
        assert told(lab) == ("True", "PodsPendingEviction", "1 pod needs to be evicted in 1 namespace.")
        lab.delete(DEVICE_TAINT_RULES, "broken")
        lab.advance(60)
        assert pods(lab) == ["a", "b"]


def test_a_rule_tells_how_far_its_eviction_is() -> None:
    with ClaimLab() as lab:
        running(lab)
        rule(lab, pool="n1")
        lab.advance(2)
        assert told(lab)[:2] == ("True", "PodsPendingEviction")
        lab.advance(20)
        assert told(lab) == ("False", "Completed", "2 pods evicted since starting the controller.")


def test_a_rule_that_hits_nobody_has_not_started() -> None:
    with ClaimLab() as lab:
        running(lab)
        rule(lab, device="gpu-9")
        lab.advance(2)
        assert told(lab) == ("False", "NotStarted", "")


def test_a_rule_without_effect_tells_once_what_it_would_do() -> None:
    with ClaimLab() as lab:
        running(lab)
        publish(lab)
        rule(lab, pool="n1", effect="None")
        lab.advance(2)
        assert told(lab) == (
            "False",
            "NoEffect",
            "4 published devices selected. 4 allocated devices selected. 2 pods would be evicted in 1 namespace if the effect was "
            "NoExecute. This information will not be updated again. Recreate the DeviceTaintRule to trigger an update.",
        )
        lab.delete(PODS, "a")
        lab.advance(60)
        assert told(lab)[2].startswith("4 published devices selected.")
        assert pods(lab) == ["b"]


def test_other_effects_evict_nobody() -> None:
    with ClaimLab() as lab:
        running(lab)
        rule(lab, pool="n1", effect="NoSchedule")
        lab.advance(2)
        assert told(lab) == ("False", "OtherEffect", "Eviction only happens for the NoExecute effect.")
        assert pods(lab) == ["a", "b"]


def test_who_was_to_go_counts_once_it_goes_and_a_rule_that_is_gone_is_forgotten() -> None:
    with ClaimLab() as lab:
        running(lab)
        first, other = RuleId("broken", "uid-1"), RuleId("broken", "uid-2")
        tally, view = Tally(), lab.brain.view
        a, b = (view.get(PODS, "default", name) for name in ("a", "b"))
        assert a is not None
        assert b is not None
        assert tally.gone(first, view) == (0, False)
        tally.decided(first, a)
        tally.decided(first, a)
        tally.decided(first, b)
        assert tally.gone(first, view) == (0, True), "decided is not done: the writes may fail"
        lab.delete(PODS, "a")
        lab.advance(1)
        assert tally.gone(first, view) == (1, True)
        tally.stays(b)
        lab.delete(PODS, "b")
        lab.advance(1)
        assert tally.gone(first, view) == (1, False), "b went, but not because of the rule"
        assert tally.gone(other, view) == (0, False), "another rule of that name begins at nothing"
        tally.forget("broken")
        assert len(tally) == 0


def test_nothing_is_kept_of_rules_that_are_gone() -> None:
    with ClaimLab() as lab:
        running(lab)
        [controller] = [each for each in lab.brain.controllers if isinstance(each, DeviceTaintController)]
        rule(lab, pool="n1")
        lab.advance(30)
        assert told(lab)[2] == "2 pods evicted since starting the controller."
        lab.delete(DEVICE_TAINT_RULES, "broken")
        lab.advance(1)
        assert len(controller._tally) == 0


def test_after_a_restart_an_eviction_that_is_over_is_still_called_completed() -> None:
    with ClaimLab() as lab:
        running(lab)
        rule(lab, pool="n1")
        lab.advance(2)
        lab.restart()
        lab.advance(30)
        assert told(lab)[:2] == ("False", "Completed")


@pytest.mark.parametrize(
    ("toleration", "is_tolerated"),
    [
        (DeviceTolerationView(key="k", operator="Exists"), True),
        (DeviceTolerationView(operator="Exists"), True),
        (DeviceTolerationView(key="k", value="v"), True),
        (DeviceTolerationView(value="v"), True),
        (DeviceTolerationView(value="w"), False),
        (DeviceTolerationView(key="k", value="w"), False),
        (DeviceTolerationView(key="l", operator="Exists"), False),
        (DeviceTolerationView(key="k", operator="Exists", effect="NoExecute"), True),
        (DeviceTolerationView(key="k", operator="Exists", effect="NoSchedule"), False),
    ],
)
def test_tolerations(toleration: DeviceTolerationView, is_tolerated: bool) -> None:
    assert tolerates(toleration, DeviceTaintView(key="k", value="v", effect="NoExecute")) is is_tolerated
