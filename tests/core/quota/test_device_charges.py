"""What claims are charged, by rule, and through a whole cycle."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from roadstead.core.quota.device_charges import NotCountedError, claim_charges
from roadstead.core.rules import Rules
from roadstead.model.dra import Claim, DeviceRequest, PodClaim, Request
from roadstead.model.refusals import Code
from roadstead.model.resources import PLAIN, ResourceRules
from tests.core.build import admitted, pods, queue, step, work, world
from tests.core.fleet.build import GPU, node
from tests.core.fleet.claiming import CLASS, claim, claiming, published

MAPPED = ResourceRules(device_classes=(("gpu", "quota/gpu"), ("nic", "quota/nic")))
NAMED = {"gpu": replace(CLASS, extended_resource=GPU)}


def own(*requests: Request) -> PodClaim:
    return PodClaim("c", Claim("", "", requests))


def request(device_class: str, count: int = 1, **more: object) -> Request:
    body = DeviceRequest("r", device_class, count=count)
    return Request("r", (replace(body, **more),))  # any field of DeviceRequest


def test_mapped_classes_count_under_the_names_of_their_mappings() -> None:
    claims = (own(request("gpu", 2), request("nic")), own(request("gpu"), request("gpu", 8, admin=True)))
    assert claim_charges(claims, MAPPED, {}, ()) == (("quota/gpu", 3), ("quota/nic", 1))


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ((PodClaim("c", shared=("ns", "x")),), "ResourceClaims by name"),
        ((own(request("tpu")),), "DeviceClass tpu is not mapped in DRA configuration"),
        ((own(request("gpu", mode="All")),), "allocationMode All"),
        ((own(Request("r", (DeviceRequest("a", "gpu"), DeviceRequest("b", "gpu")), is_list=True)),), "firstAvailable"),
    ],
)
def test_what_a_mapping_cannot_count_is_refused(claims: tuple[PodClaim, ...], says: str) -> None:
    with pytest.raises(NotCountedError, match=says):
        claim_charges(claims, MAPPED, {}, ())
    assert claim_charges(claims, PLAIN, {}, ()) == ()


def test_without_a_mapping_the_extended_resource_of_the_class_is_charged_where_there_is_quota_for_it() -> None:
    either = Request("r", (DeviceRequest("a", "gpu", count=1), DeviceRequest("b", "gpu", count=3)), is_list=True)
    claims = (own(request("gpu", 2)), own(either))
    assert claim_charges(claims, PLAIN, NAMED, (GPU,)) == ((GPU, 5),)
    assert claim_charges(claims, PLAIN, NAMED, ("cpu",)) == ()
    assert claim_charges(claims, PLAIN, {}, (GPU,)) == ()


def test_quota_bounds_claims_though_devices_are_free() -> None:
    made = world(queue("q", {"default": {"cpu": 100, "quota/gpu": 3}}))
    for fact in (CLASS, node("a", 64, 8), published("a", 8)):
        made.apply(fact)
    for at in range(2):
        made.apply(work(f"w{at}", "q", pod_sets=[replace(pods(2), pod=claiming(claim()))], at=at))
    rules = Rules(resources=MAPPED)

    plan = step(made, rules=rules)
    assert admitted(plan) == ["w0"]
    plan = step(made, rules=rules)
    refusal = plan.verdicts[0].refusals[0]
    assert (refusal.code, refusal.resource, refusal.needed, refusal.available) == (
        Code.WAITING_FOR_QUOTA,
        "quota/gpu",
        2,
        1,
    )


def test_a_class_that_is_not_mapped_keeps_a_workload_out_with_kueues_words() -> None:
    made = world(queue("q", {"default": {"cpu": 100}}))
    made.apply(CLASS)
    made.apply(work("w", "q", pod_sets=[replace(pods(), pod=claiming(claim()))]))

    plan = step(made, rules=Rules(resources=ResourceRules(device_classes=(("other", "x"),))))

    [refusal] = plan.verdicts[0].refusals
    assert (refusal.code, refusal.subject) == (Code.CLAIM_INVALID, "DeviceClass gpu is not mapped in DRA configuration")


def test_a_class_that_gets_an_extended_resource_is_charged_from_then_on() -> None:
    made = world(queue("q", {"default": {"cpu": 100, GPU: 1}}))
    for fact in (CLASS, node("a", 64), published("a", 8)):
        made.apply(fact)
    made.apply(work("w0", "q", pod_sets=[replace(pods(), pod=claiming(claim(2)))]))
    assert admitted(step(made, rules=Rules())) == ["w0"]

    made.apply(replace(CLASS, extended_resource=GPU))
    made.apply(work("w1", "q", pod_sets=[replace(pods(), pod=claiming(claim(2)))], at=1))
    [verdicts] = step(made, rules=Rules()).verdicts
    assert verdicts.refusals[0].code is Code.EXCEEDS_MAX_QUOTA
