"""Decoding built-in kinds: wrong types, unknown fields, what a round trip drops and adds."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.names import CLUSTER_QUEUES, CONFIG_MAPS, EVENTS, JOBS, LEASES, NODES, PODS, SECRETS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.schema import DecodeError
from tests.kinds.way import kind_of


def decode(resource: Resource, value: Json, mode: str = "Ignore") -> list[str]:
    return kind_of(resource).schema.check(value, mode)


@pytest.mark.parametrize(
    ("resource", "value", "why"),
    [
        (PODS, {"spec": {"containers": "x"}}, "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container"),
        (PODS, {"spec": {"containers": ["x"]}}, "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container"),
        (PODS, {"spec": {"containers": [{"ports": [{"containerPort": "x"}]}]}}, "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        (PODS, {"spec": {"containers": [{"imagePullPolicy": []}]}}, "json: cannot unmarshal array into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy"),
        (PODS, {"spec": {"volumes": [{"emptyDir": 5}]}}, "json: cannot unmarshal number into Go struct field Volume.spec.volumes.VolumeSource.emptyDir of type v1.EmptyDirVolumeSource"),
        (PODS, {"spec": {"containers": [{"command": [1]}]}}, "json: cannot unmarshal number into Go struct field Container.spec.containers.command of type string"),
        (PODS, {"spec": {"terminationGracePeriodSeconds": "x"}}, "json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64"),
        (PODS, {"spec": {"hostNetwork": 1}}, "json: cannot unmarshal number into Go struct field PodSpec.spec.hostNetwork of type bool"),
        (PODS, {"metadata": {"labels": {"a": 1}}}, "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
        (PODS, {"metadata": {"labels": "x"}}, "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string"),
        (PODS, {"spec": []}, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        (JOBS, {"spec": {"parallelism": 1.5}}, "json: cannot unmarshal number 1.5 into Go struct field JobSpec.spec.parallelism of type int32"),
        (JOBS, {"spec": {"parallelism": 2**31}}, "json: cannot unmarshal number 2147483648 into Go struct field JobSpec.spec.parallelism of type int32"),
        (JOBS, {"spec": {"suspend": "x"}}, "json: cannot unmarshal string into Go struct field JobSpec.spec.suspend of type bool"),
        (CONFIG_MAPS, {"data": {"a": 5}}, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (CONFIG_MAPS, {"binaryData": {"a": "!!!"}}, "illegal base64 data at input byte 0"),
        (SECRETS, {"data": {"a": "YQ"}}, "illegal base64 data at input byte 0"),
        (LEASES, {"spec": {"renewTime": "yesterday"}}, 'parsing time "yesterday" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "yesterday" as "2006"'),
        (LEASES, {"spec": {"renewTime": "2024-02-02T02:02:02.5Z"}}, 'parsing time "2024-02-02T02:02:02.5Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ".5Z" as ".000000"'),
        (PODS, {"spec": {"containers": [{"resources": {"limits": {"cpu": "x"}}}]}}, "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        (CLUSTER_QUEUES, {"metadata": {"labels": "x"}}, "json: cannot unmarshal string into Go struct field ObjectMeta.labels of type map[string]string"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_a_400_in_the_servers_words(resource: Resource, value: Json, why: str) -> None:
    kind = kind_of(resource).kind
    with pytest.raises(DecodeError) as refused:
        decode(resource, value)
    assert refused.value.why == why
    version = resource.version
    assert refused.value.message == f'{kind} in version "{version}" cannot be handled as a {kind}: {why}'
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


def test_the_first_fault_in_the_document_is_the_one_told() -> None:
    with pytest.raises(DecodeError, match=r"PodSpec\.spec\.nodeName"):
        decode(PODS, {"spec": {"nodeName": 1, "containers": "x"}})
    with pytest.raises(DecodeError, match=r"PodSpec\.spec\.containers"):
        decode(PODS, {"spec": {"containers": "x", "nodeName": 1}})


def pod_with_surprises() -> Json:
    return {
        "metadata": {"nope": 1},
        "spec": {"foo": 1, "containers": [{"name": "a", "bar": 2, "env": [{"name": "A", "nam": "x"}]}]},
        "more": {},
    }


def test_unknown_fields_are_dropped_and_listed_in_document_order() -> None:
    value = pod_with_surprises()
    found = decode(PODS, value, "Warn")
    assert found == [
        'unknown field "metadata.nope"',
        'unknown field "spec.foo"',
        'unknown field "spec.containers[0].bar"',
        'unknown field "spec.containers[0].env[0].nam"',
        'unknown field "more"',
    ]
    assert value["spec"]["containers"] == [{"name": "a", "env": [{"name": "A"}], "resources": {}}]
    assert "more" not in value


def test_ignore_says_nothing_and_strict_refuses() -> None:
    assert decode(PODS, pod_with_surprises()) == []
    with pytest.raises(
        DecodeError, match=r'strict decoding error: unknown field "metadata.nope", unknown field "spec.foo", '
    ):
        decode(PODS, pod_with_surprises(), "Strict")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"hostNetwork": False}, {}),  # no pointer: false is nothing
        ({"enableServiceLinks": False}, {"enableServiceLinks": False}),  # a pointer: false is said
        ({"nodeName": ""}, {}),
        ({"nodeSelector": {}}, {}),
        ({"tolerations": []}, {}),
        ({"affinity": {}}, {"affinity": {}}),
        ({"terminationGracePeriodSeconds": 0}, {"terminationGracePeriodSeconds": 0}),
        ({"priority": None}, {}),
        ({"nodeSelector": {"a": None}}, {"nodeSelector": {"a": ""}}),
        ({"overhead": {"cpu": "1000m"}}, {"overhead": {"cpu": "1"}}),
        ({"overhead": {"cpu": 1}}, {"overhead": {"cpu": "1"}}),
    ],
)
def test_what_a_round_trip_drops_and_rewrites(given: Json, kept: Json) -> None:
    value: Json = {"spec": given}
    decode(PODS, value)
    assert value["spec"] == kept


def test_what_go_always_writes_is_added() -> None:
    node: Json = {"metadata": {"name": "n"}}
    decode(NODES, node)
    assert node["spec"] == {}
    assert node["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 0}}
    event: Json = {"involvedObject": {}}
    decode(EVENTS, event)
    assert event["eventTime"] is None
    assert event["firstTimestamp"] is None
    assert event["source"] == {}
    pod: Json = {"spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    decode(PODS, pod)
    assert pod["status"]["conditions"][0]["lastProbeTime"] is None


def test_times_are_written_in_utc_and_whole_seconds() -> None:
    job: Json = {"status": {"startTime": "2026-01-01T01:00:00.75+01:00"}}
    decode(JOBS, job)
    assert job["status"]["startTime"] == "2026-01-01T00:00:00Z"


def test_checking_twice_changes_nothing_more() -> None:
    value: Any = {
        "metadata": {"name": "p"},
        "spec": {
            "containers": [
                {"name": "c", "resources": {"limits": {"memory": "1024Mi"}}, "ports": [{"containerPort": 1}]}
            ]
        },
    }
    decode(PODS, value)
    before = copy.deepcopy(value)
    assert decode(PODS, value, "Strict") == []
    assert value == before


def test_custom_kinds_prune_and_default() -> None:
    queue: Json = {"spec": {"bogus": 1, "cohortName": None, "preemption": {"zz": 1}}, "status": None}
    assert decode(CLUSTER_QUEUES, queue, "Warn") == ['unknown field "spec.bogus"', 'unknown field "spec.preemption.zz"']
    assert queue["spec"]["queueingStrategy"] == "BestEffortFIFO"
    assert queue["spec"]["preemption"]["borrowWithinCohort"] == {"policy": "Never"}
    assert "cohortName" not in queue["spec"]
    assert "status" not in queue
