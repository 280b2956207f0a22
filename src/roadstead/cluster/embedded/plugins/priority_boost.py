"""PriorityBoost: where the annotation counts (gate PriorityBoost), it must say a number (KEP-7990; kueue.md 2.13)."""

from __future__ import annotations

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.kinds.errors import invalid_object
from roadstead.kinds.kueue.priority_boost import boost_errors
from roadstead.kinds.names import WORKLOADS


class PriorityBoost:
    """Looks at Workloads that are created or changed."""

    def admit(self, request: AdmissionRequest) -> None:
        if request.kind.resource != WORKLOADS or request.subresource or request.object is None:
            return
        problems = boost_errors(request.object)
        if problems and (request.old is None or boost_errors(request.old) != problems):
            raise invalid_object(WORKLOADS.group, request.kind.kind, request.name, problems)
