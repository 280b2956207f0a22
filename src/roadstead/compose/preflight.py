"""Is this cluster one that the operator (or a node agent) can work on? Asked once, at start, so that what is missing is
said in one sentence instead of in a thousand log lines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from roadstead.auth.access_reviews import answer, question
from roadstead.cluster.remote import RemoteCluster
from roadstead.compose.rights import Right
from roadstead.compose.running import Refused
from roadstead.kinds.names import KUEUE
from roadstead.kinds.object import Json, Resource
from roadstead.runtime.cluster import Unavailable

APPLY: Final = "An administrator applies it with: roadstead manifests | kubectl apply -f -"
SHOWN: Final = 6


async def preflight(cluster: RemoteCluster, resources: Sequence[Resource], rights: Sequence[Right]) -> None:
    """Raises Refused if the server cannot be asked, does not serve one of `resources`, or does not grant one of
    `rights`."""
    await must_answer(cluster)
    await _must_serve(cluster, resources)
    await must_grant(cluster, rights)


async def must_answer(cluster: RemoteCluster) -> None:
    """Raises Refused if the server cannot be reached or does not take this identity."""
    try:
        status, body = await cluster.ask("/api")
    except Unavailable as error:
        raise Refused(
            f"The API server {cluster.url} cannot be reached: {_sentence(error)}",
            "Check the server's address in the kubeconfig, and that it runs: kubectl get --raw /readyz",
        ) from error
    if status == 401:
        raise Refused(
            f"The API server {cluster.url} does not know this identity (401: {body.get('message', 'Unauthorized')}).",
            "Renew the token or client certificate in the kubeconfig.",
        )
    if status != 200:
        raise Refused(
            f"The API server {cluster.url} answers {status} to /api: {body.get('message', 'no message')}.",
            "Check that the kubeconfig names a Kubernetes API server.",
        )


async def _must_serve(cluster: RemoteCluster, resources: Sequence[Resource]) -> None:
    missing: list[str] = []
    for group_version in sorted({resource.api_version for resource in resources if resource.group}):
        status, body = await _ask(cluster, f"/apis/{group_version}")
        served = {entry.get("name") for entry in body.get("resources") or ()} if status == 200 else set()
        missing += [
            f"{resource.plural}.{resource.group}/{resource.version}"
            for resource in resources
            if resource.api_version == group_version and resource.plural not in served
        ]
    if not missing:
        return
    what = f"The cluster does not serve {len(missing)} of {len(resources)} resources: {_some(missing)}."
    older = await _older_kueue(cluster) if any(f".{KUEUE}/" in name for name in missing) else ""
    if older:
        what += f" Of {KUEUE} it serves {older} only."
        raise Refused(what, f"v1beta2 is needed: update Kueue's CRDs to 0.15 or newer, or replace them. {APPLY}")
    raise Refused(what, f"Their CustomResourceDefinitions are missing. {APPLY}")


async def _older_kueue(cluster: RemoteCluster) -> str:
    """The versions of Kueue's group that are served, if v1beta2 is not among them."""
    status, body = await _ask(cluster, f"/apis/{KUEUE}")
    versions = [str(entry.get("version")) for entry in body.get("versions") or ()] if status == 200 else []
    return "" if "v1beta2" in versions else ", ".join(versions)


async def must_grant(cluster: RemoteCluster, rights: Sequence[Right], hint: str = APPLY) -> None:
    """Raises Refused, with `hint`, if the server does not grant one of `rights`."""
    granted = await asyncio.gather(*(_is_granted(cluster, right) for right in rights))
    missing = [str(right) for right, is_granted in zip(rights, granted, strict=True) if not is_granted]
    if missing:
        raise Refused(f"This identity lacks {len(missing)} of {len(rights)} rights: {_some(missing)}.", hint)


async def _is_granted(cluster: RemoteCluster, right: Right) -> bool:
    attributes = {
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        "verb": right.verb,
        "namespace": right.namespace,
        "name": right.name,
        "fieldSelector": _only(*right.selector) if right.selector else None,
    }
    outcome = await cluster.write(question(attributes))
    is_allowed = answer(outcome)
    if is_allowed is None:
        raise Refused(
            f"The API server {cluster.url} does not say what this identity may do: {outcome.message}.",
            "Check that the authorization.k8s.io API is served.",
        )
    return is_allowed


def _only(key: str, value: str) -> Json:
    return {"requirements": [{"key": key, "operator": "In", "values": [value]}]}


async def _ask(cluster: RemoteCluster, path: str) -> tuple[int, Json]:
    try:
        return await cluster.ask(path)
    except Unavailable as error:
        raise Refused(
            f"The API server {cluster.url} went away: {_sentence(error)}", "Start the operator again when it is back."
        ) from error


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".") + "."


def _some(names: Iterable[str]) -> str:
    """The first few, and how many more."""
    found = list(names)
    rest = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
