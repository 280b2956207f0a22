"""Kueue's own words: reason and message of condition QuotaReserved=False (kueue.md 2.2, 3.5.6, 3.7.2)."""

from __future__ import annotations

from roadstead.core.plan import Verdicts
from roadstead.model.refusals import Code, Refusal


def pending_message(verdicts: Verdicts) -> str:
    """The condition's message: what Kueue says about this outcome."""
    return "; ".join(_sentence(refusal) for refusal in verdicts.refusals)


def _sentence(refusal: Refusal) -> str:
    return refusal.code.value
