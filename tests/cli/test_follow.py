"""Following a job: the server's answers as a script, what the user reads as the result."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest

from roadstead.cli import follow
from roadstead.cli.client import LogRefused
from roadstead.cli.failure import Failure
from roadstead.cli.follow import Ending, Follower, how_it_ended
from roadstead.kinds.names import JOBS, PODS, WORKLOADS
from roadstead.kinds.object import Json, Object, Ref, Resource
from roadstead.runtime.cluster import Listing, Selector, Unavailable

UID = "job-uid"


def made(resource: Resource, name: str, value: Json, uid: str, owner: str = "") -> Object:
    metadata: Json = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": "1"}
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": owner, "controller": True}
        ]
    return Object.of(resource, {"metadata": metadata, **value})


def job(condition: str = "", *, suspend: bool = False, uid: str = UID) -> Object:
    conditions = [{"type": condition, "status": "True", "message": "deadline passed"}] if condition else []
    return made(JOBS, "j", {"spec": {"suspend": suspend}, "status": {"conditions": conditions}}, uid)


def pod(name: str, state: Json | None = None, phase: str = "Running", node: str = "n1") -> Object:
    status: Json = {"phase": phase, "containerStatuses": [{"name": "main", "state": state}] if state else []}
    spec = {"containers": [{"name": "main"}], "nodeName": node}
    return made(PODS, name, {"spec": spec, "status": status}, f"uid-{name}", UID)


def workload(reason: str = "", *, preempted: bool = False) -> Object:
    conditions = [{"type": "QuotaReserved", "status": "False", "message": reason}]
    conditions += [{"type": "Preempted", "status": "True", "message": "for k"}] if preempted else []
    return made(WORKLOADS, "job-j", {"status": {"conditions": conditions}}, "w", UID)


RUNNING: Json = {"running": {}}


def ended(code: int) -> Json:
    return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}


class Server:
    """Answers as the moment says; every look at the job is the next moment (the last one stays)."""

    def __init__(self, *moments: dict[str, Any]) -> None:
        self.moments = list(moments)
        self.now: dict[str, Any] = {}
        self.cluster = self
        self.was_stopped = False

    async def get(self, ref: Ref) -> Object | None:
        if ref.resource == JOBS:
            self.now = self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]
            if self.now.get("down"):
                raise Unavailable("connection refused")
            found: Object | None = self.now["job"]
            return found
        after = self.now.get("after", self.now.get("pods", ()))
        return next((pod for pod in after if pod.meta.name == ref.name), None)

    async def list(self, resource: Resource, namespace: str, selector: Selector | None = None) -> Listing:
        return Listing(tuple(self.now.get("pods" if resource == PODS else "workloads", ())), "1")

    async def ask(self, path: str) -> Json:
        assert path == "/roadstead/v1/why/default/j"
        return {"headline": "Its class does not exist."}

    @contextlib.asynccontextmanager
    async def log(
        self, namespace: str, pod: str, container: str, *, follow: bool, options: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        assert (namespace, container, follow) == ("default", "main", True)
        script = self.now["logs"][pod]
        if isinstance(script, Exception):
            raise script
        yield chunks(script, int(options["fromByte"]))


async def chunks(script: list[bytes | Exception], skip: int) -> AsyncIterator[bytes]:
    for step in script:
        if isinstance(step, Exception):
            raise step
        fresh = step[skip:]
        skip -= len(step) - len(fresh)
        if fresh:
            yield fresh


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.0)


def watch(*moments: dict[str, Any]) -> tuple[Ending, bytes, list[str]]:
    said: list[str] = []
    printed: list[bytes] = []
    follower = Follower(Server(*moments), job(), said.append, printed.append)  # type: ignore[arg-type]  # stands for a Client
    return asyncio.run(follower.to_the_end()), b"".join(printed), said


def test_a_short_command_that_had_ended_before_we_looked() -> None:
    moment = {"job": job("Complete"), "pods": [pod("a", ended(0), "Succeeded")], "logs": {"a": [b"hi\n"]}}
    assert watch(moment) == (Ending(0), b"hi\n", ["running as pod a"])


def test_output_that_appears_with_the_end_is_printed() -> None:
    """The job is read before its pods, so an end that is seen always has its pods."""
    first = {"job": job(), "pods": []}
    last = {"job": job("Complete"), "pods": [pod("a", ended(0), "Succeeded")], "logs": {"a": [b"hi\n"]}}
    assert watch(first, last)[:2] == (Ending(0), b"hi\n")


def test_a_container_that_could_not_start_has_no_output_and_is_not_asked_for_ever() -> None:
    refused = LogRefused("container main is terminated, it could not start.", "", 400)
    moment = {"job": job("Failed"), "pods": [pod("a", ended(128), "Failed")], "logs": {"a": refused}}
    ending, printed, _ = watch(moment)
    assert (ending.exit_code, printed) == (128, b"")


def test_bytes_stay_bytes() -> None:
    every = bytes(range(256))
    moment = {"job": job("Complete"), "pods": [pod("a", ended(0), "Succeeded")], "logs": {"a": [every, every]}}
    assert watch(moment)[1] == every * 2


@pytest.mark.parametrize(
    "cut", [httpx2.ReadError("cut"), LogRefused("the agent is silent.", "", 500), None], ids=["cut", "refused", "ended"]
)
def test_a_stream_that_breaks_off_is_taken_up_where_it_was(cut: Exception | None) -> None:
    running, over = [pod("a", RUNNING)], [pod("a", ended(3), "Failed")]
    logs: Any = cut if isinstance(cut, LogRefused) else [b"one\ntw", *([cut] if cut else [])]
    ending, printed, said = watch(
        {"job": job(), "pods": running, "logs": {"a": [b"one\n", httpx2.ReadError("cut")]}},
        {"job": job(), "pods": running, "logs": {"a": logs}},
        {"down": True},
        {"job": job("Failed"), "pods": over, "logs": {"a": [b"o", b"ne\ntwo\n", b"three\n"]}},
    )
    assert ending == Ending(3, "exit code 3")
    assert printed == b"one\ntwo\nthree\n"
    assert said[0] == "running as pod a"
    assert any(text.startswith("the server does not answer; still trying") for text in said)
    assert said.count("running as pod a") == 1


def test_a_cluster_that_was_stopped_on_purpose_ends_the_following(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "STOPPED_SECONDS", 0.0)
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.0)
    server = Server({"down": True})
    server.was_stopped = True
    follower = Follower(server, job(), lambda text: None, lambda chunk: None)  # type: ignore[arg-type]  # a script, not a client
    with pytest.raises(Failure, match="was stopped while job j was followed"):
        asyncio.run(follower.to_the_end())


def test_preempted_and_resumed() -> None:
    ending, printed, said = watch(
        {"job": job(suspend=True), "workloads": [workload("2 of 4 are free")]},
        {"job": job(suspend=True), "workloads": [workload("2 of 4 are free")]},
        {"job": job(), "pods": [pod("z", RUNNING)], "logs": {"z": [b"step 1\n"]}, "after": []},
        {"job": job(suspend=True), "workloads": [workload("0 of 4 are free", preempted=True)]},
        {"job": job(suspend=True), "workloads": [workload("0 of 4 are free", preempted=True)]},
        {"job": job("Complete"), "pods": [pod("b", ended(0), "Succeeded")], "logs": {"b": [b"step 2\n"]}},
    )
    assert (ending, printed) == (Ending(0), b"step 1\nstep 2\n")
    assert said == [
        "waiting: 2 of 4 are free",
        "running as pod z",
        "preempted, waiting to resume: 0 of 4 are free",
        "running as pod b",
    ]


def test_output_that_is_gone_does_not_hold_up_the_end() -> None:
    gone = LogRefused("pods a not found.", "", 404)
    moment = {"job": job("Complete"), "pods": [pod("a", ended(0), "Succeeded")], "logs": {"a": gone}}
    assert watch(moment)[0] == Ending(0)


@pytest.mark.parametrize("successor", [None, job(uid="another")], ids=["gone", "replaced"])
def test_deleted_meanwhile(successor: Object | None) -> None:
    with pytest.raises(Failure, match="job j was deleted before it ended"):
        watch({"job": job()}, {"job": successor})


def test_a_job_that_failed_without_a_process() -> None:
    assert watch({"job": job("Failed"), "pods": [pod("a", None, "Failed")]})[0] == Ending(1, "deadline passed")


@pytest.mark.parametrize(
    ("moment", "says"),
    [
        ({"pods": [pod("a", {"waiting": {}})]}, "waiting: node n1 has not started pod a yet; is its agent up?"),
        ({"pods": [pod("a", None, "Pending", "")]}, "waiting: Its class does not exist."),
        ({"pods": []}, "waiting: Its class does not exist."),
    ],
)
def test_when_nothing_happens_it_is_asked_why(
    moment: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", -1.0)
    _, _, said = watch({"job": job(), **moment}, {"job": job("Complete")})
    assert said[0].startswith(says)


@pytest.mark.parametrize(
    ("terminated", "says"),
    [
        ({"exitCode": 3, "reason": "Error"}, "exit code 3"),
        ({"exitCode": 137, "reason": "Error", "signal": 9}, "ended by SIGKILL (exit code 137)"),
        ({"exitCode": 143, "reason": "Error"}, "ended by SIGTERM (exit code 143)"),
        ({"exitCode": 255, "reason": "Error"}, "exit code 255"),
        ({"exitCode": 137, "reason": "OOMKilled"}, "it used more memory than it may (OOMKilled, exit code 137)"),
        ({"exitCode": 128, "reason": "StartError", "message": "no such file"}, "no such file (StartError, exit code 128)"),
    ],
)  # fmt: skip
def test_an_end_in_words(terminated: Json, says: str) -> None:
    assert how_it_ended(terminated).startswith(says)
