"""Environment and command line: sources, order, expansion, what is missing."""

from __future__ import annotations

import base64
import doctest
from typing import Any

import pytest

from roadstead.kinds.object import Json
from roadstead.node.agent import environment, expansion, volumes
from roadstead.node.agent.environment import Sources
from roadstead.node.agent.expansion import expand
from roadstead.node.agent.problems import CannotStart
from tests.node.agent.build import pod

OBJECTS: dict[tuple[str, str], Json | None] = {
    ("configmap", "settings"): {"data": {"A": "cm-a", "B": "cm-b", "bad=name": "x"}, "binaryData": {"C": "Yw=="}},
    ("secret", "keys"): {"data": {"B": base64.b64encode(b"s-b").decode(), "TOKEN": base64.b64encode(b"t").decode()}},
    ("configmap", "gone"): None,
    ("secret", "gone"): None,
}
CM = {"configMapRef": {"name": "settings"}}
SECRET = {"secretRef": {"name": "keys"}}


def of(env: list[Json] | None = None, env_from: list[Json] | None = None, **more: Any) -> dict[str, str]:
    """The environment of a container, without what the node gives."""
    one = {"name": "a", "command": ["x"], "env": env or [], "envFrom": env_from or [], **more}
    view = pod(
        one, metadata={"labels": {"app": "x", "b": 'q"'}, "annotations": {"note": "n"}}, serviceAccountName="robot"
    )
    sources = Sources(OBJECTS, "127.64.0.7", "127.0.0.1", {"cpu": "8", "memory": "1Gi"}, {"GIVEN": "g", "A": "given"})
    both, own = environment.environment(view, view.spec.containers[0], sources)
    assert both == {**sources.given, **own}
    return own


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A}", "$A ${A}"),
        ("$", "$"),
        ("a$", "a$"),
        ("$$", "$"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("$(A$(B))", "$(A$(B))"),
        ("", ""),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


@pytest.mark.parametrize("module", [expansion, volumes])
def test_examples_in_the_documentation(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


def test_later_sources_win_and_odd_names_are_left_out() -> None:
    assert of(env_from=[CM, SECRET]) == {"A": "cm-a", "B": "s-b", "C": "c", "TOKEN": "t"}
    assert of(env_from=[SECRET, CM])["B"] == "cm-b"
    assert of([{"name": "B", "value": "own"}], [CM])["B"] == "own"


def test_a_prefix_goes_before_every_key() -> None:
    assert of(env_from=[{**CM, "prefix": "P_"}]) == {"P_A": "cm-a", "P_B": "cm-b", "P_C": "c"}


def test_values_refer_to_earlier_entries_of_env_only() -> None:
    env = [{"name": "X", "value": "1"}, {"name": "Y", "value": "$(X)$(Z)$(A)"}, {"name": "Z", "value": "3"}]
    assert of(env, [CM])["Y"] == "1$(Z)$(A)"


def test_command_and_args_refer_to_everything_of_the_container() -> None:
    one = {"name": "a", "command": ["echo", "$(A)"], "args": ["$(X)", "$$(X)", "$(NO)"]}
    view = pod(one)
    words = environment.command_line(view.spec.containers[0], {"A": "cm-a", "X": "1"})
    assert words == ["echo", "cm-a", "1", "$(X)", "$(NO)"]


def test_a_container_without_a_command_is_told_why_that_does_not_work() -> None:
    with pytest.raises(CannotStart) as caught:
        environment.command_line(pod({"name": "a", "image": "python:3"}).spec.containers[0], {})
    problem = caught.value.problem
    assert problem.reason == "CreateContainerError"
    assert problem.message == (
        "process mode runs commands on this machine and pulls no images (image 'python:3' is not looked at): "
        "give spec.containers[].command"
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "p"),
        ({"fieldRef": {"fieldPath": "metadata.namespace"}}, "ns"),
        ({"fieldRef": {"fieldPath": "metadata.uid"}}, "uid-1"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "x"),
        ({"fieldRef": {"fieldPath": "metadata.labels['none']"}}, ""),
        ({"fieldRef": {"fieldPath": "metadata.annotations['note']"}}, "n"),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "n1"),
        ({"fieldRef": {"fieldPath": "spec.serviceAccountName"}}, "robot"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "127.64.0.7"),
        ({"fieldRef": {"fieldPath": "status.hostIP"}}, "127.0.0.1"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "2"),
        ({"resourceFieldRef": {"resource": "requests.cpu"}}, "2"),
        ({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}, "1500"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "1024"),
        ({"resourceFieldRef": {"resource": "requests.memory"}}, "0"),
        ({"configMapKeyRef": {"name": "settings", "key": "A"}}, "cm-a"),
        ({"secretKeyRef": {"name": "keys", "key": "TOKEN"}}, "t"),
        ({"configMapKeyRef": {"name": "gone", "key": "A", "optional": True}}, None),
        ({"secretKeyRef": {"name": "keys", "key": "NO", "optional": True}}, None),
    ],
)
def test_values_from_elsewhere(source: Json, expected: str | None) -> None:
    env = [{"name": "V", "valueFrom": source}]
    assert of(env, resources={"limits": {"cpu": "1500m"}}).get("V") == expected


@pytest.mark.parametrize(
    ("more", "reason", "message"),
    [
        (
            {"env_from": [{"configMapRef": {"name": "gone"}}]},
            "CreateContainerConfigError",
            'configmap "gone" not found',
        ),
        ({"env_from": [{"secretRef": {"name": "gone"}}]}, "CreateContainerConfigError", 'secret "gone" not found'),
        (
            {"env": [{"name": "V", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "NO"}}}]},
            "CreateContainerConfigError",
            "couldn't find key NO in Secret ns/keys",
        ),
        (
            {"env": [{"name": "V", "valueFrom": {"resourceFieldRef": {"resource": "cpu"}}}]},
            "CreateContainerConfigError",
            "resourceFieldRef 'cpu': write limits.<resource> or requests.<resource>",
        ),
        (
            {"env": [{"name": "V", "valueFrom": {"fileKeyRef": {"path": "x"}}}]},
            "CreateContainerError",
            "an env entry takes its value from a source that this node does not know: use fieldRef, resourceFieldRef, "
            "configMapKeyRef or secretKeyRef",
        ),
    ],
)
def test_what_is_missing_is_named(more: Json, reason: str, message: str) -> None:
    with pytest.raises(CannotStart) as caught:
        of(**more)
    assert caught.value.problem == (reason, message)


def test_optional_sources_may_be_missing() -> None:
    assert of(env_from=[{"configMapRef": {"name": "gone", "optional": True}}]) == {}


def test_references_are_what_has_to_be_read() -> None:
    env = [
        {"name": "V", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "W", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
    ]
    view = pod({"name": "a", "env": env, "envFrom": [CM, SECRET]})
    assert environment.references(view.spec.containers[0]) == {
        ("secret", "s"),
        ("configmap", "c"),
        ("configmap", "settings"),
        ("secret", "keys"),
    }
