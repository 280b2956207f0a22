"""What the kinds that keep pods running share: the pod template and its selector, status numbers, the scale
subresource, cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from roadstead.expr import selectors, syntax
from roadstead.kinds import errors
from roadstead.kinds.builtin import StatusStrategy
from roadstead.kinds.core import checks, pod_spec
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json
from roadstead.kinds.registry import Subresource

SCALE: Final = Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1")
TOO_MANY: Final = "cannot be greater than status.replicas"
_KEPT_BY_SCALE: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class ReplicasScale:
    """`spec.replicas`, `status.replicas` and `spec.selector` of an object as a Scale (kubernetes
    `pkg/registry/apps`)."""

    def view(self, obj: Json) -> Json:
        """The Scale object of an object (autoscaling/v1)."""
        metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
        replicas = spec.get("replicas", 0)
        counted: Json = {"replicas": status.get("replicas", 0)}
        selector = printed_selector(spec.get("selector"))
        if selector:
            counted["selector"] = selector
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {name: metadata[name] for name in _KEPT_BY_SCALE if name in metadata},
            "spec": {"replicas": replicas} if replicas else {},
            "status": counted,
        }

    def set(self, obj: Json, replicas: int) -> None:
        """Write the number where the object keeps it, in place."""
        obj["spec"]["replicas"] = replicas

    def has_replicas(self, obj: Json) -> bool:
        """The object says how many it wants."""
        return True


class TemplateStrategy(StatusStrategy):
    """A kind with `spec.template` that keeps `spec.replicas` pods of it."""

    has_generation = True
    scale = ReplicasScale()

    def warnings(self, obj: Json) -> list[str]:
        found = []
        problems = syntax.dns_label(obj["metadata"].get("name", ""))
        if problems and self.names_pods_loosely:
            why = "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended"
            found.append(f"metadata.name: {why}: [{' '.join(problems)}]")
        return [*found, *self._template_warnings(obj)]

    names_pods_loosely = True
    """Names that are no DNS labels are allowed, with a warning."""

    def warnings_of_change(self, new: Json, old: Json) -> list[str]:
        return self._template_warnings(new) if self.is_new_generation(new, old) else []

    def is_new_generation(self, new: Json, old: Json) -> bool:
        """The change is one that metadata.generation counts."""
        return bool(new["spec"] != old["spec"])

    def _template_warnings(self, obj: Json) -> list[str]:
        return pod_spec.warnings(obj["spec"]["template"]["spec"], "spec.template.spec")


def validate_selector(spec: Json, whose: str, found: list[FieldError]) -> bool:
    """`spec.selector`; False if no selector can be made of it."""
    selector = spec.get("selector")
    if selector is None:
        found.append(errors.required("spec.selector"))
        return True
    before = len(found)
    checks.label_selector(selector, "spec.selector", found)
    is_sound = len(found) == before
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(invalid("spec.selector", selector, f"empty selector is invalid for {whose}"))
    return is_sound


def validate_labels(spec: Json, found: list[FieldError]) -> None:
    """The template's labels are such that the selector finds its pods. Without a selector, none are; an empty one is
    told elsewhere."""
    selector = selectors.from_object(spec.get("selector"))
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if selector is None or (selector.requirements and not selectors.matches_selector(selector, labels or {})):
        why = "`selector` does not match template `labels`"
        found.append(invalid("spec.template.metadata.labels", labels, why))


def validate_replica_template(spec: Json, found: list[FieldError]) -> None:
    """`ValidatePodTemplateSpecForReplicaSet`."""
    validate_labels(spec, found)
    found += pod_spec.validate_template(spec["template"], "spec.template")
    pod = spec["template"]["spec"]
    if pod.get("restartPolicy") != "Always":
        found.append(
            errors.not_supported("spec.template.spec.restartPolicy", pod.get("restartPolicy", ""), ("Always",))
        )
    if pod.get("activeDeadlineSeconds") is not None:
        why = "activeDeadlineSeconds in ReplicaSet is not Supported"
        found.append(errors.forbidden("spec.template.spec.activeDeadlineSeconds", why))


def counts(status: Json, names: Sequence[str], found: list[FieldError]) -> None:
    """Numbers of a status that may not be below 0."""
    for name in names:
        checks.not_negative(status.get(name), f"status.{name}", found)


def not_above(status: Json, names: Sequence[str], found: list[FieldError]) -> None:
    """Numbers of a status that may not exceed `replicas`."""
    for name in names:
        if status.get(name, 0) > status.get("replicas", 0):
            found.append(invalid(f"status.{name}", status.get(name, 0), TOO_MANY))


def available_within_ready(status: Json, whole: str, found: list[FieldError]) -> None:
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        why = f"cannot be greater than {whole}"
        found.append(invalid("status.availableReplicas", status.get("availableReplicas", 0), why))


def collisions_grow(new: Json, old: Json, found: list[FieldError]) -> None:
    """`status.collisionCount` never goes back."""
    count, before = new.get("collisionCount"), old.get("collisionCount")
    if before is not None and (count is None or count < before):
        found.append(invalid("status.collisionCount", count or 0, "cannot be decremented"))


def immutable(name: str, new: Json, old: Json, found: list[FieldError]) -> None:
    if new.get(name) != old.get(name):
        found.append(invalid(f"spec.{name}", new.get(name), "field is immutable"))


def printed_selector(selector: Json | None) -> str:
    """A LabelSelector in the grammar's own words, expressions always as sets; "" if it is empty or none."""
    words = [(key, f"{key}={value}") for key, value in ((selector or {}).get("matchLabels") or {}).items()]
    for asked in (selector or {}).get("matchExpressions") or ():
        key, values = asked["key"], ",".join(sorted(asked.get("values") or ()))
        shown = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        words.append((key, shown.get(asked.get("operator", ""), key)))
    return ",".join(text for _, text in sorted(words))


def container_cells(spec: Json) -> list[Any]:
    """Names and images of a template's containers, each list as one cell."""
    containers = spec["template"]["spec"].get("containers") or ()
    return [",".join(container.get(name, "") for container in containers) for name in ("name", "image")]
