"""`roadstead plan`: how an answer is printed, which exit code it has, and what is no question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roadstead.cli import main, plan
from roadstead.cli.plugin import as_kubectl
from roadstead.cli.reasons import reason_lines
from roadstead.cli.source import kubeconfig_path

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}}


def work(**changes: Any) -> dict[str, Any]:
    made = {"namespace": "default", "name": "train", "kind": "Job", "queue": "default", "clusterQueue": "", "note": "",
            "verdict": "", "podSets": [], "places": [], "victims": [], "reasons": [], "next": [], "changes": [],
            "outlook": "Starts", "headline": "It would start now."}  # fmt: skip
    return {**made, **changes}


def reason(sentence: str, verdict: str = "wait", holders: str = "") -> dict[str, Any]:
    return {"code": "WaitingForQuota", "sentence": sentence, "verdict": verdict, "holders": holders}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Questions that the command asked; each is answered with what `answers` on the list says."""
    questions: list[Any] = []

    async def ask(source: Any, question: str, body: Any = None) -> Any:
        questions.append((source, question, body))
        return {"outlook": "Starts", "work": [work()], "notes": []}

    monkeypatch.setattr(plan, "ask", ask)
    return questions


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["plan", *words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_a_command_is_asked_about_as_run_would_submit_it(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--gpus", "2", "--name", "train", "-n", "team", "--", "python", "train.py")
    assert (code, out) == (0, "job/train: It would start now.\n")
    ((source, question, body),) = asked
    assert (source.is_elsewhere, question, body["namespace"]) == (False, "plan", "team")
    (job,) = body["objects"]
    assert job["metadata"]["name"] == "train"
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}


def test_who_gives_no_name_is_not_told_an_invented_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    async def ask(source: Any, question: str, body: Any) -> Any:
        tried.append(body["objects"][0]["metadata"]["name"])
        return {"outlook": "Starts", "work": [work(name=tried[0])], "notes": []}

    monkeypatch.setattr(plan, "ask", ask)
    assert run(capsys, "--", "true")[1] == "job/true: It would start now.\n"
    assert run(capsys, "--", "true")[1] == "job/true: It would start now.\n"
    assert tried[0].startswith("true-")
    assert tried[0] != tried[1], "what is tried is nobody else's"


def test_manifests_are_asked_about_in_their_order(
    asked: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text("\n---\n".join(json.dumps({**JOB, "metadata": {"name": name}}) for name in ("b", "a")))
    code, *_ = run(capsys, "-f", str(file), "--context", "lab")
    assert code == 0
    ((source, _, body),) = asked
    assert source.is_elsewhere
    assert [obj["metadata"]["name"] for obj in body["objects"]] == ["b", "a"]


@pytest.mark.parametrize(("outlook", "code"), [("Starts", 0), ("Waits", 2), ("Preempts", 2)])
def test_the_exit_code_says_whether_all_of_it_would_start(
    outlook: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ask(*_: Any) -> Any:
        return {"outlook": outlook, "work": [work(outlook=outlook)], "notes": ["ConfigMap c: taken as given."]}

    monkeypatch.setattr(plan, "ask", ask)
    found, out, _ = run(capsys, "--", "true")
    assert found == code
    assert out.endswith("ConfigMap c: taken as given.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "there is nothing to plan"),
        (("-f", "x.yaml", "--", "true"), "of manifests or of a command, not of both"),
        (("-f", "x.yaml", "--gpus", "1", "--env", "A=1"), "--env, --gpus says how to run a command"),
        (("--nonsense",), "No such option"),
        (("--cpus", "many", "--", "true"), "--cpus 'many' is not an amount"),
        (("--env", "A", "--", "true"), "expected NAME=VALUE"),
        (("-f", "nowhere.yaml"), "cannot read nowhere.yaml: No such file or directory."),
        (("--gpus", "0.5", "--", "true"), "'0.5' is not a whole number."),
        (("--gpus", "9" * 23, "--", "true"), f"{'9' * 23} is not in the range 0<=x<=1000000."),
    ],
)
def test_what_is_no_question_is_an_error_and_not_an_answer(
    words: tuple[str, ...], said: str, asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out, asked) == (1, "", [])
    assert said in err
    assert "--home" not in err


def test_reasons_are_told_once_the_binding_one_first_then_what_would_help() -> None:
    answer = work(
        verdict="ask",
        reasons=[reason("Stopped.", "ask", "Held by: a/b."), reason("Other flavor.", "change"), reason("Full.")],
        next=[reason("Full.", "wait", "Held by: c/d.")],
        changes=[{"sentence": "Submit it to LocalQueue x."}, {"sentence": "Run 1 pod at a time instead of 2."}],
    )
    assert reason_lines(answer) == [
        "verdict: ask an administrator",
        "Held by: a/b.",
        "then (wait): Full.",
        "  Held by: c/d.",
        "also (change): Other flavor.",
        "would start now: Submit it to LocalQueue x.",
        "             or: Run 1 pod at a time instead of 2.",
    ]
    assert reason_lines({**answer, "changes": []})[-1] == "also (change): Other flavor.", (
        "its sentence says whom to ask"
    )
    waits = {**answer, "verdict": "wait", "changes": []}
    assert reason_lines(waits)[-1] == "no change of the request is known that would start it now"
    assert reason_lines(work()) == []


def test_wide_says_where_every_pod_would_go() -> None:
    pod_set = {"name": "main", "count": 1, "flavors": {"cpu": "f"}, "resourceUsage": {"cpu": "2"}}
    place = {"podSet": "main", "index": 0, "node": "n1", "devices": ["gpu-0", "gpu-1"]}
    answer = {"outlook": "Starts", "work": [work(podSets=[pod_set], places=[place])], "notes": []}
    lines = plan._shown(answer, "wide").splitlines()
    assert lines[1].strip() == "pod set main: 1 pods, 2 cpu of f"
    assert lines[-1].split() == ["main", "0", "n1", "gpu-0,gpu-1"]
    assert plan._shown(answer, "name") == "job/train"
    assert json.loads(plan._shown(answer, "json")) == answer


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["why", "x"], ["why", "--context", "", "x"]),
        (["why", "x", "--context", "lab"], ["why", "x", "--context", "lab"]),
        (["plan", "--kubeconfig=f", "--", "true"], ["plan", "--kubeconfig=f", "--", "true"]),
        (["plan", "--", "run", "--home", "x"], ["plan", "--context", "", "--", "run", "--home", "x"]),
        (["queue", "--home", "d"], ["queue", "--home", "d"]),
        (["down"], ["down"]),
        ([], []),
    ],
)
def test_the_plugin_asks_kubectls_cluster_unless_another_is_named(words: list[str], meant: list[str]) -> None:
    assert as_kubectl(words) == meant


def test_the_plugin_has_no_other_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    from roadstead.cli.plugin import main as plugin

    with pytest.raises(SystemExit) as ended:
        plugin(["down"])
    assert ended.value.code == 2
    assert "there is no command 'down'; there are: why" in capsys.readouterr().err.replace("plan, queue, why", "why")


def test_the_kubeconfig_is_the_one_that_kubectl_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kubeconfig_path("f") == Path("f")
    monkeypatch.setenv("KUBECONFIG", ":/a/b:/c")
    assert kubeconfig_path(None) == Path("/a/b")
    monkeypatch.delenv("KUBECONFIG")
    assert kubeconfig_path(None) == Path.home() / ".kube" / "config"
