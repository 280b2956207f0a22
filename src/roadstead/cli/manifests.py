"""`roadstead manifests`: what an administrator applies to a cluster before `roadstead operator` runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from roadstead.cli.configuration import config_option, configuration
from roadstead.cli.whole import Whole


@click.command(short_help="what an administrator applies before `operator` runs on a cluster")
@click.option("--image", default=None, help="Image that the Deployment runs.  [default: roadstead:VERSION]")
@click.option(
    "--namespace", default="roadstead-system", show_default=True, help="Where operators run and keep their lease."
)
@click.option("--replicas", type=Whole(0, 10), default=2, show_default=True, help="Operators; one leads.")
@config_option("none")
@click.option(
    "--without-kueue-crds", is_flag=True, help="Leave out the definitions of Kueue's kinds (Kueue's own are installed)."
)
@click.option(
    "--without-policy",
    is_flag=True,
    help="Leave out the MutatingAdmissionPolicy (Kubernetes older than 1.36): queued jobs are suspended a moment later.",
)
@click.option("--without-deployment", is_flag=True, help="Leave out the Deployment (operators run elsewhere).")
def command(
    image: str | None,
    namespace: str,
    replicas: int,
    config: Path | None,
    without_kueue_crds: bool,
    without_policy: bool,
    without_deployment: bool,
) -> None:
    """Print YAML for `kubectl apply -f -`: definitions of queues, flavors and workloads, the operator's account with
    the rights it needs and no more, the policy that holds queued jobs, and the Deployment."""
    from dataclasses import replace

    from roadstead.compose.manifests import ManifestOptions, manifests

    configuration(config)  # says what is wrong with it, if something is
    options = ManifestOptions(
        namespace=namespace,
        replicas=replicas,
        kueue_crds=not without_kueue_crds,
        policy=not without_policy,
        deployment=not without_deployment,
    )
    if config is not None:
        options = replace(options, configuration=config.read_text(encoding="utf-8"))
    if image is not None:
        options = replace(options, image=image)
    click.echo(yaml_text(manifests(options)), nl=False)


def yaml_text(documents: list[dict[str, Any]]) -> str:
    """Documents as one text."""
    import yaml

    class Plain(yaml.SafeDumper):
        """What occurs twice is written twice: anchors are for machines."""

        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

    text: str = yaml.dump_all(documents, Dumper=Plain, sort_keys=False, default_flow_style=False, width=120)
    return text
