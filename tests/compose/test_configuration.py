"""What a configuration file means for deciding, for workloads and for the operator; and that no field of it is passed
over in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from roadstead.cli.operator import command as operator_command
from roadstead.compose import configuration
from roadstead.compose.configuration import PLAINLY, Configured, configured, load
from roadstead.compose.manifests import ManifestOptions, manifests
from roadstead.compose.operator import RULES, OperatorOptions, controllers
from roadstead.compose.running import Refused
from roadstead.controllers.admission import PLACE_ALL
from roadstead.controllers.workload import AfterlifeController, WorkloadController
from roadstead.controllers.workload.policy import NO_POLICY
from roadstead.core.rules import AdmissionFairSharing, WaitForPodsReady
from roadstead.expr.selectors import matches_selector
from roadstead.kinds.configuration import read
from roadstead.kinds.configuration.reading import _fields, _without_none
from roadstead.kinds.configuration.rules import _UNSUPPORTED
from roadstead.kinds.configuration.shape import Configuration
from roadstead.kinds.names import NAMESPACES
from roadstead.kinds.times import SECOND
from roadstead.model.resources import Output, ResourceRules, Transformation
from roadstead.runtime.leader import Terms

HAS_EFFECT = {
    "apiVersion",
    "kind",
    "namespace",
    "leaderElection.leaderElect",
    "leaderElection.leaseDuration",
    "leaderElection.renewDeadline",
    "leaderElection.retryPeriod",
    "manageJobsWithoutQueueName",
    "managedJobsNamespaceSelector",
    "waitForPodsReady",
    "integrations.frameworks",
    "integrations.labelKeysToCopy",
    "fairSharing",
    "admissionFairSharing",
    "resources.quotaCheckStrategy",
    "resources.excludeResourcePrefixes",
    "resources.transformations",
    "resources.deviceClassMappings",
    "featureGates",
    "objectRetentionPolicies",
    "roadstead.preemption.turns",
}


def meaning(**fields: Any) -> Configured:
    return configured(read(text(**fields)))


def text(**fields: Any) -> str:
    return yaml.safe_dump({"apiVersion": "config.kueue.x-k8s.io/v1beta2", "kind": "Configuration", **fields})


def leaves(kind: Any, path: str = "") -> Iterator[str]:
    kind = _without_none(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for name, inner in _fields(kind).items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif get_origin(kind) is tuple and path == "nowhere":
        yield from leaves(get_args(kind)[0], path)
    else:
        yield path


def test_no_field_is_passed_over_in_silence() -> None:
    answered = HAS_EFFECT | set(configuration._IN_VAIN) | set(_UNSUPPORTED)
    for path in leaves(Configuration):
        steps = path.split(".")
        assert any(".".join(steps[: count + 1]) in answered for count in range(len(steps))), f"{path} is passed over"


def test_no_file_and_an_empty_one_change_nothing() -> None:
    for found in (PLAINLY, meaning()):
        assert found.rules(PLACE_ALL) == PLACE_ALL
        assert found.rules(RULES) == RULES
        assert found.in_vain == ()
        assert (found.policy.pods_ready, found.policy.manage_all, found.policy.labels_to_copy) == (None, False, ())
        assert (found.policy.delete_finished, found.policy.delete_deactivated) == (None, None)
    assert PLAINLY.policy == NO_POLICY


def test_waiting_for_pods() -> None:
    plain = meaning(waitForPodsReady={}).rules(PLACE_ALL).pods_ready
    assert plain == WaitForPodsReady()
    strategy = {"timestamp": "Creation", "backoffLimitCount": 3, "backoffBaseSeconds": 10, "backoffMaxSeconds": 50}
    stanza = {"timeout": "5m", "recoveryTimeout": "0s", "blockAdmission": True, "requeuingStrategy": strategy}
    found = meaning(waitForPodsReady=stanza)
    expected = WaitForPodsReady(300 * SECOND, 0, True, 3, 10 * SECOND, 50 * SECOND, True)
    assert found.rules(PLACE_ALL).pods_ready == found.policy.pods_ready == expected
    shared = meaning(waitForPodsReady={"timeout": "7m"}).policy.pods_ready
    assert shared is not None
    assert shared.recovery_timeout == 420 * SECOND, "as the timeout, unless said otherwise"
    assert meaning(waitForPodsReady={}, featureGates={"DisableWaitForPodsReady": True}).policy.pods_ready is None


def test_sharing() -> None:
    found = meaning(fairSharing={"preemptionStrategies": ["LessThanInitialShare"]})
    assert found.rules(PLACE_ALL).fair_sharing == ("LessThanInitialShare",)
    stanza = {
        "usageHalfLifeTime": "10m",
        "usageSamplingInterval": "1m",
        "resourceWeights": {"cpu": 0.5, "nvidia.com/gpu": 2},
    }
    expected = AdmissionFairSharing(600 * SECOND, 60 * SECOND, (("cpu", 500), ("nvidia.com/gpu", 2000)))
    assert meaning(admissionFairSharing=stanza).rules(PLACE_ALL).admission_sharing == expected
    assert meaning(admissionFairSharing={}).rules(PLACE_ALL).admission_sharing == AdmissionFairSharing(0, 300 * SECOND)


@pytest.mark.parametrize("turns", [0, 1, 7])
def test_how_often_workloads_may_displace_one_another(turns: int) -> None:
    assert meaning(roadstead={"preemption": {"turns": turns}}).rules(PLACE_ALL).feud_turns == turns


def test_priority_boost() -> None:
    assert meaning(featureGates={"PriorityBoost": True}).rules(PLACE_ALL).priority_boost
    assert not meaning().rules(PLACE_ALL).priority_boost


def test_resources() -> None:
    transformation = {
        "input": "mig",
        "strategy": "Replace",
        "multiplyBy": "gpu",
        "outputs": {"memory": "5Gi", "credits": "-500m"},
    }
    found = meaning(resources={"excludeResourcePrefixes": ["example.com/"], "transformations": [transformation]})
    outputs = (Output("credits", -500_000_000), Output("memory", 5 * 2**30 * 10**9))
    expected = ResourceRules(("example.com/",), (Transformation("mig", outputs, True, "gpu"),))
    assert found.rules(PLACE_ALL).resources == expected
    mapping = {"name": "example.com/gpu", "deviceClassNames": ["big", "small"]}
    classes = meaning(resources={"deviceClassMappings": [mapping]}).rules(PLACE_ALL).resources.device_classes
    assert classes == (("big", "example.com/gpu"), ("small", "example.com/gpu"))
    assert meaning(resources={"quotaCheckStrategy": "IgnoreUndeclared"}).rules(PLACE_ALL).resources.ignore_undeclared


def test_workloads() -> None:
    found = meaning(
        objectRetentionPolicies={"workloads": {"afterFinished": "0s", "afterDeactivatedByKueue": "1h"}},
        integrations={"labelKeysToCopy": ["team"]},
        manageJobsWithoutQueueName=True,
        namespace="queues",
    ).policy
    assert (found.delete_finished, found.delete_deactivated) == (0, 3600 * SECOND)
    assert (found.labels_to_copy, found.manage_all) == (("team",), True)

    def manages(name: str) -> bool:
        return matches_selector(found.namespaces, {"kubernetes.io/metadata.name": name})

    assert [manages(name) for name in ("default", "kube-system", "queues")] == [True, False, False]


def test_times_of_the_lease() -> None:
    stanza = {"leaseDuration": "30s", "retryPeriod": "500ms"}
    assert meaning(leaderElection=stanza).lease_times() == (30 * SECOND, None, SECOND // 2)
    assert meaning().lease_times() == (None, None, None)


def test_what_has_no_effect_is_said() -> None:
    found = meaning(
        webhook={"port": 9443},
        leaderElection={"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
        integrations={"frameworks": ["batch/job", "pod"]},
        featureGates={"TASCacheTopologyTree": False, "PartialAdmission": True},
    )
    assert [sentence.partition(" has no effect: ")[0] for sentence in found.in_vain] == [
        "webhook", "leaderElection.resourceName", "integrations.frameworks[1]", "featureGates.TASCacheTopologyTree",
    ]  # fmt: skip


def test_files(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text(text(tls={"minVersion": "x"}, wait=1))
    with pytest.raises(Refused, match=r"has 2 problems:\n  wait: unknown field.*\n  tls: not supported"):
        load(tmp_path / "bad.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refused, match="it is no text"):
        load(tmp_path / "bytes.yaml")
    (tmp_path / "good.yaml").write_text(text(manageJobsWithoutQueueName=True))
    assert load(tmp_path / "good.yaml").policy.manage_all


def test_manifests_give_operators_the_file_and_the_rights_that_it_needs() -> None:
    plain = {item["kind"]: item for item in manifests(ManifestOptions())}
    source = text(objectRetentionPolicies={"workloads": {"afterDeactivatedByKueue": "1h"}})
    found = {item["kind"]: item for item in manifests(ManifestOptions(configuration=source))}
    assert "ConfigMap" not in plain
    assert found["ConfigMap"]["data"] == {"config.yaml": source}
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert "--config=/etc/roadstead/config.yaml" in container["args"]
    assert container["volumeMounts"][0]["name"] == found["Deployment"]["spec"]["template"]["spec"]["volumes"][0]["name"]

    def deletes_jobs(objects: dict[str, Any]) -> bool:
        rules = objects["ClusterRole"]["rules"]
        return any("jobs" in rule["resources"] and "delete" in rule["verbs"] for rule in rules)

    assert (deletes_jobs(plain), deletes_jobs(found)) == (False, True)


def test_what_the_command_line_says_counts_more_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[OperatorOptions] = []
    monkeypatch.setattr("roadstead.compose.operator.operate", started.append)
    file = tmp_path / "c.yaml"
    lease = {"leaseDuration": "40s", "renewDeadline": "20s", "retryPeriod": "4s"}
    file.write_text(text(namespace="queues", leaderElection=lease, waitForPodsReady={}))
    for words in ([], ["--namespace", "here", "--retry-period", "1"]):
        done = CliRunner().invoke(operator_command, ["--config", str(file), *words])
        assert done.exit_code == 0, done.output
    plain, told = started
    assert (plain.namespace, plain.terms) == ("queues", Terms(40 * SECOND, 20 * SECOND, 4 * SECOND))
    assert (told.namespace, told.terms) == ("here", Terms(40 * SECOND, 20 * SECOND, SECOND))
    assert plain.configured.rules(RULES).pods_ready == WaitForPodsReady()


def test_what_is_configured_is_watched_for() -> None:
    policy = meaning(manageJobsWithoutQueueName=True, waitForPodsReady={"timeout": "1m"}).policy
    made = {type(controller): controller for controller in controllers(policy)}
    workload, afterlife = made[WorkloadController], made[AfterlifeController]
    assert isinstance(workload, WorkloadController)
    assert isinstance(afterlife, AfterlifeController)
    assert workload._policy is afterlife._policy is policy
    assert NAMESPACES in workload.watches
