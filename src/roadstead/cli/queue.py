"""`roadstead queue`: who waits, in which order, and for what."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import click

from roadstead.cli.output import dump, namespace_option, output_option, table
from roadstead.cli.source import Source, ask, source_options


@click.command(short_help="who waits, in which order, and for what")
@source_options
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Of every namespace.")
@output_option
def command(
    home: str | None, context: str | None, kubeconfig: str | None, namespace: str, all_namespaces: bool, form: str
) -> None:
    """Show what runs and what waits, in the order in which it would start, and what each waits for."""
    path = "queue" if all_namespaces else f"queue/{quote(namespace)}"
    page = asyncio.run(ask(Source(home, context, kubeconfig), path))
    if form in ("json", "yaml"):
        click.echo(dump(page, form))
    elif form == "name":
        for line in page["workloads"]:
            click.echo(
                f"workload.kueue.x-k8s.io/{line['name']}" if line["name"] else f"{line['kind'].lower()}/{line['job']}"
            )
    elif not page["workloads"]:
        click.echo("nothing runs and nothing waits" + ("" if all_namespaces else f" in namespace {namespace}"))
    else:
        click.echo(_table(page["workloads"], wide=form == "wide"))


def _table(lines: list[dict[str, Any]], *, wide: bool) -> str:
    from roadstead.kinds.ages import human

    header = ["NAMESPACE", "NAME", "QUEUE", "PRIORITY", "POSITION", "STATE", "AGE", "PODS", "WAITS FOR / RUNS ON"]
    rows = []
    for line in lines:
        row = [
            line["namespace"],
            line["job"] or line["name"],
            line["queue"],
            line["priority"],
            line.get("position") or "-",
            line["state"],
        ]
        row += [human(line["ageSeconds"]), line["pods"], _said(line)]
        if wide:
            row += [
                line["clusterQueue"],
                " ".join(f"{name}={value}" for name, value in sorted(line["requests"].items())),
            ]
        rows.append(row)
    return table([*header, "CLUSTERQUEUE", "REQUESTS"] if wide else header, rows)


def _said(line: dict[str, Any]) -> str:
    """Where it runs, or why it has not started there; where it still runs and why it must go; or what it waits for."""
    nodes = ", ".join(line["nodes"])
    if line["state"] == "Stopping":
        return f"leaves {nodes or 'its nodes'} ({line['reason']}), then waits again"
    if line["state"] == "Starting":
        return f"{nodes}: {line['message']}" if nodes else str(line["message"])
    return nodes or str(line["message"])
