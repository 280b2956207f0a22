"""Whether a pod may be evicted now, and whose budget that costs (kubernetes
`pkg/registry/core/pod/storage/eviction.go`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from roadstead.expr.selectors import from_object, matches_selector
from roadstead.kinds.errors import StatusError, access_denied
from roadstead.kinds.names import DISRUPTION_BUDGETS
from roadstead.kinds.object import Json, Object, Resource
from roadstead.kinds.policy.disruption_budget import tell_allowed
from roadstead.kinds.times import format_time
from roadstead.kinds.views.common import find_condition, has_condition
from roadstead.kinds.views.pod import PodView
from roadstead.kinds.views.policy import BudgetView

MOST_DISRUPTED: Final = 2000
"""Evictions that the controller has not confirmed yet."""
_REFUSED: Final = "Cannot evict pod as it would violate the pod's disruption budget."
_TWO: Final = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


def check_eviction(pod: Object, budgets: Sequence[Object], now: int) -> tuple[Object, Json] | None:
    """The budget that evicting this pod costs, as stored and as it is to be written; None if it costs none.

    `budgets` are those of the pod's namespace. Raises StatusError: 429 if the budget is used up, 403, 500 if there are
    two.
    """
    view = pod.view(PodView)
    if view.status.phase in ("Succeeded", "Failed", "Pending") or pod.meta.deletion_timestamp:
        return None
    concerned = [budget for budget in budgets if _covers(budget, pod)]
    if len(concerned) > 1:
        raise StatusError(500, "", _TWO)
    if not concerned:
        return None
    budget = concerned[0].view(BudgetView)
    if not has_condition(view.status.conditions, "Ready"):
        status = budget.status
        if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
            return None
        if status.current_healthy >= status.desired_healthy > 0:
            return None  # it does not count among the healthy, and those are enough
    return concerned[0], _charged(concerned[0], budget, pod.meta.name, now)


def _covers(budget: Object, pod: Object) -> bool:
    return matches_selector(from_object(budget.view(BudgetView).spec.selector), pod.meta.labels)


def _charged(stored: Object, budget: BudgetView, pod: str, now: int) -> Json:
    status, name = budget.status, stored.meta.name
    where = Resource(DISRUPTION_BUDGETS.group, DISRUPTION_BUDGETS.version, "poddisruptionbudget")
    if status.observed_generation < stored.meta.generation:
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", 10)
    if status.disruptions_allowed < 0:
        raise access_denied(where, name, "pdb disruptions allowed is negative")
    if len(status.disrupted_pods) > MOST_DISRUPTED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise access_denied(where, name, why)
    if status.disruptions_allowed == 0:
        raise _too_many(_used_up(name, budget), 0)
    value = stored.decode()
    value["status"]["disruptionsAllowed"] -= 1
    if not value["status"]["disruptionsAllowed"]:
        tell_allowed(value["status"], now)
    value["status"].setdefault("disruptedPods", {})[pod] = format_time(now)
    return value


def _used_up(name: str, budget: BudgetView) -> str:
    status = budget.status
    condition = find_condition(status.conditions, "DisruptionAllowed")
    speaks = condition is not None and condition.status == "False" and bool(condition.message)
    if condition is not None and speaks and condition.reason == "SyncFailed":
        why = f"does not allow evicting pods currently because it failed sync: {condition.message}"
    elif status.current_healthy <= status.desired_healthy:
        why = f"needs {status.desired_healthy} healthy pods and has {status.current_healthy} currently"
    elif condition is not None and speaks:
        why = f"does not allow evicting pods currently ({condition.reason}): {condition.message}"
    else:
        why = "does not allow evicting pods currently"
    return f"The disruption budget {name} {why}"


def _too_many(why: str, retry_after: int) -> StatusError:
    cause = {"reason": "DisruptionBudget", "message": why}
    return StatusError(429, "TooManyRequests", _REFUSED, {"causes": [cause]}, retry_after)
