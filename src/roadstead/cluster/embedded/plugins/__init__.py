"""Admission plugins of the embedded world, in the order in which they run.

The life cycle of namespaces is not among them: the write path itself keeps it.
"""

from __future__ import annotations

from roadstead.cluster.embedded.admission import AdmissionPlugin
from roadstead.cluster.embedded.plugins.devices import AdminAccess, DeviceTaintTime
from roadstead.cluster.embedded.plugins.escalation import Escalation
from roadstead.cluster.embedded.plugins.limit_ranges import LimitRanger
from roadstead.cluster.embedded.plugins.nodes import TaintNodesByCondition
from roadstead.cluster.embedded.plugins.pods import DefaultTolerationSeconds, Priority
from roadstead.cluster.embedded.plugins.priority_boost import PriorityBoost
from roadstead.cluster.embedded.plugins.queue_hold import QueueHold
from roadstead.cluster.embedded.plugins.runtime_class import RuntimeClass
from roadstead.cluster.embedded.plugins.service_accounts import ServiceAccount
from roadstead.cluster.embedded.plugins.services import ServiceAddresses


def default_plugins(
    *, default_account_is_given: bool = True, hold: QueueHold | None = None, priority_boost: bool = False
) -> tuple[AdmissionPlugin, ...]:
    """Every plugin that an embedded cluster runs. See `ServiceAccount` for the first option; `hold` holds jobs in
    another way; `priority_boost`: the annotation counts, and is checked."""
    more = (PriorityBoost(),) if priority_boost else ()
    return (
        LimitRanger(),
        ServiceAccount(default_is_given=default_account_is_given),
        TaintNodesByCondition(),
        Priority(),
        DefaultTolerationSeconds(),
        RuntimeClass(),
        AdminAccess(),
        DeviceTaintTime(),
        hold if hold is not None else QueueHold(),
        Escalation(),
        *more,
        ServiceAddresses(),
    )


__all__ = [
    "AdminAccess",
    "DefaultTolerationSeconds",
    "DeviceTaintTime",
    "Escalation",
    "LimitRanger",
    "Priority",
    "PriorityBoost",
    "QueueHold",
    "RuntimeClass",
    "ServiceAccount",
    "ServiceAddresses",
    "TaintNodesByCondition",
    "default_plugins",
]
