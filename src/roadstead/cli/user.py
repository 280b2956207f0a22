"""`roadstead user`: people besides the owner, each with a certificate of their own and no more rights than they are
given.

The certificate says who somebody is and in which groups; what they may do is in role bindings, which `kubectl` shows
and changes. So rights can be taken away at any time, a certificate cannot: `remove` takes the rights.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from roadstead.cli.failure import Failure
from roadstead.cli.home import Home, find_home, read_record
from roadstead.cli.kubeconfig import require_up
from roadstead.cli.output import home_option, namespace_option, note

if TYPE_CHECKING:
    from roadstead.kinds.object import Json
    from roadstead.runtime.cluster import Create, Outcome

MANAGED: Final = "roadstead.dev/user"
"""Label of the bindings that `add` made."""
NO_ROLE: Final = "none"
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._@-]{0,61}[A-Za-z0-9])?")


@click.group(short_help="people who may use this cluster, and what they may do")
def command() -> None:
    """People who may use this cluster besides you, and what they may do. See docs/security.md."""


@command.command(short_help="print a kubeconfig for somebody, and give them a role")
@click.argument("name")
@home_option
@namespace_option
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="A group that they are in. May be repeated.")
@click.option("--role", default="edit", show_default=True, metavar="ROLE",
              help="A ClusterRole (view, edit, admin ...) that they have in the namespace; none: no rights yet.")  # fmt: skip
@click.option("--everywhere", is_flag=True, help="They have the role in all namespaces, and over what is in none.")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long the certificate is good."
)
def add(
    name: str, home: str | None, namespace: str, groups: tuple[str, ...], role: str, everywhere: bool, days: int
) -> None:
    """Print a kubeconfig for NAME on stdout: give it to them, and to nobody else.

    \b
    roadstead user add ada -n vision > ada.kubeconfig
    KUBECONFIG=ada.kubeconfig kubectl get pods -n vision
    """
    for word in (name, *groups):
        _check(word)
    where = find_home(home)
    require_up(where)
    if role != NO_ROLE:
        asyncio.run(_grant(where, name, "" if everywhere else namespace, role))
    click.echo(_kubeconfig(where, name, groups, namespace, days), nl=False)
    scope = "everywhere" if everywhere else f"in namespace {namespace}"
    had = f"has role {role} {scope}" if role != NO_ROLE else "has no rights yet; kubectl create rolebinding gives some"
    note(f"{name} {had}. The certificate is good for {days} days.")


@command.command(short_help="take all rights of somebody away")
@click.argument("name")
@home_option
def remove(name: str, home: str | None) -> None:
    """Delete the bindings that `user add` made for NAME, in all namespaces. What their groups may do, and what others
    bound, stays."""
    _check(name)
    where = find_home(home)
    require_up(where)
    count = asyncio.run(_revoke(where, name))
    if not count:
        raise Failure(
            f"{name} has no binding that `roadstead user add` made.",
            "See: kubectl get rolebindings,clusterrolebindings -A -o wide",
        )
    click.echo(f"{name} has lost {count} binding{'s' if count != 1 else ''}")


def _check(word: str) -> None:
    """Names that the system gives itself are not given to people."""
    if not _NAME.fullmatch(word):
        raise Failure(
            f"{word!r} cannot be the name of a user or group here: letters, digits and . _ @ - (at most 63), e.g. ada@lab.",
            "",
            2,
        )


def _kubeconfig(where: Home, name: str, groups: Sequence[str], namespace: str, days: int) -> str:
    from datetime import timedelta

    from roadstead.auth.certificates import Authority

    authority = Authority.load_or_create(where.pki)
    pair = authority.issue_client(name, groups, timedelta(days=days))
    url = str((read_record(where.record("server")) or {}).get("url", ""))

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "roadstead",
        "clusters": [
            {
                "name": "roadstead",
                "cluster": {"server": url, "certificate-authority-data": encoded(authority.certificate)},
            }
        ],
        "users": [
            {
                "name": name,
                "user": {"client-certificate-data": encoded(pair.certificate), "client-key-data": encoded(pair.key)},
            }
        ],
        "contexts": [{"name": "roadstead", "context": {"cluster": "roadstead", "user": name, "namespace": namespace}}],
    }
    return json.dumps(value, indent=2) + "\n"


# --- rights


async def _grant(where: Home, name: str, namespace: str, role: str) -> None:
    from roadstead.cli.client import Client
    from roadstead.kinds.names import CLUSTER_ROLES, NAMESPACES
    from roadstead.kinds.object import Ref
    from roadstead.kinds.rbac.policy import QUEUE_VIEWER

    async with Client(where) as client:
        if namespace and await client.cluster.get(Ref(NAMESPACES, "", namespace)) is None:
            raise Failure(f"there is no namespace {namespace!r}.", f"Make it: kubectl create namespace {namespace}")
        if await client.cluster.get(Ref(CLUSTER_ROLES, "", role)) is None:
            raise Failure(
                f"there is no ClusterRole {role!r}.", "See: kubectl get clusterroles. For people: view, edit, admin."
            )
        for write in (_binding(name, namespace, role), _binding(name, "", QUEUE_VIEWER)):
            _must_be_there(await client.cluster.write(write))


def _binding(user: str, namespace: str, role: str) -> Create:
    from roadstead.kinds.names import CLUSTER_ROLE_BINDINGS, RBAC, ROLE_BINDINGS
    from roadstead.runtime.cluster import Create

    resource, kind = (ROLE_BINDINGS, "RoleBinding") if namespace else (CLUSTER_ROLE_BINDINGS, "ClusterRoleBinding")
    metadata: Json = {"name": f"{_prefix(user)}:{role}", "labels": {MANAGED: "true"}}
    if namespace:
        metadata["namespace"] = namespace
    value = {
        "apiVersion": resource.api_version,
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
    return Create(resource, value)


def _prefix(user: str) -> str:
    """With what the names of their bindings begin; users have no colon."""
    return f"user:{user}"


def _must_be_there(outcome: Outcome) -> None:
    from roadstead.runtime.cluster import Result

    if outcome.result not in (Result.DONE, Result.EXISTS):
        raise Failure(
            f"the right could not be given: {outcome.message or outcome.result.value}.", "See: roadstead status"
        )


async def _revoke(where: Home, name: str) -> int:
    from roadstead.cli.client import Client
    from roadstead.kinds.names import CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS
    from roadstead.runtime.cluster import Delete, Result, Selector

    count = 0
    async with Client(where) as client:
        for resource in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
            made = (await client.cluster.list(resource, "", Selector(labels=MANAGED))).items
            for found in made:
                if not found.meta.name.startswith(f"{_prefix(name)}:"):
                    continue
                outcome = await client.cluster.write(Delete(found.ref, found.meta.uid))
                if outcome.result not in (Result.DONE, Result.MISSING):
                    raise Failure(f"binding {found.meta.name} could not be deleted: {outcome.message}.", "Try again.")
                count += 1
    return count
