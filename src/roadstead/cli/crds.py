"""`roadstead crds`: the definitions of our own kinds and of the queues', for a cluster that is not ours."""

from __future__ import annotations

import click


@click.command(short_help="the CustomResourceDefinitions of our own kinds and of Kueue's")
@click.option(
    "--without-kueue", is_flag=True, help="Leave out the definitions of Kueue's kinds (Kueue's own are installed)."
)
def command(without_kueue: bool) -> None:
    """Print YAML for `kubectl apply --server-side -f -`. The embedded server has these kinds already; on another
    cluster they behave as they do there, as far as a definition can say. `roadstead manifests` prints them together
    with the rest."""
    from roadstead.cli.manifests import yaml_text
    from roadstead.kinds.crds import definitions
    from roadstead.kinds.names import KUEUE
    from roadstead.kinds.served import default_registry

    found = [crd for crd in definitions(default_registry()) if not (without_kueue and crd["spec"]["group"] == KUEUE)]
    click.echo(yaml_text(found), nl=False)
