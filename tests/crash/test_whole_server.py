"""kill -9 of the server of a whole cluster at every write of a Job's whole life, from creation to removal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.crash.whole_cluster import whole
from tests.crash.whole_judge import Ask
from tests.crash.whole_story import live, still_counted

pytestmark = pytest.mark.crash

Story = Callable[[str], Sequence[Ask]]


def indexed(tag: str) -> Sequence[Ask]:
    """Two indices of two containers each."""
    return [Ask(f"indexed-{tag}", (0, 0), completions=2)]


def failing(tag: str) -> Sequence[Ask]:
    """A Job whose second container fails."""
    return [Ask(f"failing-{tag}", (0, 7))]


def preempted(tag: str) -> Sequence[Ask]:
    """A Job that has all devices and gives way to one of a higher priority."""
    low, high = f"low-{tag}", f"high-{tag}"
    return [
        Ask(low, (3,), gpus=8, priority="low", gate=high, may_be_evicted=True),
        Ask(high, gpus=8, priority="high"),
    ]


PATIENCE_SECONDS = (1.0, 30.0)
"""For a death that the end of a story leaves behind: at the last step there is none, at a certain action there is
one."""


async def every_step(
    directory: Path, role: str, mode: str, story: Story, needed: frozenset[str] = frozenset()
) -> list[str]:
    """Tell the story again and again, with a kill at step 1, 2, 3, ... until it ends before the step comes. Where it
    died.

    How many steps a story has differs by one or two from telling to telling (two states may be told in one status), so
    an action can fall between two tellings: for each of the `needed` that was not met the story is told once more, with
    a kill at that.
    """
    async with whole(directory) as cluster:

        async def tell(name: str, step: int | str, patience_seconds: float) -> bool:
            """True if it ended before the step came."""
            cluster.arm(role, f"{mode} {step}")
            complaints = await live(cluster, story(name))
            assert not complaints, f"{role} killed {mode} step {step} ({cluster.died_at(role)[-1:]}): {complaints}"
            return await cluster.disarm(role, patience_seconds)

        step = 1
        while not await tell(f"{mode}-{step}", step, PATIENCE_SECONDS[0]):
            step += 1
        for action in sorted(needed - {line.split()[2] for line in cluster.died_at(role)}):
            is_met = not await tell(f"{mode}-{action}", f"{action}:1", PATIENCE_SECONDS[1])
            assert is_met, f"the {role} never came to {action}"
        await cluster.until_nothing("the queues count nothing", lambda: still_counted(cluster))
        return cluster.died_at(role)


@pytest.mark.parametrize("story", [indexed, failing, preempted])
@pytest.mark.timeout(1800)
def test_killed_at_every_write(tmp_path: Path, story: Story) -> None:
    async def both() -> None:
        after, before = await asyncio.gather(
            *(every_step(tmp_path / mode, "server", mode, story) for mode in ("after", "before"))
        )
        print(f"{story.__name__}: {len(after)} + {len(before)} kills")
        for deaths in (after, before):
            touched = {line.split()[3].partition(":")[0] for line in deaths}
            assert {"batch/jobs", "/pods", "kueue.x-k8s.io/workloads", "roadstead.dev/placements"} <= touched

    asyncio.run(both())
