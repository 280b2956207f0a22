"""Label and field selectors of list, watch and deletecollection, compiled once per request."""

from __future__ import annotations

from roadstead.cluster.embedded.history import Change
from roadstead.expr.selectors import FieldTerm, Selector, SelectorError, parse_field_selector, parse_label_selector
from roadstead.kinds.errors import bad_request
from roadstead.kinds.names import JOBS
from roadstead.kinds.object import Object
from roadstead.kinds.registry import Kind

_METADATA_FIELDS = ("metadata.name", "metadata.namespace")


class Selection:
    """Which objects of a kind a request is about. `everything` is True if it narrows nothing."""

    def __init__(self, kind: Kind, label_selector: str, field_selector: str, name: str = "") -> None:
        """Raises StatusError 400 for a selector that cannot be parsed or a field that the kind does not offer."""
        self._strategy = kind.strategy
        try:
            self._labels: Selector = parse_label_selector(label_selector)
            terms = parse_field_selector(field_selector)
        except SelectorError as error:
            raise bad_request(str(error)) from error
        self._metadata_terms: list[FieldTerm] = [FieldTerm("metadata.name", "=", name)] if name else []
        self._field_terms: list[FieldTerm] = []
        for term in terms:
            if term.field in _METADATA_FIELDS:
                self._metadata_terms.append(term)
            elif term.field in kind.strategy.field_names:
                self._field_terms.append(term)
            else:
                raise bad_request(_unknown(kind, term.field))
        self.everything = not (self._labels.requirements or self._metadata_terms or self._field_terms)

    def matches(self, found: Object) -> bool:
        """Whether the object is selected. Decodes it only if fields of its kind are asked for."""
        if self.everything:
            return True
        if not self._matches_metadata(found):
            return False
        return not self._field_terms or self._fields_hold(self._fields_of(found))

    def matches_side(self, change: Change, side: Object) -> bool:
        """The same for `change.object` or `change.previous`, sharing the decoding with the other watchers."""
        if self.everything:
            return True
        if not self._matches_metadata(side):
            return False
        return not self._field_terms or self._fields_hold(change.field_values(side, self._fields_of))

    @property
    def anchor(self) -> tuple[str, str] | None:
        """A (field, value) that all selected objects have, if the field selector demands one: who serves many
        selections looks up which of them a change can concern at all."""
        for term in (*self._field_terms, *self._metadata_terms):
            if term.op == "=":
                return term.field, term.value
        return None

    def values_of(self, change: Change, field: str) -> tuple[str, ...] | None:
        """What `field` was before a change and is after it; None if it is not known what it was."""
        meta = change.object.meta
        if field in _METADATA_FIELDS:  # these never change
            return (meta.name if field == "metadata.name" else meta.namespace,)
        now = change.field_values(change.object, self._fields_of).get(field, "")
        if change.previous is not None:
            return now, change.field_values(change.previous, self._fields_of).get(field, "")
        return None if change.type == "MODIFIED" else (now,)

    def _matches_metadata(self, found: Object) -> bool:
        meta = found.meta
        for term in self._metadata_terms:
            value = meta.name if term.field == "metadata.name" else meta.namespace
            if (value == term.value) != (term.op == "="):
                return False
        return self._labels.matches(meta.labels)

    def _fields_of(self, found: Object) -> dict[str, str]:
        return self._strategy.fields(found.decode())

    def _fields_hold(self, values: dict[str, str]) -> bool:
        return all((values.get(term.field, "") == term.value) == (term.op == "=") for term in self._field_terms)


def _unknown(kind: Kind, field: str) -> str:
    """Three ways to say it, as the real server has them."""
    if kind.resource == JOBS:
        return f'field label "{field}" not supported for "Job"'
    if kind.is_custom or kind.strategy.field_names:
        return f"field label not supported: {field}"
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
