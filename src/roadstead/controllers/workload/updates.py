"""What admission checks add to the pods of a workload when its job starts: `podSetUpdates` of the checks that are ready (kueue 6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from roadstead.controllers.checks import CheckState
from roadstead.integrations.base import CannotInject, PodSetInfo
from roadstead.kinds.views.kueue import CheckStateView


def with_updates(infos: Sequence[PodSetInfo], states: Iterable[CheckStateView]) -> list[PodSetInfo]:
    """The infos with everything that ready checks ask for. CannotInject if two of them, or one and the flavor, want different values
    of one key."""
    found = {info.name: info for info in infos}
    for check in states:
        if check.state != CheckState.READY:
            continue
        for update in check.pod_set_updates:
            info = found.get(update.get("name", ""))
            if info is not None:
                found[info.name] = _merged(info, update, check.name)
    return [found[info.name] for info in infos]


def _merged(info: PodSetInfo, update: Mapping[str, object], check: str) -> PodSetInfo:
    tolerations = update.get("tolerations") or ()
    assert isinstance(tolerations, list | tuple)
    return replace(
        info,
        labels=_both(info.labels, update.get("labels"), info.name, "label", check),
        annotations=_both(info.annotations, update.get("annotations"), info.name, "annotation", check),
        node_selector=_both(info.node_selector, update.get("nodeSelector"), info.name, "node selector", check),
        tolerations=[*info.tolerations, *(dict(each) for each in tolerations)],
    )


def _both(present: Mapping[str, str], more: object, pod_set: str, what: str, check: str) -> dict[str, str]:
    additions = more if isinstance(more, dict) else {}
    for key, value in additions.items():
        if present.get(key, value) != value:
            raise CannotInject(
                f'pod set {pod_set}: {what} "{key}" would have to be "{present[key]}" and, for admission check {check}, "{value}"; '
                f"ask an administrator to make the check and the flavor agree"
            )
    return {**present, **additions}
