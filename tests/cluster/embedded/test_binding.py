"""pods/binding."""

from __future__ import annotations

import pytest

from roadstead.cluster.embedded.requests import DeleteOptions
from roadstead.kinds.object import Json
from tests.cluster.embedded.objects import NOW_TEXT, OPTIONS, POD, pod, resources
from tests.cluster.embedded.test_resources import refused
from tests.cluster.loop import in_loop

TO_N1: Json = {"target": {"kind": "Node", "name": "n1"}}


@in_loop
async def test_a_binding_sets_node_annotations_and_condition_in_one_write() -> None:
    api = await resources()
    await api.create(POD, "default", pod(annotations={"kept": "1"}), OPTIONS)
    await api.bind("default", "p", {"metadata": {"annotations": {"member": "3"}}, **TO_N1}, OPTIONS)
    bound = (await api.get(POD, "default", "p")).decode()
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["metadata"]["annotations"] == {"kept": "1", "member": "3"}
    assert bound["metadata"]["generation"] == 1  # nobody asked for another spec
    assert bound["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": NOW_TEXT}
    ]
    assert bound["status"]["phase"] == "Pending"


@pytest.mark.parametrize(
    ("binding", "code", "message"),
    [
        ({}, 400, "target must be an object"),
        ({"target": {}}, 500, "target.name: Required value"),
        (
            {"target": {"kind": "Pod"}},
            500,
            '[target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>", target',
        ),
        ({"metadata": {"name": "q"}, **TO_N1}, 400, "does not match the name of the binding"),
        ({"metadata": {"uid": "x"}, **TO_N1}, 409, "Precondition failed"),
    ],
)
@in_loop
async def test_bindings_that_are_refused(binding: Json, code: int, message: str) -> None:
    api = await resources()
    await api.create(POD, "default", pod(), OPTIONS)
    error = await refused(api.bind("default", "p", binding, OPTIONS))
    assert error.code == code
    assert message in error.message


@in_loop
async def test_a_pod_is_bound_once() -> None:
    api = await resources()
    await api.create(POD, "default", pod(), OPTIONS)
    await api.bind("default", "p", TO_N1, OPTIONS)
    error = await refused(api.bind("default", "p", {"target": {"name": "n2"}}, OPTIONS))
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == (
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
    )


@in_loop
async def test_terminating_and_missing_pods_are_not_bound() -> None:
    api = await resources()
    await api.create(POD, "default", pod(finalizers=["x.y/z"]), OPTIONS)
    await api.delete(POD, "default", "p", DeleteOptions())
    assert (await refused(api.bind("default", "p", TO_N1, OPTIONS))).code == 409
    assert (await refused(api.bind("default", "none", TO_N1, OPTIONS))).code == 404
