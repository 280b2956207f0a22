"""What is in use: devices given whole, shares of devices, and devices that are taken in another language than claims.

Counts, not sets: what is already given is recorded whatever it says, so a device that two claims name stays in use
until the last one lets go. A share with an id counts once, however many speak of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from roadstead.core.dra.search import InUse
from roadstead.model.dra import Allocation, DeviceId, Share


class Usage:
    """Mutable. `shares`: off, a share takes the whole device (without consumable capacity there are none)."""

    __slots__ = ("_by_id", "_changed", "_in_use", "_shares", "barred", "consumed", "shared", "whole")

    def __init__(self, *, shares: bool = True, changed: Callable[[DeviceId, bool], None] | None = None) -> None:
        """`changed` is told of every device that comes into use as a whole (True) or is free of that again (False)."""
        self.whole: Counter[DeviceId] = Counter()
        self.barred: Counter[DeviceId] = Counter()
        """Those of `whole` that no claim holds."""
        self.shared: Counter[DeviceId] = Counter()
        self.consumed: dict[DeviceId, Counter[str]] = {}
        self._shares = shares
        self._changed = changed
        self._by_id: Counter[tuple[DeviceId, str]] = Counter()
        self._in_use = InUse(self.whole, self.shared, self.consumed, self.barred)

    def view(self) -> InUse:
        """For an attempt to read; changes show in it."""
        return self._in_use

    def hold(self, allocation: Allocation) -> None:
        """Count an allocation's devices as in use; those with admin access are not. O(results)."""
        self._count(allocation, 1)

    def release(self, allocation: Allocation) -> None:
        """Undo `hold`."""
        self._count(allocation, -1)

    def bar(self, device: DeviceId) -> None:
        """Somebody has the device, and not by a claim: it takes nothing from counters."""
        self.barred[device] += 1
        self.hold_device(device)

    def unbar(self, device: DeviceId) -> None:
        """Undo `bar`."""
        self.barred[device] -= 1
        if not self.barred[device]:
            del self.barred[device]
        self._whole(device, -1)

    def hold_device(self, device: DeviceId) -> None:
        """A whole device is in use."""
        self._whole(device, 1)

    def hold_share(self, share: Share) -> None:
        """A share of a device is in use."""
        self._share(share, 1)

    def _count(self, allocation: Allocation, by: int) -> None:
        for result in allocation.results:
            if result.share:
                if result.share_id and not self._is_first_or_last(result.id, result.share_id, by):
                    continue
                self._share(Share(result.id, result.consumed), by)
            elif not result.admin:
                self._whole(result.id, by)

    def _is_first_or_last(self, device: DeviceId, share_id: str, by: int) -> bool:
        key = (device, share_id)
        before = self._by_id[key]
        after = before + by
        if after:
            self._by_id[key] = after
        else:
            del self._by_id[key]
        return not (before and after)

    def _whole(self, device: DeviceId, by: int) -> None:
        before = self.whole[device]
        after = before + by
        if after:
            self.whole[device] = after
        else:
            del self.whole[device]
        if (before == 0) != (after == 0) and self._changed is not None:
            self._changed(device, after != 0)

    def _share(self, share: Share, by: int) -> None:
        if not self._shares:
            self._whole(share.id, by)
            return
        self.shared[share.id] += by
        amounts = self.consumed.setdefault(share.id, Counter())
        for name, amount in share.consumed:
            amounts[name] += by * amount.nano
        if not self.shared[share.id]:
            del self.shared[share.id]
            del self.consumed[share.id]


NOTHING_IN_USE = Usage().view()
"""For questions about an empty fleet."""
