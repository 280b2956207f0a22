"""From words to a Job."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.cli.failure import Failure
from roadstead.cli.jobs import Request, generated_name, job_manifest, literal
from roadstead.kinds.object import Json
from roadstead.node.agent.expansion import expand

SHELL = {"PATH": "/bin", "HOME": "/home/ada", "SECRET": "not carried"}


def container(request: Request) -> Json:
    found: Json = job_manifest(request, directory="/here", shell=SHELL)["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize(
    ("command", "stem"),
    [
        (["python", "train.py"], "train"),
        (["python3.11", "-u", "/x/Fine_Tune.py", "--lr", "1"], "fine-tune"),
        (["/usr/bin/env"], "env"),
        (["nvidia-smi"], "nvidia-smi"),
        (["42"], "run"),
        (["--"], "run"),
        (["\N{SNOWMAN}"], "run"),
        (["x" * 100], "x" * 40),
    ],
)
def test_names(command: list[str], stem: str) -> None:
    name = generated_name(command)
    assert re.fullmatch(re.escape(stem) + "-[a-z2-9]{5}", name)


@given(st.lists(st.text(max_size=60), min_size=1))
def test_every_command_has_a_name_that_the_server_takes(command: list[str]) -> None:
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", generated_name(command))
    assert len(generated_name(command)) <= 63


@given(st.text(alphabet="$()AB \n"), st.text(alphabet="$()AB"))
def test_words_arrive_as_they_were_typed(word: str, value: str) -> None:
    """What the node agent makes of the manifest's `$` (api: EnvVar.value, Container.command) is the word itself."""
    assert expand(literal(word), {"A": value, "B": "b"}) == word


def test_a_request_becomes_a_manifest() -> None:
    request = Request(["sh", "-c", "echo $A"], 2, "500m", "4Gi", "team", "high", {"A": "$x"}, "mine", "speech")
    manifest = job_manifest(request, directory="/here", shell=SHELL)
    assert manifest["metadata"] == {
        "name": "mine",
        "namespace": "speech",
        "labels": {"kueue.x-k8s.io/queue-name": "team", "kueue.x-k8s.io/priority-class": "high"},
    }
    assert manifest["spec"]["backoffLimit"] == 0
    assert container(request) == {
        "name": "main",
        "image": "local",
        "command": ["sh", "-c", "echo $$A"],
        "workingDir": "/here",
        "env": [
            {"name": "A", "value": "$$x"},
            {"name": "HOME", "value": "/home/ada"},
            {"name": "PATH", "value": "/bin"},
        ],
        "resources": {
            "requests": {"nvidia.com/gpu": "2", "cpu": "500m", "memory": "4Gi"},
            "limits": {"nvidia.com/gpu": "2", "memory": "4Gi"},
        },
    }


def test_what_was_not_asked_for_is_left_out() -> None:
    manifest = job_manifest(Request(["true"]), directory="/here", shell={})
    assert manifest["metadata"]["labels"] == {}
    assert container(Request(["true"]))["resources"] == {"requests": {"cpu": "1"}, "limits": {}}


@pytest.mark.parametrize("amount", ["banana", "4Gigs", "-1", "0", "1 Gi", "1e", "--", "\N{ARABIC-INDIC DIGIT FOUR}"])
def test_amounts_that_are_none(amount: str) -> None:
    for request, option in ((Request(["x"], cpus=amount), "--cpus"), (Request(["x"], memory=amount), "--memory")):
        with pytest.raises(Failure, match=option) as failure:
            container(request)
        assert failure.value.exit_code == 2
        assert "4Gi" in failure.value.hint
