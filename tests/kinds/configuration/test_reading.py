"""Configuration files: what is read, and what is said about those that cannot be used."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from roadstead.kinds.configuration import gates, read
from roadstead.kinds.configuration.reading import Wrong
from roadstead.kinds.durations import parse_duration
from roadstead.kinds.times import SECOND


def text(version: str = "v1beta2", **fields: Any) -> str:
    return yaml.safe_dump({"apiVersion": f"config.kueue.x-k8s.io/{version}", "kind": "Configuration", **fields})


def wrong(source: str) -> list[tuple[str, str]]:
    """(path, message) of everything that is wrong."""
    with pytest.raises(Wrong) as caught:
        read(source)
    return [(problem.path, problem.message) for problem in caught.value.problems]


SHIPPED = """
apiVersion: config.kueue.x-k8s.io/v1beta2
kind: Configuration
health:
  healthProbeBindAddress: :8081
metrics:
  bindAddress: :8443
# enableClusterQueueResources: true
webhook:
  port: 9443
leaderElection:
  leaderElect: true
  resourceName: c1f6bfd2.kueue.x-k8s.io
controller:
  groupKindConcurrency:
    Job.batch: 5
    Pod: 5
    Workload.kueue.x-k8s.io: 5
clientConnection:
  qps: 50
  burst: 100
integrations:
  frameworks:
  - "batch/job"
  - "kubeflow.org/mpijob"
  - "pod"
"""


def test_the_file_that_kueue_ships_is_read() -> None:
    found = read(SHIPPED)
    assert found.integrations is not None
    assert found.integrations.frameworks == ("batch/job", "kubeflow.org/mpijob", "pod")
    assert found.client_connection is not None
    assert (found.client_connection.qps, found.client_connection.burst) == (50, 100)


def test_an_empty_configuration_and_nulls_say_nothing() -> None:
    assert read(text()) == read(text(waitForPodsReady=None, fairSharing=None))
    assert read(text()).wait_for_pods_ready is None


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"waitForPodReady": {}}, "waitForPodReady", "unknown field (did you mean waitForPodsReady?)"),
    ({"waitForPodsReady": {"timout": "5m"}}, "waitForPodsReady.timout", "here may be: timeout, recoveryTimeout, blockAdmission, requeuingStrategy"),
    ({"resources": {"transformations": [{"input": "mig", "inputs": "x"}]}}, "resources.transformations[0].inputs", "did you mean input?"),
    ({"featureGates": {"PartialAdmision": True}}, "featureGates.PartialAdmision", "gate; the nearest that there are: PartialAdmission, ConcurrentAdmission, AdmissionGatedBy (see docs/conf"),
    ({"featureGates": {"MultiKueue": True}}, "featureGates.MultiKueue", "cannot be switched on: this is not supported"),
    ({"featureGates": {"PartialAdmission": False}}, "featureGates.PartialAdmission", "cannot be switched off"),
    ({"featureGates": {"FlavorFungibility": "yes"}}, "featureGates[...]", "expected true or false, got text"),
    ({"manageJobsWithoutQueueName": "maybe"}, "manageJobsWithoutQueueName", "expected true or false, got text"),
    ({"waitForPodsReady": {"timeout": "soon"}}, "waitForPodsReady.timeout", '"soon" is no duration'),
    ({"waitForPodsReady": {"timeout": "-5m"}}, "waitForPodsReady.timeout", "must be at least 0s"),
    ({"waitForPodsReady": {"requeuingStrategy": {"timestamp": "Never"}}}, "waitForPodsReady.requeuingStrategy.timestamp", "must be Eviction or Creation"),
    ({"waitForPodsReady": {"requeuingStrategy": {"backoffLimitCount": -1}}}, "waitForPodsReady.requeuingStrategy.backoffLimitCount", "-1 is negative"),
    ({"waitForPodsReady": {"requeuingStrategy": {"backoffBaseSeconds": -1}}}, "waitForPodsReady.requeuingStrategy.backoffBaseSeconds", "-1 is negative"),
    ({"waitForPodsReady": {"requeuingStrategy": {"backoffMaxSeconds": "1m"}}}, "waitForPodsReady.requeuingStrategy.backoffMaxSeconds", "expected a number, got text"),
    ({"integrations": {"frameworks": ["batch/job", "batch/cronjob"]}}, "integrations.frameworks[1]", "'batch/cronjob' is unknown"),
    ({"integrations": {"frameworks": ["batch/job", "batch/job"]}}, "integrations.frameworks", "is there 2 times"),
    ({"integrations": {"frameworks": ["pod"]}}, "integrations.frameworks", "batch/job is the only kind that is queued here"),
    ({"integrations": {"labelKeysToCopy": ["a b"]}}, "integrations.labelKeysToCopy[0]", "'a b' is no label key"),
    ({"integrations": {"externalFrameworks": ["Foo.v1.x.io"]}}, "integrations.externalFrameworks", "not supported"),
    ({"fairSharing": {}}, "fairSharing.preemptionStrategies", "must be [LessThanOrEqualToFinalShare] or"),
    ({"fairSharing": {"preemptionStrategies": ["LessThanInitialShare", "LessThanOrEqualToFinalShare"]}}, "fairSharing.preemptionStrategies", "must be"),
    ({"admissionFairSharing": {"resourceWeights": {"cpu": -1}}}, "admissionFairSharing.resourceWeights[cpu]", "-1 is negative"),
    ({"admissionFairSharing": {"usageSamplingInterval": "0s"}}, "admissionFairSharing.usageSamplingInterval", "must be more than 0s"),
    ({"resources": {"quotaCheckStrategy": "Ignore"}}, "resources.quotaCheckStrategy", "must be BlockUndeclared or IgnoreUndeclared"),
    ({"resources": {"quotaCheckStrategy": "IgnoreUndeclared", "excludeResourcePrefixes": ["x/"]}}, "resources.excludeResourcePrefixes", "cannot be set together"),
    ({"resources": {"transformations": [{"input": "a"}, {"input": "a"}]}}, "resources.transformations", "input 'a' is there 2 times"),
    ({"resources": {"transformations": [{"input": "a", "strategy": "Drop"}]}}, "resources.transformations[0].strategy", "must be Retain or Replace"),
    ({"resources": {"transformations": [{"input": "a", "outputs": {"b": "lots"}}]}}, "resources.transformations[0].outputs[b]", "is no quantity"),
    ({"resources": {"deviceClassMappings": [{"name": "x"}]}}, "resources.deviceClassMappings[0].deviceClassNames", "1 to 8"),
    (
        {"resources": {"deviceClassMappings": [{"name": "x", "deviceClassNames": ["a"], "sources": [{"counter": {}}]}]}},
        "resources.deviceClassMappings[0].sources",
        "not supported",
    ),
    (
        {"resources": {"deviceClassMappings": [{"name": n, "deviceClassNames": ["a"]} for n in ("one", "two")]}},
        "resources.deviceClassMappings",
        "'a' is in 2 places",
    ),
    ({"roadstead": {"preemption": {"turns": -1}}}, "roadstead.preemption.turns", "-1 is negative"),
    ({"roadstead": {"preemption": {"turn": 1}}}, "roadstead.preemption.turn", "did you mean turns?"),
    ({"multiKueue": {"origin": "here"}}, "multiKueue", "MultiKueue is not supported"),
    ({"tls": {"minVersion": "VersionTLS13"}}, "tls", "not supported"),
    ({"metrics": {"customLabels": [{"name": "team"}]}}, "metrics.customLabels", "not supported"),
    ({"leaderElection": {"leaderElect": False}}, "leaderElection.leaderElect", "cannot be false"),
    ({"objectRetentionPolicies": {"workloads": {"afterFinished": "1d"}}}, "objectRetentionPolicies.workloads.afterFinished", '"1d" is no duration'),
    ({"managedJobsNamespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}, "managedJobsNamespaceSelector.matchExpressions[0].operator", "'Near' is unknown"),
    ({"managedJobsNamespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "managedJobsNamespaceSelector.matchExpressions[0].values", "must be set with operator In"),
    ({"managedJobsNamespaceSelector": {}}, "managedJobsNamespaceSelector", "must not match namespace kube-system"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "path", "says"), WRONG, ids=[f"{path}-{at}" for at, (_, path, _) in enumerate(WRONG)]
)
def test_what_is_wrong_is_said_with_its_path(fields: dict[str, Any], path: str, says: str) -> None:
    found = wrong(text(**fields))
    assert [each for each, _ in found] == [path]
    assert says in found[0][1]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = wrong(
        text(waitForPodsReady={"timeout": "soon", "wait": 1}, featureGates={"Foo": True}, tls={"minVersion": "x"})
    )
    assert {path for path, _ in found} == {
        "waitForPodsReady.wait", "featureGates.Foo", "tls", "waitForPodsReady.timeout"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "path", "says"),
    [
        ("", "", "holds nothing"),
        ("- a", "", "holds no mapping"),
        ("a: 1\n---\nb: 2", "", "holds 2 documents"),
        ("a: [", "", "it is no YAML"),
        ("kind: Configuration", "apiVersion", "is missing"),
        ("apiVersion: config.kueue.x-k8s.io/v1beta2", "kind", "is missing"),
        ("apiVersion: config.kueue.x-k8s.io/v1\nkind: Configuration", "apiVersion", "not 'config.kueue.x-k8s.io/v1'"),
        ("apiVersion: config.kueue.x-k8s.io/v1beta2\nkind: Job", "kind", "not 'Job'"),
    ],
)
def test_what_is_no_configuration_at_all(source: str, path: str, says: str) -> None:
    found = wrong(source)
    assert found[0][0] == path
    assert says in found[0][1]


def test_the_older_version_means_what_it_meant() -> None:
    """Waiting and fair sharing had a switch of their own there, and blockAdmission came with it (kueue.md 1.12)."""
    on = read(text("v1beta1", waitForPodsReady={"enable": True}, fairSharing={"enable": True}, queueVisibility={}))
    assert on.wait_for_pods_ready is not None
    assert (on.wait_for_pods_ready.timeout, on.wait_for_pods_ready.block_admission) == ("5m", True)
    assert on.fair_sharing is not None
    assert on.fair_sharing.preemption_strategies == ("LessThanOrEqualToFinalShare", "LessThanInitialShare")
    off = read(text("v1beta1", waitForPodsReady={"timeout": "1m"}, fairSharing={"enable": False}))
    assert (off.wait_for_pods_ready, off.fair_sharing) == (None, None)
    assert wrong(text("v1beta2", waitForPodsReady={"enable": True}))[0][0] == "waitForPodsReady.enable"


def test_a_gate_cannot_be_on_without_what_it_rests_on() -> None:
    found = dict(wrong(text(featureGates={"TopologyAwareScheduling": False, "TASProfileMixed": True})))
    assert "TopologyAwareScheduling, which it rests on, is off" in found["featureGates.TASProfileMixed"]


def test_every_gate_is_in_one_place_and_can_be_said_as_it_is() -> None:
    groups = [gates.ON, gates.OFF, gates.INSIDE, frozenset(gates.SWITCHES)]
    assert sum(map(len, groups)) == len(gates.known())
    as_it_is = {**dict.fromkeys(gates.ON, True), **dict.fromkeys(gates.OFF, False), **gates.SWITCHES}
    assert read(text(featureGates=as_it_is)).feature_gates == as_it_is


@pytest.mark.parametrize(
    ("written", "amount"),
    [("0", 0), ("0s", 0), ("90s", 90 * SECOND), ("1h30m", 5400 * SECOND), ("1.5s", 1_500_000_000), ("100ms", 100_000_000),
     ("-5m", -300 * SECOND), ("+1s", SECOND), (".5s", SECOND // 2), ("1µs", 1000), ("2us3ns", 2003), ("1.s", SECOND)],
)  # fmt: skip
def test_durations(written: str, amount: int) -> None:
    assert parse_duration(written) == amount


@pytest.mark.parametrize("written", ["", "5", "1d", "s", "1h 30m", "--1s", "1e3s", "99999999999h", "5m5", "-"])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(written)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                    max_leaves=12),
       st.sampled_from(["waitForPodsReady", "resources", "integrations", "featureGates", "metrics", "fairSharing", "x"]))  # fmt: skip
def test_whatever_a_file_holds_it_is_read_or_answered(value: Any, field: str) -> None:
    with contextlib.suppress(Wrong):
        read(text(**{field: value}))
