"""What may change in a pod after it was created: images, deadlines, added tolerations, removed gates
(`ValidatePodUpdate`)."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any, Final

from roadstead.expr import syntax
from roadstead.kinds import errors
from roadstead.kinds.core import checks
from roadstead.kinds.core.pod_spec import validate_pod_spec
from roadstead.kinds.errors import FieldError, invalid
from roadstead.kinds.object import Json

_UPDATABLE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_TERMS: Final = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def validate_pod_update(new: Json, old: Json) -> list[FieldError]:
    """Problems of a change to the main endpoint. `new` is defaulted."""
    spec, before = new["spec"], old["spec"]
    found = validate_pod_spec(spec, "spec")
    for name in ("containers", "initContainers"):
        if not _containers(spec.get(name) or [], before.get(name) or [], f"spec.{name}", found):
            return found
    if not _deadline(spec, before, found):
        return found
    _tolerations(spec, before, found)
    _gates(spec, before, found)
    if spec == before:
        return found
    munged = _munged(spec, before, found)
    if munged != before:
        found.append(errors.forbidden("spec", f"{_UPDATABLE}\n{_difference(munged, before)}"))
    return found


def _containers(new: list[Json], old: list[Json], path: str, found: list[FieldError]) -> bool:
    if len(new) != len(old):
        found.append(errors.forbidden(path, "pod updates may not add or remove containers"))
        return False
    for i, container in enumerate(new):
        image = container.get("image", "")
        if not image:
            found.append(errors.required(f"{path}[{i}].image"))
        elif image != image.strip():
            found.append(invalid(f"{path}[{i}].image", image, "must not have leading or trailing whitespace"))
    return True


def _deadline(spec: Json, before: Json, found: list[FieldError]) -> bool:
    path = "spec.activeDeadlineSeconds"
    new, old = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new is not None:
        if not 0 <= new <= checks.MAX_INT32:
            found.append(invalid(path, new, checks.between(0, checks.MAX_INT32)))
            return False
        if old is not None and old < new:
            found.append(invalid(path, new, "must be less than or equal to previous value"))
            return False
    elif old is not None:
        found.append(invalid(path, None, "must not update from a positive integer to nil value"))
    return True


def _tolerations(spec: Json, before: Json, found: list[FieldError]) -> None:
    """Old ones stay (their tolerationSeconds may change), new ones may come."""
    now = [_without_seconds(toleration) for toleration in spec.get("tolerations") or ()]
    for old in before.get("tolerations") or ():
        if _without_seconds(old) not in now:
            why = "existing toleration can not be modified except its tolerationSeconds"
            found.append(errors.forbidden("spec.tolerations", why))
            return


def _without_seconds(toleration: Json) -> Json:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _gates(spec: Json, before: Json, found: list[FieldError]) -> None:
    had = [gate["name"] for gate in before.get("schedulingGates") or ()]
    added = [gate["name"] for gate in spec.get("schedulingGates") or () if gate["name"] not in had]
    if added:
        listed = ", ".join(added)
        why = f"only deletion is allowed, but found new scheduling gates '{{{listed}: {{}}}}'"
        found.append(errors.forbidden("spec.schedulingGates", why))


def _munged(spec: Json, before: Json, found: list[FieldError]) -> Json:
    """The new spec with everything that may change put back, so that what is left must be equal."""
    munged = copy.deepcopy(spec)
    for name in ("containers", "initContainers"):
        for container, old in zip(munged.get(name) or (), before.get(name) or (), strict=True):
            container["image"] = old.get("image", "")
    for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _put_back(munged, before, name)
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and munged.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    if before.get("schedulingGates"):
        _node_selector(munged, before, found)
        _node_affinity(munged, before, found)
    return munged


def _put_back(munged: Json, before: Json, name: str) -> None:
    if name in before:
        munged[name] = before[name]
    else:
        munged.pop(name, None)


def _node_selector(munged: Json, before: Json, found: list[FieldError]) -> None:
    """A gated pod's node selector may only become narrower."""
    new, old = munged.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(new.get(key) != value for key, value in old.items()):
        why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        found.append(invalid("spec.nodeSelector", new or None, why))
    _put_back(munged, before, "nodeSelector")


def _node_affinity(munged: Json, before: Json, found: list[FieldError]) -> None:
    """A gated pod's required node affinity may only become narrower; preferences are free."""
    new = (munged.get("affinity") or {}).get("nodeAffinity") or {}
    old = (before.get("affinity") or {}).get("nodeAffinity") or {}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = (new.get(required) or {}).get("nodeSelectorTerms") or []
    had = (old.get(required) or {}).get("nodeSelectorTerms") or []
    if had:
        if len(terms) != len(had):
            why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
            found.append(invalid(_TERMS, terms or None, why))
        else:
            for i, (term, was) in enumerate(zip(terms, had, strict=True)):
                if not _only_narrowed(term, was):
                    why = "only additions are allowed (no mutations or deletions)"
                    found.append(invalid(f"{_TERMS}[{i}]", term, why))
    affinity = munged.get("affinity") or {}
    if old:
        munged["affinity"] = {**affinity, "nodeAffinity": old}
    elif "affinity" in munged:
        rest = {key: value for key, value in affinity.items() if key != "nodeAffinity"}
        if rest or "affinity" in before:
            munged["affinity"] = rest
        else:
            del munged["affinity"]


def _only_narrowed(term: Json, was: Json) -> bool:
    if not was.get("matchExpressions") and not was.get("matchFields"):
        return term == was  # a term that matches nothing stays as it is
    return all(
        requirement in (term.get(name) or ())
        for name in ("matchExpressions", "matchFields")
        for requirement in was.get(name) or ()
    )


def _difference(new: Any, old: Any) -> str:
    """What still differs, as old and new lines of JSON."""
    lines = []
    for name in sorted({*new, *old}):
        if new.get(name) != old.get(name):
            lines.append(f'-  "{name}": {json.dumps(new.get(name), sort_keys=True)}')
            lines.append(f'+  "{name}": {json.dumps(old.get(name), sort_keys=True)}')
    return "\n".join(lines)


def validate_pod_status_update(new: Json, old: Json) -> list[FieldError]:
    """Problems of a change to /status: a container that has ended stays ended unless it may restart."""
    status, before = new.get("status") or {}, old.get("status") or {}
    found: list[FieldError] = []
    if before.get("qosClass") and status.get("qosClass", "") != before["qosClass"]:
        found.append(invalid("status.qosClass", status.get("qosClass", ""), "field is immutable"))
    _claims_made(status.get("resourceClaimStatuses") or (), old["spec"].get("resourceClaims") or (), found)
    policy = old["spec"].get("restartPolicy", "Always")
    if policy != "Always":
        now = {entry.get("name"): (i, entry) for i, entry in enumerate(status.get("containerStatuses") or ())}
        for entry in before.get("containerStatuses") or ():
            ended = (entry.get("state") or {}).get("terminated")
            if ended is None or (policy == "OnFailure" and ended.get("exitCode", 0) != 0):
                continue
            i, after = now.get(entry.get("name"), (0, None))
            if after is not None and "terminated" not in (after.get("state") or {}):
                why = "may not be transitioned to non-terminated state"
                found.append(errors.forbidden(f"status.containerStatuses[{i}].state", why))
    return found


def _claims_made(statuses: Sequence[Json], claims: Sequence[Json], found: list[FieldError]) -> None:
    """Which claims were made for the pod: one for each of its own names at most."""
    names = {claim["name"] for claim in claims}
    seen: set[str] = set()
    for i, made in enumerate(statuses):
        path, name = f"status.resourceClaimStatuses[{i}]", made.get("name", "")
        if name not in names:
            found.append(invalid(f"{path}.name", name, "must match the name of an entry in `spec.resourceClaims`"))
        if name in seen:
            found.append(errors.duplicate(f"{path}.name", name))
        seen.add(name)
        claim = made.get("resourceClaimName")
        if claim is not None:
            found.extend(invalid(f"{path}.resourceClaimName", claim, why) for why in syntax.dns_subdomain(claim))
