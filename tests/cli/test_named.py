"""NAME, KIND/NAME, KIND.GROUP/NAME: what `why` and `logs` are asked about, and what they ask the server then."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.cli import main, why
from roadstead.cli.failure import Failure
from roadstead.cli.named import Named, named


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("big", Named("", "big")),
        ("job/big", Named("job", "big")),
        ("job.batch/big", Named("job", "big")),
        ("Jobs.v1.batch/big", Named("job", "big")),
        ("workload/job-big-1a2b3", Named("workload", "job-big-1a2b3")),
        ("workloads.kueue.x-k8s.io/w", Named("workload", "w")),
        ("po/p", Named("pod", "p")),
        ("pods/p", Named("pod", "p")),
    ],
)
def test_what_words_name(text: str, meant: Named) -> None:
    assert named(text) == meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("deployment.apps/web", "there is no kind 'deployment.apps' here"),
        ("job.kueue.x-k8s.io/x", "there is no kind 'job.kueue.x-k8s.io' here"),
        ("a/job/x", "there is no kind 'a/job' here"),
        ("job/", "'job/' names nothing"),
        ("", "'' names nothing"),
    ],
)
def test_what_they_cannot_name(text: str, says: str) -> None:
    with pytest.raises(Failure, match=says) as caught:
        named(text)
    assert caught.value.exit_code == 2
    assert "job/NAME" in caught.value.hint


@pytest.mark.parametrize("verb", ["why", "logs"])
def test_another_kind_is_an_error_before_anybody_is_asked(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "service/web"])
    assert ended.value.code == 2
    assert "'service/web' is neither a job, nor a workload, nor a pod" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (("big",), "why/default/big"),
        (("job.batch/big", "-n", "team"), "why/team/job:big"),
        (("pod/p",), "why/default/pod:p"),
        (("a b",), "why/default/a%20b"),
        (("a", "-n", "x/y"), "why/x%2Fy/a"),
    ],
)
def test_what_is_asked(words: tuple[str, ...], question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ask(source: Any, question: str) -> Any:
        asked.append(question)
        return {"headline": "It runs.", "details": []}

    monkeypatch.setattr(why, "ask", ask)
    with pytest.raises(SystemExit):
        main(["why", *words])
    assert asked == [question]
