"""Users, faults and lag by chance: devices are never given twice, and in the end everybody has run and everything is
free."""

from __future__ import annotations

import random
from typing import Any

import pytest

from roadstead.kinds.names import DEVICE_TAINT_RULES, JOBS, PODS, RESOURCE_CLAIMS
from roadstead.kinds.object import Json
from roadstead.testing.controllers import Fault
from tests.controllers.claims.kit import from_template, shared
from tests.controllers.claims.test_jobs import HIGH, LOW, DeviceLab, claiming

SECONDS = 40
FAULTS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CONFLICT, Fault.LOST_ANSWER, Fault.LOST_REQUEST)


class Story:
    """What chance makes of one seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        chance = self.chance
        self.lab = DeviceLab(lag=chance.choice((0, 0, 1, 4)), seed=seed)
        self.nodes, self.devices = chance.randint(1, 3), chance.randint(2, 4)
        self.lab.equip(nodes=self.nodes, devices=self.devices, cpu=str(chance.randint(3, 12)))
        writes = self.lab.writes
        self.lab.faults = {writes + chance.randrange(400): chance.choice(FAULTS) for _ in range(chance.randrange(12))}
        self.number = 0

    def run(self) -> None:
        for _ in range(SECONDS):
            if self.chance.random() < 0.3:
                self.chance.choice((self.job, self.job, self.job, self.pod, self.taint, self.forgive, self.cancel))()
            self.lab.advance(1)
            self.lab.check_claims()
        self.lab.faults = {}
        for rule in self.lab.all(DEVICE_TAINT_RULES):
            self.lab.delete(DEVICE_TAINT_RULES, rule["metadata"]["name"])
        for _ in range(40):
            self.lab.advance(10)
            self.lab.check_claims()

    def _name(self, word: str) -> str:
        self.number += 1
        return f"{word}-{self.number}"

    def _claims(self, size: int) -> list[Json]:
        """For so many pods, that find room once nobody else is there."""
        while True:
            first, count = self.chance.choice((("one", 1), ("one", 1), ("two", 2)))
            found: list[Json] = [from_template(first)]
            if self.chance.random() < 0.2:
                found.append(from_template("one", "more"))
                count += 1
            if self.chance.random() < 0.2:
                return [shared("ours")]
            if self.devices // count * self.nodes >= size:
                return found

    def job(self) -> None:
        size = self.chance.choice((1, 1, 2, 3))
        options: dict[str, Any] = {"parallelism": size, "completions": size, "backoffLimit": 50}
        if self.chance.random() < 0.5:
            options["completionMode"] = "Indexed"
        labels = self.chance.choice((LOW, {}, HIGH))
        seconds = self.chance.randint(1, 12)
        self.lab.create(
            JOBS, claiming(self._name("job"), *self._claims(size), seconds=seconds, labels=labels, **options)
        )

    def pod(self) -> None:
        value = claiming("x", *self._claims(1), seconds=self.chance.randint(1, 12))["spec"]["template"]
        metadata = {"name": self._name("pod"), "annotations": value["metadata"]["annotations"]}
        self.lab.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": value["spec"]})

    def taint(self) -> None:
        device, effect = f"gpu-{self.chance.randrange(4)}", self.chance.choice(("NoExecute", "NoExecute", "NoSchedule"))
        selector = {"device": device, "pool": f"node-{self.chance.randrange(3)}"}
        taint = {"key": "example.com/broken", "effect": effect}
        self.lab.make(
            DEVICE_TAINT_RULES, "DeviceTaintRule", self._name("rule"), {"deviceSelector": selector, "taint": taint}
        )

    def forgive(self) -> None:
        rules = self.lab.all(DEVICE_TAINT_RULES)
        if rules:
            self.lab.delete(DEVICE_TAINT_RULES, self.chance.choice(rules)["metadata"]["name"])

    def cancel(self) -> None:
        found = [(JOBS, job) for job in self.lab.all(JOBS)] + [(PODS, pod) for pod in self.lab.all(PODS)]
        if found:
            resource, victim = self.chance.choice(found)
            self.lab.delete(resource, victim["metadata"]["name"])


def check_end(lab: DeviceLab) -> None:
    assert {job["metadata"]["name"]: lab.job_state(job["metadata"]["name"]) for job in lab.all(JOBS)} == {
        job["metadata"]["name"]: "Complete" for job in lab.all(JOBS)
    }
    assert {pod["metadata"]["name"]: pod["status"]["phase"] for pod in lab.all(PODS)} == {
        pod["metadata"]["name"]: "Succeeded" for pod in lab.all(PODS)
    }
    assert [claim["metadata"]["name"] for claim in lab.all(RESOURCE_CLAIMS)] == ["ours"]
    lab.check_free()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens(seed: int) -> None:
    story = Story(seed)
    with story.lab:
        story.run()
        check_end(story.lab)
