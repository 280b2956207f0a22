"""Leader election by a Lease (coordination.k8s.io/v1), as a state machine without I/O. `election.py` asks and writes
for it.

The semantics are client-go's (tools/leaderelection), so that `kubectl get lease` reads as for every other controller:
whoever writes its holderIdentity leads, renews while it does, and a candidate takes over once the record has not
changed for leaseDuration since *the candidate itself* saw it change: no clock is compared with another machine's.

Two times, both in nanoseconds: `now` is a clock that also runs while the process is stopped or the machine asleep
(CLOCK_BOOTTIME), and decides; `wall` is the time of day, and is only written down.

Four things differ from client-go, all on the safe side:
* A renewal counts from the moment its request was *sent*; whoever leads may write until `renew_deadline` after that, and not just
  until it notices (`may_write`).
* A Lease that vanished does not end the term of the holder that was last seen in it.
* An answer that was lost renews nothing; the next attempt does.
* Whoever stood down stands again only when its own last writes have landed, as everybody else must wait for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from roadstead.kinds.names import LEASES
from roadstead.kinds.object import Json, Object
from roadstead.kinds.times import SECOND, format_micro_time
from roadstead.kinds.views.lease import LeaseSpecView, LeaseView
from roadstead.runtime.cluster import Create, Update

JITTER: Final = 1.2
"""The deadline must leave room for more than one attempt to renew (client-go's JitterFactor)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts, in nanoseconds. ValueError if the three do not fit together."""

    lease_duration: int = 15 * SECOND
    renew_deadline: int = 10 * SECOND
    retry_period: int = 2 * SECOND

    def __post_init__(self) -> None:
        if self.retry_period < 1:
            raise ValueError("The retry period must be longer than 0 s.")
        if self.lease_duration % SECOND:
            raise ValueError("The lease duration must be whole seconds, as the Lease object counts them.")
        if self.lease_duration <= self.renew_deadline:
            raise ValueError(
                f"The lease duration ({_seconds(self.lease_duration)}) must be longer than the renew deadline "
                f"({_seconds(self.renew_deadline)}): a leader must stop writing before another may take over."
            )
        if self.renew_deadline <= JITTER * self.retry_period:
            raise ValueError(
                f"The renew deadline ({_seconds(self.renew_deadline)}) must be longer than {JITTER} times the retry period "
                f"({_seconds(self.retry_period)}): one attempt that fails must not end a term."
            )

    @property
    def landing(self) -> int:
        """How long a write may take from its sending to its end. What a leader sends last, it sends at
        `renew_deadline`; nobody, itself included, leads anew before `lease_duration`; so nothing that was sent in one
        term lands while the next one decides."""
        return self.lease_duration - self.renew_deadline


def _seconds(ns: int) -> str:
    return f"{ns / SECOND:g} s"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Write this now: it acquires the lease, or renews it."""

    write: Create | Update


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else leads; ask again, and do not write before `until` unless the lease changes hands."""

    holder: str
    until: int


Action: TypeAlias = Attempt | Wait


class Election:
    """One candidate for one lease."""

    def __init__(self, namespace: str, name: str, identity: str, terms: Terms) -> None:
        """`identity` names this process and no other, now or later."""
        self.namespace = namespace
        self.name = name
        self.identity = identity
        self.terms = terms
        self._seen: LeaseSpecView | None = None
        self._seen_at = 0
        self._renewed_at: int | None = None
        self._landed_at = 0

    def observe(self, lease: Object | None, now: int, wall: int) -> Action:
        """What to do about the lease as it is stored now (None: it does not exist)."""
        spec = lease.view(LeaseView).spec if lease is not None else None
        if spec is not None and spec != self._seen:
            self._seen, self._seen_at = spec, now
            if spec.holder_identity != self.identity:
                self.stand_down()
        seen = self._seen
        holder = (seen.holder_identity or "") if seen is not None else ""
        if seen is not None and holder not in ("", self.identity):
            until = self._seen_at + self._duration(seen)
            if now < until:
                return Wait(holder, until)
        if self._renewed_at is None and now < self._landed_at:
            return Wait(self.identity, self._landed_at)
        return Attempt(Create(LEASES, self._new(wall)) if lease is None else Update(LEASES, self._taken(lease, wall)))

    def wrote(self, lease: Object, sent_at: int) -> None:
        """The attempt sent at `sent_at` was done, and the lease is stored as this."""
        self._seen, self._seen_at = lease.view(LeaseView).spec, sent_at
        self._renewed_at = sent_at

    def may_write(self, now: int) -> bool:
        """True while this candidate surely leads: asked right before every write. O(1)."""
        return self._renewed_at is not None and now < self._renewed_at + self.terms.renew_deadline

    def age(self, now: int) -> int | None:
        """Nanoseconds since the last renewal was sent; None if another one holds the lease, or nobody does."""
        return None if self._renewed_at is None else now - self._renewed_at

    def stand_down(self) -> None:
        """Lead no longer; the lease, if it still names us, ends by itself or by `released`."""
        if self._renewed_at is not None:
            self._landed_at = self._renewed_at + self.terms.lease_duration
        self._renewed_at = None

    def released(self, lease: Object, wall: int) -> Update | None:
        """The write that lets others take over at once; None if the lease is not ours."""
        if lease.view(LeaseView).spec.holder_identity != self.identity:
            return None
        value = lease.decode()
        time = format_micro_time(wall)
        spec = value["spec"]
        spec.update(holderIdentity="", leaseDurationSeconds=1, acquireTime=time, renewTime=time)
        return Update(LEASES, value)

    # ------------------------------------------------------------------ the Lease object

    def _duration(self, seen: LeaseSpecView) -> int:
        return seen.lease_duration_seconds * SECOND if seen.lease_duration_seconds else self.terms.lease_duration

    def _new(self, wall: int) -> Json:
        time = format_micro_time(wall)
        return {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"namespace": self.namespace, "name": self.name},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": self.terms.lease_duration // SECOND,
                "acquireTime": time,
                "renewTime": time,
                "leaseTransitions": 0,
            },
        }

    def _taken(self, lease: Object, wall: int) -> Json:
        value = lease.decode()
        spec: Json = value.setdefault("spec", {})
        time = format_micro_time(wall)
        if spec.get("holderIdentity") != self.identity:
            spec["acquireTime"] = time
            spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + 1
        spec["holderIdentity"] = self.identity
        spec["leaseDurationSeconds"] = self.terms.lease_duration // SECOND
        spec["renewTime"] = time
        return value
