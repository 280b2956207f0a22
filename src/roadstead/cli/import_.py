"""`roadstead import slurm.conf [gres.conf]`: a Slurm configuration as objects for `kubectl apply -f -`."""

from __future__ import annotations

from pathlib import Path

import click

from roadstead.cli.failure import Failure


@click.command(short_help="nodes, devices, flavors and queues of a Slurm configuration")
@click.argument("slurm_conf", metavar="SLURM.CONF", type=click.Path(path_type=Path))
@click.argument("gres_conf", metavar="[GRES.CONF]", required=False, type=click.Path(path_type=Path))
@click.option("-n", "--namespace", default="default", show_default=True, help="Where the LocalQueues go.")
@click.option("-q", "--quiet", is_flag=True, help="Do not say what could not be expressed.")
def command(slurm_conf: Path, gres_conf: Path | None, namespace: str, quiet: bool) -> None:
    """Print YAML for `kubectl apply -f -`: a Node and its devices for every NodeName, a ResourceFlavor for every kind
    of node, a ClusterQueue and a LocalQueue for every partition, and the cohort that holds what they share. What has no
    counterpart is said on stderr."""
    from roadstead.slurm.language.configuration import ConfigurationError
    from roadstead.slurm.language.fleet import read
    from roadstead.slurm.manifests import NameRefused, manifests

    beside = slurm_conf.parent / "gres.conf"
    if gres_conf is None and beside.is_file():
        gres_conf = beside
    text = _text(slurm_conf)
    try:
        cluster = read(
            text,
            _text(gres_conf) if gres_conf else "",
            _included(slurm_conf, text),
            file=str(slurm_conf),
            gres_file=str(gres_conf),
        )
    except ConfigurationError as err:
        raise Failure(str(err), "Slurm's daemons would not start with it either. Nothing was printed.") from err
    if not cluster.nodes:
        raise Failure(f"{slurm_conf} defines no node: it has no NodeName line.", "Is it the slurm.conf of the cluster?")
    try:
        objects, remarks = manifests(cluster, namespace)
    except NameRefused as err:
        raise Failure(str(err), f"{err.hint} Nothing was printed.") from err
    click.echo(_yaml(objects), nl=False)
    if not quiet:
        for remark in remarks:
            click.echo(remark, err=True)


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8")
        bad = text.find("\0")
    except OSError as err:
        raise Failure(
            f"{path} cannot be read: {err.strerror}.", "Name the slurm.conf, and the gres.conf if it is elsewhere."
        ) from err
    except UnicodeDecodeError as err:
        raise _no_text(path, err.start) from err
    if bad >= 0:
        raise _no_text(path, len(text[:bad].encode()))
    return text


def _no_text(path: Path, position: int) -> Failure:
    return Failure(
        f"{path} is not text: its byte {position} is none of UTF-8.",
        "Name the slurm.conf of the cluster, saved as UTF-8.",
    )


def _included(path: Path, text: str) -> dict[str, str]:
    """Texts of the files that `Include` names, and of those that they name; relative names are meant from the first
    file."""
    from roadstead.slurm.language.configuration import records

    found: dict[str, str] = {}
    todo = [text]
    while todo:
        for record in records(todo.pop(), str(path)):
            if record.key == "include" and record.value not in found:
                found[record.value] = _text(path.parent / record.value)
                todo.append(found[record.value])
    return found


def _yaml(documents: list[dict[str, object]]) -> str:
    import yaml

    text: str = yaml.safe_dump_all(documents, sort_keys=False, default_flow_style=False, width=120)
    return text
