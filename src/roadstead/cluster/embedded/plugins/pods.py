"""What the real server's built-in admission does to pods: priority, default tolerations (kubernetes-api 17.1).

Texts are the real server's (k8s plugin/pkg/admission/{priority,defaulttolerationseconds}).
"""

from __future__ import annotations

from typing import Final

from roadstead.cluster.embedded.admission import AdmissionRequest
from roadstead.kinds.errors import access_denied
from roadstead.kinds.names import PODS, PRIORITY_CLASSES
from roadstead.kinds.object import Json, Object

PREEMPT_LOWER: Final = "PreemptLowerPriority"
TOLERATION_SECONDS: Final = 300
NODE_TROUBLES: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def _is_pod_write(request: AdmissionRequest, *operations: str) -> bool:
    return (
        request.kind.resource == PODS
        and not request.subresource
        and request.object is not None
        and request.operation in operations
    )


class Priority:
    """Resolves `priorityClassName` to `priority` and `preemptionPolicy`; a pod without a class gets the global default,
    or 0."""

    def admit(self, request: AdmissionRequest) -> None:
        if not _is_pod_write(request, "CREATE", "UPDATE"):
            return
        assert request.object is not None
        spec = request.object["spec"]
        if request.operation == "UPDATE":
            self._keep(spec, (request.old or {}).get("spec") or {})
            return
        value, policy = self._resolve(request, spec)
        if spec.get("priority") not in (None, value):
            raise self._refused(
                request,
                f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name",
            )
        if spec.get("preemptionPolicy") not in (None, policy):
            raise self._refused(
                request,
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name",
            )
        spec["priority"] = value
        spec["preemptionPolicy"] = policy

    @staticmethod
    def _keep(spec: Json, old: Json) -> None:
        """A client that does not know the derived fields may leave them out of an update."""
        for name in ("priority", "preemptionPolicy"):
            if spec.get(name) is None and old.get(name) is not None:
                spec[name] = old[name]

    def _resolve(self, request: AdmissionRequest, spec: Json) -> tuple[int, str]:
        name = spec.get("priorityClassName") or ""
        if not name:
            found = self._global_default(request)
            if found is None:
                return 0, PREEMPT_LOWER
            spec["priorityClassName"] = found.meta.name
        else:
            wanted = request.lookup(PRIORITY_CLASSES, "", name)
            if wanted is None:
                raise self._refused(request, f"no PriorityClass with name {name} was found")
            found = wanted
        value = found.decode()
        return int(value.get("value", 0)), str(value.get("preemptionPolicy") or PREEMPT_LOWER)

    @staticmethod
    def _global_default(request: AdmissionRequest) -> Object | None:
        """The PriorityClass for everybody; the lowest if several say so (kueue 2.13, k8s alike)."""
        defaults = [
            (value.get("value", 0), item.meta.name, item)
            for item in request.list_all(PRIORITY_CLASSES)
            if (value := item.decode()).get("globalDefault")
        ]
        return min(defaults, key=lambda entry: entry[:2])[2] if defaults else None

    @staticmethod
    def _refused(request: AdmissionRequest, why: str) -> Exception:
        return access_denied(PODS, request.name, why)


class DefaultTolerationSeconds:
    """A pod that says nothing about an unready or unreachable node stays there for 300 seconds before it is evicted."""

    def admit(self, request: AdmissionRequest) -> None:
        if not _is_pod_write(request, "CREATE", "UPDATE"):
            return
        assert request.object is not None
        spec = request.object["spec"]
        present = spec.get("tolerations") or []
        missing = [key for key in NODE_TROUBLES if not any(self._covers(toleration, key) for toleration in present)]
        if missing:
            spec["tolerations"] = present + [
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
                for key in missing
            ]

    @staticmethod
    def _covers(toleration: Json, key: str) -> bool:
        return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")
