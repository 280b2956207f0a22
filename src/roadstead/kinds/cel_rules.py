"""Rules of the custom kinds as CEL, for a real server: those of the strategies' rules that need no more than the object itself
and the one before it. Kind -> place in the schema ("spec.podSets.[]", "" is the object) -> (rule, message)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

Rules = Mapping[str, Sequence[tuple[str, str]]]

RULES: Final[Mapping[str, Rules]] = {
    "Placement": {
        "spec": [("self == oldSelf", "a placement does not change; delete it and create another")],
    },
}
