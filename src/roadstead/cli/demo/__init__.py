"""`roadstead demo`: the main job on real input, on a cluster of its own that is gone afterwards.

Two teams of two departments, whose queues borrow along a tree of cohorts, submit real trainings: one long and patient,
one on borrowed GPUs, one with a deadline, one in two members that exchange gradients, one that does not fit yet. The
exit code is 0 only if the stored objects say that all went as it must (`story.judge`).
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home
from roadstead.cli.up import bring_up

LIMIT_SECONDS = 150.0
NODE = "lighthouse=h100x8,cpu=8,memory=16Gi"


@click.command(short_help="two teams, real training, borrowed GPUs; ends by itself")
@click.option("--keep", is_flag=True, help="Leave the cluster up afterwards and say where it is.")
def command(keep: bool) -> int:
    """Two teams, real training, one queue with reasons. Ends by itself within two minutes."""
    try:
        import sklearn
    except ImportError as error:
        raise Failure(
            "the demo trains with scikit-learn, which is not installed.", "Install it: pip install 'roadstead[demo]'"
        ) from error
    del sklearn
    from roadstead.cli.demo.tell import Teller
    from roadstead.cli.stopping import stop_everything

    scratch = Path(tempfile.mkdtemp(prefix="roadstead-demo-"))
    home = Home(scratch / "home")
    try:
        server = bring_up(home, port=0, durability="full", nodes=(NODE,))
        teller = Teller(home, scratch, python=sys.executable)
        teller.introduce(str(server.record["url"]))
        return asyncio.run(teller.tell(LIMIT_SECONDS))
    finally:
        if keep:
            click.echo(f"the cluster stays up: export ROADSTEAD_HOME={home.root} KUBECONFIG={home.kubeconfig}")
        else:
            stop_everything(home)
            shutil.rmtree(scratch, ignore_errors=True)
