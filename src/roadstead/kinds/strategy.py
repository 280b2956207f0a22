"""What a kind does to an object on its way into the store. One base class; each kind overrides what is its own.

Called by `cluster.embedded` in this order (the observable contract of the real server, kubernetes-api section 8):

create:  schema.check (types, unknown fields) -> default -> admission chain -> prepare_create -> validate -> store
update:  the same check and default on the new object -> prepare_update -> admission -> validate_update -> store
delete:  admission -> finalizers / grace / removal

All methods edit or read plain dicts (the decoded whole object) and do no I/O. Generic metadata rules (names, labels,
annotations, owner references, finalizers, generation, uid ...) are not the kind's: `kinds/metadata.py` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from roadstead.expr import syntax
from roadstead.kinds.errors import FieldError
from roadstead.kinds.object import Json


@dataclass(frozen=True, slots=True)
class Column:
    """A Table column. priority > 0 shows with `-o wide` only."""

    name: str
    type: str = "string"  # string | integer | number | boolean | date
    format: str = ""
    priority: int = 0
    description: str = ""
    """"": what any column of that name is described as."""


class ScaleView(Protocol):
    """How an object shows as a Scale (autoscaling/v1), and how a number is written into it."""

    def view(self, obj: Json) -> Json: ...

    def set(self, obj: Json, replicas: int) -> None: ...

    def has_replicas(self, obj: Json) -> bool: ...


class Strategy:
    """Defaults for a kind without rules of its own."""

    has_generation = False
    """metadata.generation is kept: 1 on create, +1 when anything but metadata and status changes."""
    graceful = False
    """DELETE marks first and removes when the agent says so (pods)."""
    create_on_update = False
    """PUT of a missing object creates it (Events, Leases)."""
    unconditional_update = True
    """PUT without resourceVersion is allowed."""
    has_status = False
    """The kind has a status subresource; the main endpoint ignores status and /status ignores the rest."""
    creates_status = False
    """A new object comes with the status its writer gave it (Nodes, which their agents register)."""
    deprecated = ""
    """What everybody is told who uses this version; "": it is not deprecated."""
    scale: ScaleView | None = None
    """For kinds with a scale subresource."""
    name_rule: Callable[[str], Sequence[str]] = staticmethod(syntax.dns_subdomain)
    """What is wrong with a name, as sentences."""
    default_propagation = "Background"
    """What DELETE without a policy does: Jobs orphan."""

    def default(self, obj: Json) -> None:
        """Fill in defaults and canonicalise quantities, in place. Idempotent."""

    def prepare_create(self, obj: Json) -> None:
        """Clear or derive what a client may not set (status, generated selectors), in place. metadata.uid is set
        already."""

    def prepare_update(self, new: Json, old: Json, subresource: str) -> None:
        """Keep from `old` what this endpoint may not change, in place."""

    def validate(self, obj: Json) -> list[FieldError]:
        """Rules beyond the schema, for a new object."""
        return []

    def validate_update(self, new: Json, old: Json, subresource: str) -> list[FieldError]:
        """Rules for a change: by default those of a new object; kinds add immutability."""
        return self.validate(new)

    def errors_of_another_kind(self, obj: Json) -> list[FieldError]:
        """Why an object that says it is of another kind of the group is none of these. For kinds that a definition
        brings."""
        return []

    def warnings(self, obj: Json) -> list[str]:
        """Texts for Warning headers on create and update."""
        return []

    def warnings_of_change(self, new: Json, old: Json) -> list[str]:
        """Texts for Warning headers on update: by default those of a new object."""
        return self.warnings(new)

    def fields(self, obj: Json) -> dict[str, str]:
        """Values of the field selectors this kind supports beyond metadata.name and metadata.namespace."""
        return {}

    field_names: Sequence[str] = ()
    """The keys that `fields` gives: an unknown selector field is a 400."""

    columns: Sequence[Column] = (Column("Name", format="name"), Column("Created At"))

    def cells(self, obj: Json, now: float) -> list[Any]:
        """Table cells, one per column; ages are rendered strings."""
        metadata = obj["metadata"]
        return [metadata["name"], metadata.get("creationTimestamp", "")]

    def row_conditions(self, obj: Json) -> list[Json]:
        """Table row conditions (finished pods carry Completed)."""
        return []
