"""Pods: defaults, rules, what may change, what a table shows."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from roadstead.kinds.core.pod import qos_class
from roadstead.kinds.core.pod_defaults import pull_policy
from roadstead.kinds.names import PODS
from roadstead.kinds.object import Json
from tests.kinds.way import check_change, check_new, kind_of, texts

POD = kind_of(PODS)
CONTAINER: Json = {"name": "c", "image": "busybox:1.36"}


def pod(container: Json | None = None, **spec: Any) -> Json:
    return {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER | (container or {})]} | spec}


def created(container: Json | None = None, **spec: Any) -> Json:
    obj, found = check_new(POD, pod(container, **spec))
    assert texts(found) == []
    return obj


def problems(container: Json | None = None, **spec: Any) -> list[str]:
    return texts(check_new(POD, pod(container, **spec))[1])


# --- defaults


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("registry.example.com:5000/a/b", "Always"),
        ("registry.example.com:5000/a/b:v1", "IfNotPresent"),
        ("nginx@sha256:" + "ab" * 32, "IfNotPresent"),
        ("nginx:latest@sha256:" + "ab" * 32, "Always"),
        ("NOT an image", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_a_bare_pod_is_filled_in() -> None:
    spec = created()["spec"]
    assert spec == {
        "containers": [
            CONTAINER
            | {
                "resources": {},
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }


def test_defaults_deeper_down() -> None:
    obj = created(
        {
            "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"port": 80}},
            "lifecycle": {"preStop": {"httpGet": {"port": "web"}}},
            "env": [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            ],
            "resources": {"limits": {"cpu": "1", "nvidia.com/gpu": 2}},
        },
        hostNetwork=True,
        serviceAccountName="robot",
        volumes=[
            {"name": "a"},
            {"name": "b", "configMap": {"name": "c"}},
            {"name": "d", "hostPath": {"path": "/d"}},
            {"name": "e", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        ],
    )
    (container,) = obj["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert container["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["lifecycle"]["preStop"]["httpGet"]["scheme"] == "HTTP"
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert container["env"][1]["valueFrom"]["resourceFieldRef"]["divisor"] == "0"
    assert container["resources"]["requests"] == {"cpu": "1", "nvidia.com/gpu": "2"}
    assert obj["spec"]["serviceAccount"] == "robot"
    a, b, d, e = obj["spec"]["volumes"]
    assert a["emptyDir"] == {}
    assert b["configMap"]["defaultMode"] == 0o644
    assert d["hostPath"]["type"] == ""
    assert e["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3600


def test_a_gated_pod_says_so_from_the_start() -> None:
    status = created(schedulingGates=[{"name": "example.com/g"}])["status"]
    assert status["conditions"][0]["reason"] == "SchedulingGated"
    assert status["phase"] == "Pending"


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
    ],
)
def test_quality_of_service(resources: list[Json], quality: str) -> None:
    assert qos_class({"containers": [{"resources": each} for each in resources]}) == quality


# --- rules


@pytest.mark.parametrize(
    ("container", "spec", "text"),
    [
        ({"image": ""}, {}, "spec.containers[0].image: Required value"),
        ({"name": ""}, {}, "spec.containers[0].name: Required value"),
        ({"terminationMessagePolicy": "X"}, {}, 'spec.containers[0].terminationMessagePolicy: Unsupported value: "X": supported values: "File", "FallbackToLogsOnError"'),
        ({"imagePullPolicy": "X"}, {}, 'spec.containers[0].imagePullPolicy: Unsupported value: "X": supported values: "Always", "IfNotPresent", "Never"'),
        ({"ports": [{"containerPort": 70000}]}, {}, "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ({"ports": [{}]}, {}, "spec.containers[0].ports[0].containerPort: Required value"),
        ({"ports": [{"containerPort": 1, "protocol": "X"}]}, {}, 'spec.containers[0].ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'),
        ({"ports": [{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]}, {}, 'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//9"'),
        ({"env": [{"name": "A", "valueFrom": {}}]}, {}, 'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`'),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}, {}, 'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.x": error converting fieldPath: field label not supported: spec.x'),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]}, {}, 'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels"'),
        ({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "x"}}}]}, {}, 'spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "x"'),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}, {}, "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"),
        ({"envFrom": [{}]}, {}, "spec.containers[0].envFrom[0]: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}]}, {"volumes": [{"name": "v"}]}, 'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique'),
        ({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "../x"}]}, {"volumes": [{"name": "v"}]}, "must not contain '..'"),
        ({"resources": {"limits": {"cpu": "-1"}}}, {}, 'spec.containers[0].resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'),
        ({"resources": {"limits": {"bogus": "1"}}}, {}, "must be a standard resource type or fully qualified"),
        ({"resources": {"requests": {"x.com/g": "1"}}}, {}, "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"),
        ({"resources": {"requests": {"x.com/g": "1"}, "limits": {"x.com/g": "2"}}}, {}, 'spec.containers[0].resources.requests: Invalid value: "1": must be equal to x.com/g limit of 2'),
        ({"resources": {"claims": [{"name": "g"}]}}, {}, 'spec.containers[0].resources.claims[0].name: Not found: "g"'),
        ({"livenessProbe": {}}, {}, "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
        ({"readinessProbe": {"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 5}}, {}, "must not be set for readinessProbes"),
        ({"livenessProbe": {"tcpSocket": {"port": "Bad_"}}}, {}, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        ({"livenessProbe": {"exec": {"command": ["a"]}, "httpGet": {"port": 1}}}, {}, "spec.containers[0].livenessProbe.httpGet: Forbidden: may not specify more than 1 handler type"),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 99}}}}, {}, "must be non-negative and less than terminationGracePeriodSeconds (30)"),
        ({"securityContext": {"runAsUser": -1}}, {}, "must be between 0 and 2147483647, inclusive"),
        ({}, {"initContainers": [{"name": "c", "image": "i"}]}, 'spec.initContainers[0].name: Duplicate value: "c"'),
        ({}, {"initContainers": [{"name": "i", "image": "i", "livenessProbe": {"tcpSocket": {"port": 1}}}]}, "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"),
        ({}, {"ephemeralContainers": [{"name": "e", "image": "i"}]}, "spec.ephemeralContainers: Forbidden: cannot be set on create"),
        ({}, {"volumes": [{"name": "v"}, {"name": "v"}]}, 'spec.volumes[1].name: Duplicate value: "v"'),
        ({}, {"volumes": [{"emptyDir": {}}]}, "spec.volumes[0].name: Required value"),
        ({}, {"volumes": [{"name": "v", "secret": {}}]}, "spec.volumes[0].secret.secretName: Required value"),
        ({}, {"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "/abs"}]}}]}, "must be a relative path"),
        ({}, {"volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 4096}}]}, "must be a number between 0 and 0777 (octal), both inclusive"),
        ({}, {"volumes": [{"name": "v", "projected": {"sources": [{}]}}]}, "spec.volumes[0].projected.sources[0]: Required value: must specify a volume source"),
        ({}, {"restartPolicy": "X"}, 'spec.restartPolicy: Unsupported value: "X": supported values: "Always", "OnFailure", "Never"'),
        ({}, {"dnsPolicy": "None"}, "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        ({}, {"dnsConfig": {"nameservers": ["x"]}}, "spec.dnsConfig.nameservers[0]: Invalid value: \"x\": must be a valid IP address"),
        ({}, {"nodeSelector": {"bad key!": "x"}}, 'spec.nodeSelector: Invalid value: "bad key!"'),
        ({}, {"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"),
        ({}, {"tolerations": [{"operator": "Equal"}]}, "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty"),
        ({}, {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 3}]}, "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute'"),
        ({}, {"tolerations": [{"key": "a", "operator": "Like"}]}, 'spec.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"'),
        ({}, {"hostAliases": [{"ip": "x"}]}, "spec.hostAliases[0].ip: Invalid value: \"x\": must be a valid IP address"),
        ({}, {"schedulingGates": [{"name": "a"}, {"name": "a"}]}, 'spec.schedulingGates[1]: Duplicate value: "a"'),
        ({}, {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}}, "must have at least one node selector term"),
        ({}, {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}}, "topologyKey: Required value: can not be empty"),
        ({}, {"os": {"name": "plan9"}}, 'spec.os: Unsupported value: "plan9": supported values: "linux", "windows"'),
        ({}, {"overhead": {"cpu": "-1"}}, 'spec.overhead[cpu]: Invalid value: "-1": must be greater than or equal to 0'),
    ],
)  # fmt: skip
def test_rules(container: Json, spec: Json, text: str) -> None:
    found = problems(container, **spec)
    assert any(text in problem for problem in found), found


def test_a_bad_volume_cannot_be_mounted_either() -> None:
    found = problems({"volumeMounts": [{"name": "V", "mountPath": "/a"}]}, volumes=[{"name": "V", "emptyDir": {}}])
    assert any(problem.startswith("spec.volumes[0].name: ") for problem in found)
    assert 'spec.containers[0].volumeMounts[0].name: Not found: "V"' in found


def test_advice() -> None:
    obj = created(
        {"env": [{"name": "A"}, {"name": "A"}], "resources": {"requests": {"memory": "100m"}}},
        topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}],
    )
    assert POD.strategy.warnings(obj) == [
        "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
        'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    ]


# --- changes


def changed(edit: Any, subresource: str = "", **spec: Any) -> list[str]:
    old = created(**spec)
    new = copy.deepcopy(old)
    edit(new)
    return texts(check_change(POD, old, new, subresource)[1])


@pytest.mark.parametrize(
    "edit",
    [
        lambda pod: pod["spec"]["containers"][0].update(image="busybox:2"),
        lambda pod: pod["spec"].update(activeDeadlineSeconds=5),
        lambda pod: pod["spec"].update(tolerations=[{"key": "new", "operator": "Exists"}]),
        lambda pod: pod["metadata"].update(labels={"a": "b"}),
    ],
)
def test_what_may_change(edit: Any) -> None:
    assert changed(edit) == []


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda pod: pod["spec"].update(nodeSelector={"a": "b"}), "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"),
        (lambda pod: pod["spec"].update(restartPolicy="Never"), "spec: Forbidden: pod updates may not change"),
        (lambda pod: pod["spec"]["containers"][0].update(name="d"), "spec: Forbidden: pod updates may not change"),
        (lambda pod: pod["spec"]["containers"].append({"name": "d", "image": "i"}), "spec.containers: Forbidden: pod updates may not add or remove containers"),
        (lambda pod: pod["spec"].update(schedulingGates=[{"name": "g"}]), "spec.schedulingGates: Forbidden: only deletion is allowed"),
        (lambda pod: pod["spec"]["containers"][0].update(image=" x"), "must not have leading or trailing whitespace"),
    ],
)  # fmt: skip
def test_what_may_not_change(edit: Any, text: str) -> None:
    assert any(problem.startswith(text) or text in problem for problem in changed(edit))


def test_deadlines_only_shrink_and_tolerations_only_grow() -> None:
    def deadline(seconds: int | None) -> list[str]:
        return changed(lambda pod: pod["spec"].update(activeDeadlineSeconds=seconds), activeDeadlineSeconds=10)

    assert deadline(5) == []
    assert deadline(20) == [
        "spec.activeDeadlineSeconds: Invalid value: 20: must be less than or equal to previous value"
    ]
    assert deadline(None) == [
        "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
    ]
    lost = changed(lambda pod: pod["spec"].pop("tolerations"), tolerations=[{"key": "a", "operator": "Exists"}])
    assert lost == ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]


def test_a_gated_pod_may_be_narrowed() -> None:
    gates = [{"name": "g"}]
    assert changed(lambda pod: pod["spec"].update(nodeSelector={"a": "b"}), schedulingGates=gates) == []
    widened = changed(lambda pod: pod["spec"].pop("nodeSelector"), schedulingGates=gates, nodeSelector={"a": "b"})
    assert widened == [
        "spec.nodeSelector: Invalid value: null: only additions to spec.nodeSelector are allowed (no mutations or deletions)"
    ]

    def terms(*keys: str) -> Json:
        expressions = [{"key": key, "operator": "Exists"} for key in keys]
        term = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}

    assert changed(lambda pod: pod["spec"].update(affinity=terms("a")), schedulingGates=gates) == []
    grown = changed(
        lambda pod: pod["spec"].update(affinity=terms("a", "b")), schedulingGates=gates, affinity=terms("a")
    )
    assert grown == []
    dropped = changed(lambda pod: pod["spec"].update(affinity=terms("b")), schedulingGates=gates, affinity=terms("a"))
    assert len(dropped) == 1
    assert "only additions are allowed" in dropped[0]


def test_gates_are_removed_one_by_one() -> None:
    gates = [{"name": "a"}, {"name": "b"}]
    assert changed(lambda pod: pod["spec"].update(schedulingGates=[{"name": "b"}]), schedulingGates=gates) == []


def test_the_status_endpoint_leaves_the_spec_alone_and_ended_containers_ended() -> None:
    old = created(restartPolicy="Never")
    old["status"]["containerStatuses"] = [
        {
            "name": "c",
            "image": "i",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": {"exitCode": 0}},
        }
    ]
    new = copy.deepcopy(old)
    new["spec"]["nodeName"] = "elsewhere"
    new["status"]["containerStatuses"][0]["state"] = {"running": {}}
    obj, found = check_change(POD, old, new, "status")
    assert obj["spec"] == old["spec"]
    assert texts(found) == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]


def test_one_address_and_the_list_of_addresses_agree() -> None:
    old = created()
    new = copy.deepcopy(old)
    new["status"]["podIP"] = "127.64.0.1"
    obj, _ = check_change(POD, old, new, "status")
    assert obj["status"]["podIPs"] == [{"ip": "127.64.0.1"}]


def test_the_fields_that_selectors_see() -> None:
    obj = created(nodeName="n1", hostNetwork=True)
    obj["status"] |= {"podIP": "127.64.0.1", "podIPs": [{"ip": "127.64.0.1"}]}
    assert POD.strategy.fields(obj) == {
        "spec.nodeName": "n1",
        "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler",
        "spec.serviceAccountName": "",
        "spec.hostNetwork": "true",
        "status.phase": "Pending",
        "status.podIP": "127.64.0.1",
        "status.podIPs": "",
        "status.nominatedNodeName": "",
    }


# --- tables

NOW = 1767225600 + 3600.0


def cells(**status: Any) -> list[Any]:
    return POD.strategy.cells(created() | {"status": {"phase": "Running"} | status}, NOW)


def state(**kind: Any) -> Json:
    return {"name": "c", "ready": False, "restartCount": 0, "state": kind}


@pytest.mark.parametrize(
    ("status", "ready", "word"),
    [
        ({"phase": "Pending"}, "0/1", "Pending"),
        ({"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted"),
        ({"conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}, "0/1", "SchedulingGated"),
        ({"containerStatuses": [state(waiting={"reason": "ContainerCreating"})]}, "0/1", "ContainerCreating"),
        ({"containerStatuses": [state(terminated={"exitCode": 137, "reason": "OOMKilled"})]}, "0/1", "OOMKilled"),
        ({"containerStatuses": [state(terminated={"exitCode": 3})]}, "0/1", "ExitCode:3"),
        ({"containerStatuses": [state(terminated={"exitCode": 137, "signal": 9})]}, "0/1", "Signal:9"),
        ({"containerStatuses": [state(running={}) | {"ready": True}]}, "1/1", "Running"),
    ],
)
def test_one_word_for_a_pods_state(status: Json, ready: str, word: str) -> None:
    assert cells(**status)[1:3] == [ready, word]


@pytest.mark.parametrize(
    ("init", "word"),
    [
        ([state(running={})], "Init:0/2"),
        ([state(terminated={"exitCode": 0}), state(waiting={"reason": "PodInitializing"})], "Init:1/2"),
        ([state(terminated={"exitCode": 1, "reason": "Error"})], "Init:Error"),
        ([state(terminated={"exitCode": 2})], "Init:ExitCode:2"),
        ([state(waiting={"reason": "CrashLoopBackOff"})], "Init:CrashLoopBackOff"),
    ],
)
def test_init_containers_come_first(init: list[Json], word: str) -> None:
    obj = created(initContainers=[{"name": "a", "image": "i:1"}, {"name": "b", "image": "i:1"}])
    obj["status"] = {"phase": "Pending", "initContainerStatuses": init}
    assert POD.strategy.cells(obj, NOW)[2] == word


def test_restarts_say_when_the_last_one_was() -> None:
    entry = state(running={}) | {
        "restartCount": 5,
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:30:00Z"}},
    }
    assert cells(containerStatuses=[entry])[3] == "5 (30m ago)"
    assert cells(containerStatuses=[state(running={})])[3] == "0"


def test_a_deleted_pod_is_terminating_until_it_has_ended() -> None:
    obj = created()
    obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    obj["status"]["phase"] = "Running"
    assert POD.strategy.cells(obj, NOW)[2] == "Terminating"
    obj["status"]["phase"] = "Succeeded"
    assert POD.strategy.cells(obj, NOW)[2] == "Succeeded"
    assert POD.strategy.row_conditions(obj)[0]["reason"] == "Succeeded"
    assert POD.strategy.row_conditions(created()) == []
