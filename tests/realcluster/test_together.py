"""Our admission in front of the real controllers and scheduler, our node agent behind them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.realcluster.machine import Machine, job
from tests.realcluster.operators import place, until
from tests.realcluster.server import RealServer

pytestmark = [pytest.mark.realcluster, pytest.mark.timeout(180)]


def test_queued_jobs_run_as_processes_one_after_the_other(whole_cluster: RealServer, tmp_path: Path) -> None:
    gate, diary = tmp_path / "go", tmp_path / "diary"
    home = tmp_path / "machine"
    home.mkdir()
    with place(whole_cluster, tmp_path) as here:
        machine = Machine(whole_cluster, home, f"m-{here.id}=cpu", here.id, f"test/pool={here.id}")
        try:
            machine.start()
            here.queue("lab", cpu=1)
            here.start_operator()
            for name in ("one", "two"):
                script = f"echo {name} begins >> {diary}; until [ -e {gate} ]; do sleep 0.02; done; echo {name} ends >> {diary}"
                container = {"resources": {"requests": {"cpu": "1"}}}
                manifest = job(name, f"{script}; echo from {name}", here.id, container=container)
                manifest["metadata"] |= {"namespace": here.namespace, "labels": {"kueue.x-k8s.io/queue-name": "lab"}}
                here.apply(manifest)
            until(diary.exists, "one of them runs")
            (first, _, _) = diary.read_text().partition(" ")
            second = {"one": "two", "two": "one"}[first]
            reason = until(lambda: here.condition(second, "QuotaReserved"), "the other has a reason to wait")
            assert reason["reason"] == "WaitingForQuota"
            gate.touch()
            for name in ("one", "two"):
                until(partial(here.is_true, name, "Finished"), f"{name} is finished")
                assert here.kubectl("logs", f"job/{name}").stdout == f"from {name}\n"
            lines = [f"{name} {what}" for name in (first, second) for what in ("begins", "ends")]
            assert diary.read_text().splitlines() == lines
        finally:
            machine.end()
