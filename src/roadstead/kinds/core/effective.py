"""What a pod takes of each resource from its containers: the larger of what runs together and of any moment of its
start.

Kubernetes' own rule (component-helpers `PodRequests`, KEP-753): init containers come one after another and alone,
except that those with restart policy Always stay beside all that come after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


def effective(
    together: Iterable[Mapping[str, T]],
    starting: Iterable[tuple[Mapping[str, T], bool]],
    plus: Callable[[T, T], T],
    larger: Callable[[T, T], T],
) -> dict[str, T]:
    """Resource -> amount. `together`: of each container; `starting`: of each init container in order, and whether it
    stays.

    `plus` and `larger` are given what was found first on the left. O(containers x resources).
    """
    running: dict[str, T] = {}
    for own in together:
        _merge(running, own, plus)
    staying: dict[str, T] = {}
    peak: dict[str, T] = {}
    for own, stays in starting:
        if stays:
            _merge(running, own, plus)
            _merge(staying, own, plus)
            moment = staying
        else:
            moment = dict(own)
            _merge(moment, staying, plus)
        _merge(peak, moment, larger)
    _merge(running, peak, larger)
    return running


def _merge(into: dict[str, T], more: Mapping[str, T], how: Callable[[T, T], T]) -> None:
    for name, amount in more.items():
        into[name] = how(into[name], amount) if name in into else amount
