"""Carrying steps out: stages in order, each write with its outcome, and the truth about unknown ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from roadstead.kinds.object import Json, Object
from roadstead.runtime.cluster import Cluster, Create, Delete, Outcome, Result, Selector, Unavailable, Update, Write
from roadstead.runtime.step import Confirmation, Current, Empty, Present, Stage

log = logging.getLogger(__name__)

READ_RETRY_SECONDS = 0.2


async def carry_out(cluster: Cluster, stages: Sequence[Stage]) -> list[tuple[Write, Outcome]]:
    """Run stages one after another until a write is not DONE. UNKNOWN outcomes are resolved by reading (see
    `settle_unknown`).

    Gives every write tried with its outcome, in order of the stages.
    """
    done: list[tuple[Write, Outcome]] = []
    for stage in stages:
        if len(stage) == 1:
            outcomes = [await write_once(cluster, stage[0])]  # the usual case needs no task of its own
        else:
            outcomes = await asyncio.gather(*(write_once(cluster, write) for write in stage))
        done.extend(zip(stage, outcomes, strict=True))
        if not all(outcome.is_done for outcome in outcomes):
            break
    return done


async def confirmed(cluster: Cluster, wanted: Sequence[Confirmation]) -> bool:
    """True if the server, asked now, agrees with all of them; a server that cannot be asked does not."""
    try:
        for fact in wanted:
            if not await _holds_now(cluster, fact):
                return False
    except Unavailable as error:
        log.debug("cannot confirm: %s", error)
        return False
    return True


async def _holds_now(cluster: Cluster, fact: Confirmation) -> bool:
    if isinstance(fact, Empty):
        return not (await cluster.list(fact.resource, fact.namespace)).items
    if isinstance(fact, Current):
        listed = (await cluster.list(fact.resource, fact.namespace, Selector(labels=fact.labels))).items
        there = (obj for obj in listed if fact.value in fact.index(obj))
        return fact.seen == {(obj.meta.uid, obj.meta.resource_version) for obj in there}
    found = await cluster.get(fact.ref)
    if isinstance(fact, Present):
        if found is None or found.meta.uid != fact.uid or found.meta.deletion_timestamp:
            return False
        return fact.version in ("", found.meta.resource_version)
    return found is None or fact.uid not in ("", found.meta.uid)


async def write_once(cluster: Cluster, write: Write) -> Outcome:
    """One write and what really became of it. Never UNKNOWN."""
    outcome = await cluster.write(write)
    if outcome.result is Result.UNKNOWN:
        log.info("outcome of %s %s is unknown (%s); reading", type(write).__name__, write.ref.name, outcome.message)
        return await settle_unknown(cluster, write)
    if outcome.is_done and outcome.object is None and isinstance(write, Create) and write.subresource:
        # Subresources such as binding answer with a Status: read what the object has become, so that the caller can
        # wait for it.
        return Outcome(Result.DONE, await read_surely(cluster, write))
    return outcome


async def settle_unknown(cluster: Cluster, write: Write) -> Outcome:
    """Read until the server answers: DONE if what was sent is there now, else what a retry would have met.

    A request that is still on its way may land later; its preconditions (a free name, a uid, a resourceVersion) make
    that harmless.
    """
    found = await read_surely(cluster, write)
    if isinstance(write, Delete):
        if found is None or found.meta.uid != write.uid:
            return Outcome(Result.DONE)
        if found.meta.deletion_timestamp and _is_short_enough(write, found):
            return Outcome(Result.DONE, found)
        return Outcome(Result.CONFLICT, found, "not deleted yet")
    if found is None:
        return Outcome(
            Result.CONFLICT if isinstance(write, Create) else Result.MISSING, None, "not there after an unknown outcome"
        )
    if landed(write, found):
        return Outcome(Result.DONE, found)
    if isinstance(write, Create) and not write.subresource:
        return Outcome(Result.EXISTS, found, "another object has the name")
    return Outcome(Result.CONFLICT, found, "changed, or not written")


def _is_short_enough(write: Delete, found: Object) -> bool:
    """Does what is left of the object end as soon as was asked? An earlier deletion may have left it more time than
    this one."""
    granted = found.meta.deletion_grace_period_seconds
    return write.grace_seconds is None or granted is None or granted <= write.grace_seconds


async def read_surely(cluster: Cluster, write: Write) -> Object | None:
    """The object a write was about, however long the server takes to answer."""
    while True:
        try:
            return await cluster.get(write.ref)
        except Unavailable as error:
            log.debug("cannot read %s: %s", write.ref, error)
            await asyncio.sleep(READ_RETRY_SECONDS)


def landed(write: Create | Update, found: Object) -> bool:
    """True if `found` is what the write asked for; of metadata: labels, annotations, owners, finalizers.

    A created object may have got defaults beside what was sent. An update sends the whole object, and what it left out
    must be gone (a taint, a finalizer): doubt means "not landed", and the key looks again.
    """
    stored = found.decode()
    sent = write.value
    if isinstance(write, Update) and sent["metadata"].get("uid") != found.meta.uid:
        return False
    if isinstance(write, Create) and write.subresource == "binding":
        node: Any = stored.get("spec", {}).get("nodeName")
        return bool(node == sent["target"]["name"]) and _holds(
            _marks(sent)["annotations"], _marks(stored)["annotations"]
        )
    skipped = {"metadata", "apiVersion", "kind"}
    if write.subresource == "status":
        return _same(sent.get("status"), stored.get("status"))
    body = {name: value for name, value in sent.items() if name not in skipped and name != "status"}
    if isinstance(write, Create):
        return _holds(body, stored) and _holds(_marks(sent), _marks(stored))
    kept = {name: value for name, value in stored.items() if name not in skipped and name != "status"}
    return _same(body, kept) and _same(_marks(sent), _marks(stored))


def _same(sent: Any, stored: Any) -> bool:
    return _holds(sent, stored) and _holds(stored, sent)


def _marks(obj: Json) -> Json:
    metadata = obj.get("metadata", {})
    owners = [owner["uid"] for owner in metadata.get("ownerReferences") or ()]
    return {
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
        "owners": owners,
        "finalizers": list(metadata.get("finalizers") or ()),
    }


def _holds(sent: Any, stored: Any) -> bool:
    if isinstance(sent, dict):
        if not isinstance(stored, dict):
            return not sent
        return all(_holds(value, stored.get(name)) for name, value in sent.items() if value is not None)
    if isinstance(sent, list):
        if not isinstance(stored, list):
            return not sent
        return len(sent) == len(stored) and all(_holds(one, other) for one, other in zip(sent, stored, strict=True))
    return bool(sent == stored)
