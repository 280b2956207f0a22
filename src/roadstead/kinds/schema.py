"""A kind's schema, compiled from the recorded facts: types, required, defaults, enums, list types, merge keys."""

from __future__ import annotations


class Schema:
    """Placeholder until the facts are loaded."""
