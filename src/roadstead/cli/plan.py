"""`roadstead plan`: what would become of work if it were submitted now. Nothing is stored."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from roadstead.cli.failure import Failure
from roadstead.cli.job_options import JobWords, job_options
from roadstead.cli.output import dump, namespace_option, output_option, table
from roadstead.cli.reasons import reason_lines
from roadstead.cli.source import Source, ask, source_options

STARTS, ERROR, WAITS = 0, 1, 2
"""Exit codes: all of it would start now; it cannot be said; something would wait."""


class _Misunderstood(click.UsageError):
    exit_code = ERROR


class _Command(click.Command):
    """Exit code 2 is an answer here: words that are not understood are an error like any other."""

    def make_context(self, *args: Any, **others: Any) -> click.Context:
        try:
            return super().make_context(*args, **others)
        except click.UsageError as error:
            raise _Misunderstood(error.format_message(), error.ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _Misunderstood(error.format_message(), ctx) from error
        except Failure as failure:
            raise Failure(failure.what, failure.hint, ERROR) from failure


@click.command(
    cls=_Command,
    short_help="what would become of work if it were submitted now",
    context_settings={"allow_interspersed_args": False},
)
@source_options
@namespace_option
@output_option
@click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE", help="Manifests to plan (- is standard input)."
)
@job_options
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]")
def command(
    home: str | None, context: str | None, kubeconfig: str | None, namespace: str, form: str, files: tuple[str, ...],
    job: JobWords, words: tuple[str, ...],
) -> int:  # fmt: skip
    """Try work on the cluster as it is now, without submitting it: would it start, where, whom would it displace, or
    why not?

    \b
    roadstead plan -f job.yaml
    roadstead plan --gpus 2 -- python train.py --epochs 3

    Several manifests are planned together, in their order; queues, flavors and nodes among them are taken as given.
    Exit code: 0 if all of it would start now, 2 if something would wait, 1 for an error.
    """
    if bool(files) == bool(words):
        raise Failure(
            "there is nothing to plan." if not files else "a plan is made of manifests or of a command, not of both.",
            "Say: roadstead plan -f FILE, or roadstead plan [options of run] -- COMMAND",
        )
    if files and job.is_given:
        raise Failure(
            f"{', '.join(job.given)} says how to run a command; with -f the manifest says it.",
            "Leave it out, or plan a command: roadstead plan [options] -- COMMAND",
        )
    objects = _manifests(files) if files else [job.manifest(words, namespace)]
    answer = asyncio.run(ask(Source(home, context, kubeconfig), "plan", {"objects": objects, "namespace": namespace}))
    if words and not job.name:
        _call(answer, words)
    click.echo(_shown(answer, form))
    return STARTS if answer["outlook"] in ("Starts", "") else WAITS


def _call(answer: dict[str, Any], words: tuple[str, ...]) -> None:
    """What was tried has a name that nobody else's job has; nobody is to look for a job of that name."""
    from roadstead.cli.jobs import name_of

    for work in answer["work"]:
        work["name"] = name_of(words)


def _manifests(files: tuple[str, ...]) -> list[Any]:
    from roadstead.kinds.manifest import ManifestError, read_manifests

    objects: list[Any] = []
    for name in files:
        try:
            text = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            objects += read_manifests(text, "standard input" if name == "-" else name)
        except OSError as error:
            raise Failure(
                f"cannot read {name}: {error.strerror or error}.", "Check the path, and whose it is."
            ) from error
        except ManifestError as error:
            raise Failure(f"{error}.") from error
    if not objects:
        raise Failure(f"{', '.join(files)} holds no object.", "Write a manifest: apiVersion, kind, metadata, spec.")
    return objects


def _shown(answer: dict[str, Any], form: str) -> str:
    if form in ("json", "yaml"):
        return dump(answer, form)
    if form == "name":
        return "\n".join(f"{line['kind'].lower()}/{line['name']}" for line in answer["work"])
    lines: list[str] = []
    for work in answer["work"]:
        lines.append(f"{work['kind'].lower()}/{work['name']}: {work['headline']}")
        lines += [f"  {line}" for line in _details(work, wide=form == "wide")]
    return "\n".join([*lines, *answer["notes"]])


def _details(work: dict[str, Any], *, wide: bool) -> list[str]:
    lines = [work["note"]] if work["note"] else []
    lines += reason_lines(work)
    if not wide:
        return lines
    for pod_set in work["podSets"]:
        flavors = ", ".join(f"{pod_set['resourceUsage'].get(name, '')} {name} of {flavor}"
                            for name, flavor in pod_set["flavors"].items())  # fmt: skip
        lines.append(f"pod set {pod_set['name']}: {pod_set['count']} pods, {flavors}")
    if work["places"]:
        rows = [
            [place["podSet"] or "-", place["index"], place["node"], ",".join(place["devices"])]
            for place in work["places"]
        ]
        lines += table(["POD SET", "INDEX", "NODE", "DEVICES"], rows).splitlines()
    return lines
