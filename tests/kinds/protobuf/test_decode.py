"""Messages become the JSON that a client without protobuf would have sent."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds.names import CONFIG_MAPS, JOBS, LEASES, NAMESPACES, NODES, PODS, SECRETS
from roadstead.kinds.object import Json, Resource
from roadstead.kinds.protobuf import decode, open_envelope
from roadstead.kinds.protobuf.descriptors import message_class
from roadstead.kinds.served import default_registry
from tests.kinds.protobuf.wire import body, envelope, message
from tests.kinds.way import kind_of

CORE = "io.k8s.api.core.v1."
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
BUILT_IN = sorted(kind.schema.component for kind in default_registry() if kind.has_protobuf and not kind.is_custom)


@pytest.mark.parametrize(
    ("component", "fields", "expected"),
    [
        (CORE + "ResourceRequirements", {"limits": {"cpu": {"string": "500m"}, "none": {}}}, {"limits": {"cpu": "500m", "none": "0"}}),
        (CORE + "TCPSocketAction", {"port": {"type": 0, "intVal": 80}}, {"port": 80}),
        (CORE + "TCPSocketAction", {"port": {}}, {"port": 0}),
        (CORE + "TCPSocketAction", {"port": {"type": 1, "strVal": "http"}}, {"port": "http"}),
        (CORE + "TCPSocketAction", {"port": {"type": 1}}, {"port": ""}),
        (META + "ObjectMeta", {"creationTimestamp": {"seconds": 1767225600, "nanos": 999}}, {"creationTimestamp": "2026-01-01T00:00:00Z"}),
        (META + "ObjectMeta", {"creationTimestamp": {}}, {"creationTimestamp": None}),
        (META + "ObjectMeta", {"creationTimestamp": {"seconds": -62135596800}}, {"creationTimestamp": None}),
        (META + "ObjectMeta", {"creationTimestamp": {"seconds": 0}}, {"creationTimestamp": "1970-01-01T00:00:00Z"}),
        (CORE + "Event", {"eventTime": {"seconds": 1767225600, "nanos": 1234567}}, {"eventTime": "2026-01-01T00:00:00.001234Z"}),
        (CORE + "Event", {"eventTime": {}}, {"eventTime": None}),
        (META + "ManagedFieldsEntry", {"fieldsV1": {"Raw": base64.b64encode(b'{"f:data":{}}').decode()}}, {"fieldsV1": {"f:data": {}}}),
        (META + "ManagedFieldsEntry", {"fieldsV1": {}}, {"fieldsV1": None}),
        (CORE + "Secret", {"data": {"a": "AP8=", "empty": ""}}, {"data": {"a": "AP8=", "empty": ""}}),
        (CORE + "Volume", {"name": "v", "volumeSource": {"emptyDir": {}}}, {"name": "v", "emptyDir": {}}),
        (CORE + "Probe", {"handler": {"exec": {"command": ["a"]}}, "periodSeconds": 3}, {"exec": {"command": ["a"]}, "periodSeconds": 3}),
        (CORE + "SecretKeySelector", {"localObjectReference": {"name": "s"}, "key": "k"}, {"name": "s", "key": "k"}),
        (CORE + "PodSpec", {"hostNetwork": False, "containers": []}, {"hostNetwork": False}),
        (META + "DeleteOptions", {"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}, {"gracePeriodSeconds": 0, "preconditions": {"uid": "u"}}),
    ],
)  # fmt: skip
def test_each_form(component: str, fields: Json, expected: Json) -> None:
    assert decode(component, message(component, fields)) == expected


@pytest.mark.parametrize(
    ("component", "fields", "why"),
    [
        (CORE + "TCPSocketAction", {"port": {"type": 7}}, "impossible IntOrString.Type 7"),
        (META + "ObjectMeta", {"creationTimestamp": {"seconds": 253402300800}}, "253402300800 seconds since 1970"),
        (META + "ObjectMeta", {"creationTimestamp": {"seconds": -62135596801}}, "outside of the years 1 to 9999"),
        (CORE + "Event", {"eventTime": {"seconds": 1, "nanos": -1}}, "-1 nanoseconds"),
        (CORE + "Event", {"eventTime": {"seconds": 1, "nanos": 1000000000}}, "1000000000 nanoseconds"),
        (META + "ManagedFieldsEntry", {"fieldsV1": {"Raw": "e30t"}}, "the 3 bytes of FieldsV1 are not JSON"),
    ],
)
def test_what_json_cannot_say_is_refused_with_numbers(component: str, fields: Json, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(component, message(component, fields))


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    text, key = message(CORE + "ConfigMap", {"data": {"k": "AB"}}), b"AB"
    assert decode(CORE + "ConfigMap", text.replace(key, b"A\xff")) == {"data": {"k": "A�"}}


def test_a_key_that_is_not_utf8_is_refused() -> None:
    raw = message(CORE + "ConfigMap", {"data": {"AB": "x"}}).replace(b"AB", b"A\xff")
    with pytest.raises(ValueError, match=r"^data has a key that is not UTF-8: byte 2 is 0xff; send it as UTF-8$"):
        decode(CORE + "ConfigMap", raw)


def test_unknown_fields_are_passed_over() -> None:
    raw = message(CORE + "Namespace", {"metadata": {"name": "a"}}) + bytes([0xFA, 0x01, 2, 0, 0])  # field 31, 2 bytes
    assert decode(CORE + "Namespace", raw) == {"metadata": {"name": "a"}}


# --- zero values: what Go's encoder writes and JSON omits

ZERO_METADATA = {
    "generateName": "",
    "namespace": "",
    "selfLink": "",
    "uid": "",
    "resourceVersion": "",
    "generation": 0,
    "creationTimestamp": {},
}


@pytest.mark.parametrize(
    ("resource", "fields", "expected"),
    [
        (NAMESPACES, {"spec": {}, "status": {"phase": ""}}, {"spec": {}, "status": {}}),
        (CONFIG_MAPS, {"data": {"a": ""}}, {"data": {"a": ""}}),
        (SECRETS, {"type": "", "data": {"a": "YQ=="}}, {"data": {"a": "YQ=="}}),
        (NODES, {"spec": {"podCIDR": "", "providerID": "", "unschedulable": False}}, {"spec": {}}),
        (LEASES, {"spec": {"holderIdentity": "", "leaseTransitions": 0}}, {"spec": {"holderIdentity": "", "leaseTransitions": 0}}),
        (JOBS, {"spec": {"suspend": False, "parallelism": 0}, "status": {"active": 0}}, {"spec": {"suspend": False, "parallelism": 0, "template": {"metadata": {}, "spec": {}}}, "status": {}}),
        (PODS, {"spec": {"hostPID": False, "nodeName": "", "terminationGracePeriodSeconds": 0}}, {"spec": {"terminationGracePeriodSeconds": 0}}),
        (PODS, {"spec": {"containers": [{"name": "a", "image": "", "tty": False}]}}, {"spec": {"containers": [{"name": "a", "resources": {}}]}}),
    ],
)  # fmt: skip
def test_zero_values_go_where_the_servers_types_omit_them(resource: Resource, fields: Json, expected: Json) -> None:
    kind = kind_of(resource)
    raw = message(kind.schema.component, {"metadata": {"name": "a", **ZERO_METADATA}, **fields})
    value = decode(kind.schema.component, raw)
    kind.schema.check(value)
    assert value["metadata"] == {"name": "a"}
    assert {name: value[name] for name in fields if name in value} == expected


# --- envelopes


def test_an_envelope_is_opened() -> None:
    sent = body("v1", "ConfigMap", {"metadata": {"name": "a"}})
    found = open_envelope(sent)
    assert (found.api_version, found.kind) == ("v1", "ConfigMap")
    assert decode(CORE + "ConfigMap", found.raw) == {"metadata": {"name": "a"}}


def test_an_envelope_need_not_say_what_it_holds() -> None:
    found = open_envelope(envelope("", "", b""))
    assert (found.api_version, found.kind, found.raw) == ("", "", b"")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "^empty data$"),
        (b"k8s", r"^provided data does not appear to be a protobuf message, expected prefix \[107 56 115 0\]$"),
        (b'{"kind": "Pod"}', r"expected prefix \[107 56 115 0\]"),
        (b"k8s\0", "^empty body$"),
        (b"k8s\0\x0a", "^1 bytes are no protobuf message Unknown: truncated or malformed"),
    ],
)
def test_what_is_no_envelope_is_refused_as_the_real_server_does(sent: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        open_envelope(sent)


# --- laws


@given(st.binary(max_size=200), st.sampled_from(BUILT_IN))
def test_any_bytes_are_read_or_refused(raw: bytes, component: str) -> None:
    _read(lambda: decode(component, raw))


@given(st.data())
def test_a_damaged_message_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(_SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    _read(lambda: open_envelope(bytes(raw[:cut])))
    _read(lambda: decode(CORE + "Pod", bytes(raw[:cut])))


def _read(attempt: Any) -> None:
    with contextlib.suppress(ValueError):
        attempt()


_SAMPLE = message(
    CORE + "Pod",
    {
        "metadata": {"name": "a", "creationTimestamp": {"seconds": 5}, "labels": {"a": "b"}},
        "spec": {
            "volumes": [{"name": "v", "volumeSource": {"emptyDir": {"sizeLimit": {"string": "1Gi"}}}}],
            "containers": [{"name": "c", "livenessProbe": {"handler": {"tcpSocket": {"port": {"intVal": 1}}}}}],
        },
    },
)


def test_the_descriptors_are_built_once() -> None:
    assert message_class(CORE + "Pod") is message_class(CORE + "Pod")
