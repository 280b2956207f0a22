"""`roadstead operator`: our admission in front of a real Kubernetes cluster, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from roadstead.cli.configuration import config_option, configuration
from roadstead.cli.failure import Failure
from roadstead.cli.log_setup import log_to_stderr
from roadstead.cli.whole import Whole


@click.command(short_help="our admission in front of a Kubernetes cluster, in the foreground")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    default=None,
    help="How to reach the cluster.  [default: the service account of the pod that this runs in]",
)
@click.option("--context", default="", help="Context in the kubeconfig.  [default: its current-context]")
@click.option("--namespace", default="roadstead-system", show_default=True, help="Where the lease is kept.")
@click.option("--lease-duration", type=Whole(1, 3600), default=15, show_default=True, metavar="SECONDS",
              help="A candidate takes over when it has seen no renewal for so long.")  # fmt: skip
@click.option("--renew-deadline", type=click.FloatRange(0.1, 3600), default=10, show_default=True, metavar="SECONDS",
              help="A leader writes nothing any more so long after its last renewal.")  # fmt: skip
@click.option("--retry-period", type=click.FloatRange(0.05, 3600), default=2, show_default=True, metavar="SECONDS",
              help="How often to renew, or to try to take over.")  # fmt: skip
@config_option("none")
@click.option("--verbose", is_flag=True, help="Log what controllers do.")
def command(
    kubeconfig: Path | None,
    context: str,
    namespace: str,
    lease_duration: int,
    renew_deadline: float,
    retry_period: float,
    config: Path | None,
    verbose: bool,
) -> None:
    """Hold jobs that name a queue, admit them under quota, start and preempt them; the cluster's own controllers and
    scheduler do the rest. Several operators may run: one leads. Until SIGTERM or SIGINT.

    The cluster needs what `roadstead manifests` prints (or Kueue's own CRDs, v1beta2). Kueue itself must not run there.
    """
    log_to_stderr(verbose)
    from roadstead.cluster.remote import KubeconfigError
    from roadstead.compose.operator import OperatorOptions, Refused, operate
    from roadstead.kinds.times import SECOND
    from roadstead.runtime.leader import Terms

    configured = configuration(config)
    if not _is_given("namespace") and configured.file.namespace:
        namespace = configured.file.namespace
    written = configured.lease_times()
    times = [
        found if found is not None and not _is_given(name) else int(seconds * SECOND)
        for name, seconds, found in (
            ("lease_duration", lease_duration, written[0]),
            ("renew_deadline", renew_deadline, written[1]),
            ("retry_period", retry_period, written[2]),
        )
    ]
    try:
        terms = Terms(*times)
    except ValueError as error:
        raise Failure(str(error), "See: roadstead operator --help", exit_code=2) from error
    try:
        operate(OperatorOptions(kubeconfig, context, namespace, terms, configured=configured))
    except KubeconfigError as error:
        raise Failure(str(error)) from error
    except Refused as error:
        raise Failure(str(error), error.hint) from error


def _is_given(option: str) -> bool:
    """Was the option written on the command line? Then it counts more than the configuration."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE
