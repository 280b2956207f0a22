"""`why` tells the truth about any workload, whether its turn has come or not, and leaves the world as found."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from roadstead.core.dump import digest, memory_digest
from roadstead.core.explain.conditions import pending_message
from roadstead.core.explain.sentences import public_sentence, sentence
from roadstead.core.explain.why import why
from roadstead.core.fleet.matching import AFFINITY, SELECTOR
from roadstead.core.rules import Rules
from roadstead.core.world import World
from roadstead.model.queues import LocalQueue, StopPolicy
from roadstead.model.refusals import Code, Level, Refusal, Verdict
from roadstead.model.workload import Pod, PodClass
from tests.core.build import LOWER, QUOTA_ONLY, SECOND, cohort, pods, queue, run, step, work, world


def ask(made: World, name: str, now: int = 1) -> list[Refusal]:
    before = digest(made), memory_digest(made)
    found = list(why(made, ("team", name), now * SECOND, QUOTA_ONLY).refusals)
    assert (digest(made), memory_digest(made)) == before
    return found


def test_a_holder_has_nothing_in_its_way() -> None:
    made = world(queue("q", 4))
    run(made, work("runs", "q", 4))
    assert ask(made, "runs") == []


def test_the_head_hears_what_the_next_cycle_will_say() -> None:
    made = world(cohort("root", 1), queue("q", 4, "root"), queue("other", 0, "root"))
    run(made, work("own", "q", 2, priority=1), work("theirs", "other", 2))
    made.apply(work("in", "q", 3))
    binding, *rest = ask(made, "in")
    assert (binding.code, binding.needed, binding.available, binding.limit) == (
        Code.WAITING_FOR_QUOTA,
        3000,
        1000,
        5000,
    )
    assert binding.blockers == (("team", "theirs"), ("team", "own"))
    assert [r.code for r in rest] == [Code.NO_PREEMPTION_CANDIDATES]


def test_behind_the_head_both_the_line_and_what_would_bind_are_told() -> None:
    made = world(queue("q", 4, strict=True))
    run(made, work("runs", "q", 2))
    made.apply(work("head", "q", 3, at=1))
    made.apply(work("second", "q", 1, at=2))
    made.apply(work("third", "q", 9, at=3))
    assert [(r.code, r.needed, r.blockers) for r in ask(made, "second")] == [(Code.BEHIND_HEAD, 1, (("team", "head"),))]
    line, own = ask(made, "third")
    assert (line.code, line.needed) == (Code.BEHIND_HEAD, 2)
    assert (own.code, own.verdict, own.limit) == (Code.EXCEEDS_MAX_QUOTA, Verdict.CHANGE, 4000)


def test_a_parked_workload_keeps_its_reason_also_if_only_its_class_was_evaluated() -> None:
    made = world(queue("q", 4))
    run(made, work("runs", "q", 4))
    for at in range(3):
        made.apply(work(f"w{at}", "q", 2, at=at))
    step(made)
    assert [r.code for r in ask(made, "w2")] == [Code.WAITING_FOR_QUOTA, Code.NO_PREEMPTION_CANDIDATES]


def test_a_preemptor_waits_for_those_who_were_asked_to_go() -> None:
    made = world(queue("q", 4, within=LOWER))
    run(made, work("low", "q", 4))
    made.apply(work("in", "q", 2, priority=5))
    step(made)
    binding = ask(made, "in")[0]
    assert (binding.code, binding.blockers) == (Code.PENDING_PREEMPTION, (("team", "low"),))


def test_what_no_cycle_would_look_at_has_its_reason_too() -> None:
    made = world(queue("q", 4), queue("stopped", 4, stop=StopPolicy.HOLD))
    made.apply(LocalQueue("team", "held", "q", StopPolicy.HOLD))
    made.apply(LocalQueue("team", "dangling", "nowhere"))
    rows = [
        (work("inactive", "q", 1, active=False), Code.WORKLOAD_INACTIVE),
        (work("lost", "none", 1), Code.QUEUE_NOT_FOUND),
        (work("dangling", "dangling", 1), Code.CLUSTER_QUEUE_NOT_FOUND),
        (work("held", "held", 1), Code.QUEUE_STOPPED),
        (work("stopped", "stopped", 1), Code.QUEUE_STOPPED),
        (work("backoff", "q", 1, requeue_at=61 * SECOND), Code.BACKOFF),
    ]
    for fact, _ in rows:
        made.apply(fact)
    assert [ask(made, fact.name)[0].code for fact, _ in rows] == [code for _, code in rows]
    assert ask(made, "backoff")[0].needed == 60


def test_several_flavors_the_mildest_of_a_pod_set_binds_and_the_worst_pod_set_decides() -> None:
    made = world(queue("q", {"f1": {"cpu": 2}, "f2": {"cpu": 4}}))
    run(made, work("runs", "q", 2), flavor="f2")
    made.apply(work("in", "q", pod_sets=[pods(3, "a", cpu=1)]))
    assert [(r.code, r.flavor) for r in ask(made, "in")][:2] == [
        (Code.WAITING_FOR_QUOTA, "f2"),
        (Code.EXCEEDS_MAX_QUOTA, "f1"),
    ]


def test_a_waiting_pod_is_explained_and_a_name_nobody_knows_is_an_error() -> None:
    made = world(queue("q", 4))
    made.apply(Pod("team", "p", "uid-p", PodClass((("cpu", 1000),)), 0))
    (refusal,) = why(made, ("team", "p"), SECOND, Rules()).refusals
    assert refusal.code is Code.NO_NODE_MATCHES
    with pytest.raises(KeyError, match="neither a workload nor a waiting pod team/nobody"):
        why(made, ("team", "nobody"), SECOND, Rules())


def test_sentences_have_three_beats_and_the_public_one_names_nobody() -> None:
    made = world(queue("q", 4))
    run(made, work("secret-project", "q", 3))
    made.apply(work("in", "q", 2.5))
    refusal = ask(made, "in")[0]
    assert sentence(refusal) == (
        "It needs 2500m cpu; ClusterQueue q has 1 free of at most 4 (flavor default). "
        "Held by: team/secret-project. It starts by itself when 1500m more are free."
    )
    assert "secret-project" not in public_sentence(refusal)


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (
            Refusal(Code.PENDING_PREEMPTION, Verdict.WAIT, Level.QUEUE, needed=1),
            "1 workload was asked to make room and has not left yet. It starts by itself when that room is free.",
        ),
        (
            Refusal(Code.PENDING_PREEMPTION, Verdict.WAIT, Level.QUEUE, needed=2),
            "2 workloads were asked to make room and have not left yet. It starts by itself when that room is free.",
        ),
        (
            Refusal(Code.BEHIND_HEAD, Verdict.WAIT, Level.QUEUE, needed=1, subject="q"),
            "1 workload of ClusterQueue q is before it. Its turn comes by itself.",
        ),
        (
            Refusal(Code.BEHIND_HEAD, Verdict.WAIT, Level.QUEUE, needed=3),
            "3 workloads of its queue are before it. Its turn comes by itself.",
        ),
        (
            Refusal(
                Code.WAITING_FOR_QUOTA, Verdict.WAIT, Level.QUEUE, "main", "f", "nvidia.com/gpu", 2, -1, 4, "lowered"
            ),
            "It needs 2 nvidia.com/gpu; ClusterQueue lowered has 0 free of at most 4 (flavor f). "
            "It starts by itself when 3 more are free.",
        ),
        (
            Refusal(Code.EXCEEDS_MAX_QUOTA, Verdict.CHANGE, Level.QUEUE, "main", "f", "nvidia.com/gpu", 2, 0, 0, "q"),
            "It needs 2 nvidia.com/gpu; ClusterQueue q can never have more than 0 (flavor f). "
            "Submit to another queue, or ask an administrator for quota.",
        ),
        (
            Refusal(
                Code.EXCEEDS_MAX_QUOTA, Verdict.CHANGE, Level.QUEUE, "b", "f", "cpu", 6000, 0, 4000, "q",
                counts=(("earlier", 3000),),
            ),
            "Pod set b, with the pod sets before it, needs 6 cpu; ClusterQueue q can never have more than 4 (flavor f). "
            "Ask for at most 4, or ask an administrator for more quota.",
        ),
        (
            Refusal(Code.NO_NODE_MATCHES, Verdict.CHANGE, Level.NODE, counts=((SELECTOR, 2), (AFFINITY, 1))),
            "No node may run it (nodes left out: 2 without the labels asked for, 1 outside the affinity asked for). "
            "Change its node selector, affinity or tolerations, or ask an administrator for such nodes.",
        ),
        (
            Refusal(
                Code.DEVICES_EXHAUSTED, Verdict.WAIT, Level.FLEET, "main", "", "nvidia.com/gpu", 8, 2, 8,
                counts=(("nvidia.com/gpu", 3),),
            ),
            "It needs 8 nvidia.com/gpu; matching devices have room for 2 (nodes left out: 3 short of nvidia.com/gpu). "
            "It starts by itself when enough is given back.",
        ),
    ],
)  # fmt: skip
def test_sentences_read_aloud(refusal: Refusal, told: str) -> None:
    assert sentence(refusal) == told


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_code_has_a_sentence_that_ends_with_what_to_do(code: Code, verdict: Verdict) -> None:
    refusal = Refusal(code, verdict, Level.QUEUE, "main", "f", "cpu", 2000, 1000, 4000, "subject", (("other", "w"),))
    told = sentence(refusal)
    assert told.endswith(".")
    assert told.count(". ") >= 1
    assert "other/w" in told
    assert "other/w" not in public_sentence(refusal)
    bare = replace(refusal, pod_set="", blockers=(), resource="", flavor="")
    assert sentence(bare)


def test_kueues_own_message() -> None:
    made = world(queue("q", {"f1": {"cpu": 2}, "f2": {"cpu": 4}}, within=LOWER))
    run(made, work("runs", "q", 2, priority=9), flavor="f2")
    made.apply(work("in", "q", pod_sets=[pods(3, cpu=1)]))
    verdicts = why(made, ("team", "in"), SECOND, QUOTA_ONLY)
    assert pending_message(verdicts) == (
        "couldn't assign flavors to pod set main: insufficient quota for cpu in flavor f1, previously considered podsets "
        "requests (0) + current podset request (3) > maximum capacity (2), insufficient unused quota for cpu in flavor f2, "
        "1 more needed"
    )
