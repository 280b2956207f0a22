"""The `roadstead` command. Each verb lives in a module of its own, imported only when it is called (start-up time)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection
from keyword import iskeyword
from typing import Any

import click

from roadstead import __version__
from roadstead.cli.failure import Failure

VERBS = {
    "up": "start the embedded cluster on this machine",
    "down": "stop it and everything it runs",
    "status": "what is running, and how full it is",
    "run": "submit a command, follow it, relay its exit code",
    "plan": "what would become of work if it were submitted now",
    "queue": "who waits, in which order, and for what",
    "why": "why a job waits, with the numbers",
    "logs": "print or follow the output of a job or pod",
    "doctor": "what will not work here, and what is not enforced",
    "kubeconfig": "print a kubeconfig for kubectl",
    "user": "people who may use this cluster, and what they may do",
    "demo": "two teams, real training, one queue; ends by itself",
    "replay": "decide a server's journal again, and compare",
    "server": "the API server and controllers, in the foreground",
    "node": "a node agent, in the foreground",
    "sim": "the whole system under a virtual clock, with faults",
    "operator": "our admission in front of a Kubernetes cluster, in the foreground",
    "manifests": "what an administrator applies before `operator` runs there",
    "crds": "the definitions of our kinds, for another cluster",
    "import": "a Slurm configuration as nodes, devices, flavors and queues",
}
"""Verb -> one line of help. The module of the same name under `roadstead.cli` has a click command `command`; one whose
name is a word of Python has a dash below behind it (`import_`)."""


INTERRUPTED = 130
"""Exit code of a shell for a program that SIGINT ended."""


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for verb in VERBS if verb in ctx.obj]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ctx.obj:
            return None
        module = importlib.import_module(f"roadstead.cli.{cmd_name}{'_' if iskeyword(cmd_name) else ''}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb]) for verb in self.list_commands(ctx)])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in ctx.obj:
            there = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"there is no command {args[0]!r}; there are: {there}.", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="roadstead")
@click.option("--home", metavar="DIR", default=None, help="State of the cluster; may also stand after the command.")
def group(home: str | None) -> None:
    """One queue for AI work on shared accelerators."""
    del home  # read by the command's own --home (output.py)


def main(
    arguments: list[str] | None = None, *, program: str = "roadstead", verbs: Collection[str] = tuple(VERBS)
) -> None:
    """Entry point. Exits 0 on success, 1 when it cannot be done, 2 on words it does not understand; `run` relays,
    `plan` says 2 for what would wait. `verbs`: those that there are under this name of the program.

    Every failure is a sentence with its numbers on stderr, then what to do."""
    sys.exit(_run(arguments, program, verbs))


def _run(arguments: list[str] | None, program: str, verbs: Collection[str]) -> int:
    try:
        result = group.main(arguments, prog_name=program, standalone_mode=False, obj=verbs)
    except Failure as failure:
        click.echo(f"error: {failure.what}", err=True)
        if failure.hint:
            click.echo(failure.hint, err=True)
        return failure.exit_code
    except click.UsageError as error:
        click.echo(f"error: {error.format_message()}", err=True)
        click.echo(f"See: {error.ctx.command_path if error.ctx else 'roadstead'} --help", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        click.echo(f"error: cannot use{where or ' a file'}: {error.strerror or error}.", err=True)
        click.echo("Check the path and whose it is; --home or ROADSTEAD_HOME names another state directory.", err=True)
        return 1
    return result if isinstance(result, int) else 0
