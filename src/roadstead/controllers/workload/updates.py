"""What admission checks add to the pods of a workload when its job starts: `podSetUpdates` of the checks that are ready
(kueue 6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from roadstead.controllers.checks import CheckState
from roadstead.integrations.base import CannotInject, PodSetInfo
from roadstead.kinds.names import NODES
from roadstead.kinds.object import Object
from roadstead.kinds.views.kueue import CheckStateView
from roadstead.kinds.views.placement import PlacementView
from roadstead.runtime.step import Read


def with_updates(infos: Sequence[PodSetInfo], states: Iterable[CheckStateView]) -> list[PodSetInfo]:
    """The infos with everything that ready checks ask for. CannotInject if two of them, or one and the flavor, want
    different values of one key."""
    found = {info.name: info for info in infos}
    for check in states:
        if check.state != CheckState.READY:
            continue
        for update in check.pod_set_updates:
            info = found.get(update.get("name", ""))
            if info is not None:
                found[info.name] = _merged(info, update, check.name)
    return [found[info.name] for info in infos]


def check_place(states: Iterable[CheckStateView], placement: Object | None, read: Read) -> None:
    """CannotInject if a ready check's node selector excludes a node that the workload has got already: places are found
    with the reservation, before checks have said anything."""
    if placement is None:
        return
    members = {pod_set.name: pod_set.members for pod_set in placement.view(PlacementView).spec.pod_sets}
    for check in states:
        for update in check.pod_set_updates if check.state == CheckState.READY else ():
            wanted = update.get("nodeSelector") or {}
            for member in members.get(update.get("name", ""), ()) if wanted else ():
                node = read.get(NODES, "", member.node)
                labels = node.meta.labels if node is not None else {}
                wrong = next((key for key, value in wanted.items() if labels.get(key) != value), None)
                if wrong is not None:
                    raise CannotInject(
                        f'admission check {check.name} wants pods on nodes with {wrong}="{wanted[wrong]}", and node {member.node}, '
                        f'where the reservation has placed one, has "{labels.get(wrong, "")}"; let the check apply to a flavor '
                        f"whose nodeLabels say so"
                    )


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
