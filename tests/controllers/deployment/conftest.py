"""The laboratory with Deployments and ReplicaSets, and pods that a test makes ready by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from roadstead.controllers.deployment import DeploymentController
from roadstead.controllers.replicaset import ReplicaSetController
from roadstead.kinds.names import DEPLOYMENTS, PODS, REPLICA_SETS
from roadstead.kinds.object import Json
from roadstead.kinds.times import format_time
from roadstead.testing.controllers import Lab


class Rollouts:
    """A laboratory, and what a test asks of it again and again."""

    def __init__(self, **options: Any) -> None:
        self.lab = Lab(lambda: [DeploymentController(), ReplicaSetController()], **options)
        self.most = 0
        self.least_available = 10**6

    def deploy(self, image: str = "i:1", *, name: str = "web", **spec: Any) -> None:
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}
        whole: Json = {"selector": {"matchLabels": {"app": name}}, "template": template} | spec
        self.lab.create(DEPLOYMENTS, {"metadata": {"name": name}, "spec": whole})
        self.lab.settle()

    def set_image(self, image: str, name: str = "web") -> None:
        def change(value: Json) -> None:
            value["spec"]["template"]["spec"]["containers"][0]["image"] = image

        self.lab.edit(DEPLOYMENTS, name, change)
        self.lab.settle()

    def set_spec(self, name: str = "web", **spec: Any) -> None:
        self.lab.edit(DEPLOYMENTS, name, lambda value: value["spec"].update(spec))
        self.lab.settle()

    def pods(self) -> list[Json]:
        return [pod for pod in self.lab.all(PODS) if not pod["metadata"].get("deletionTimestamp")]

    def images(self) -> list[str]:
        return sorted(pod["spec"]["containers"][0]["image"] for pod in self.pods())

    def ready(self, pod: Json) -> None:
        now = format_time(self.lab.now)
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        self.lab.edit_status(PODS, pod["metadata"]["name"], phase="Running", conditions=[condition])

    def run_new_pods(self) -> bool:
        """Everything that can go or run does; False if nothing was left to do."""
        moved = False
        for listed in self.lab.all(PODS):
            name = listed["metadata"]["name"]
            if self.lab.get(PODS, name) is None:
                continue
            pod = self.lab.the(PODS, name)
            if pod["metadata"].get("deletionTimestamp"):
                self.lab.delete(PODS, name, grace=0)
                moved = True
            elif not pod["status"].get("conditions"):
                self.ready(pod)
                moved = True
            self.lab.settle()
            self.look()
        return moved

    def look(self) -> None:
        pods = self.pods()
        self.most = max(self.most, len(pods))
        self.least_available = min(self.least_available, sum(bool(pod["status"].get("conditions")) for pod in pods))

    def finish(self) -> None:
        self.lab.settle()
        for _ in range(50):
            if not self.run_new_pods():
                return
        raise AssertionError("the rollout does not come to an end")

    def sets(self) -> dict[str, int]:
        """Sizes of the ReplicaSets, by the image of their template."""
        return {
            each["spec"]["template"]["spec"]["containers"][0]["image"]: each["spec"].get("replicas", 0)
            for each in self.lab.all(REPLICA_SETS)
        }

    def status(self, name: str = "web") -> Json:
        found: Json = self.lab.the(DEPLOYMENTS, name).get("status", {})
        return found

    def reason(self, type: str = "Progressing") -> str:
        return next((each["reason"] for each in self.status().get("conditions", ()) if each["type"] == type), "")

    def close(self) -> None:
        self.lab.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Rollouts]]:
    made: list[Rollouts] = []

    def build(**options: Any) -> Rollouts:
        made.append(Rollouts(**options))
        return made[-1]

    yield build
    for each in made:
        each.close()
