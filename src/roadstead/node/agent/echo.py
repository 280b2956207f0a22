"""Reading one's own writes: which of the versions that an informer brings are older than what we wrote ourselves.

Versions are opaque, but come in order. After a write made version V, everything until V arrives is old news; V may also
have arrived before the write was answered.
"""

from __future__ import annotations

from collections import deque

from roadstead.kinds.object import Object

ECHO_SECONDS = 2.0
"""After this the informer must have skipped V (it listed again): read."""


class Echo:
    def __init__(self) -> None:
        self.awaited = ""
        self._since = 0.0
        self._seen: deque[str] = deque(maxlen=32)
        self._newest: Object | None = None

    def is_news(self, new: Object | None) -> bool:
        """An informer brought `new` (None: gone): is it at least as new as our last write?"""
        if new is None:
            self.awaited = ""
            return True
        self._seen.append(new.meta.resource_version)
        self._newest = new
        if self.awaited == new.meta.resource_version:
            self.awaited = ""
        return not self.awaited

    def wrote(self, obj: Object, now: float) -> Object:
        """Our write was answered with `obj`; the newest version known."""
        if obj.meta.resource_version in self._seen and self._newest is not None:
            self.awaited = ""
            return self._newest
        self.awaited = obj.meta.resource_version
        self._since = now
        return obj

    def is_overdue(self, now: float) -> bool:
        """Should the informer have brought our write by now?"""
        return bool(self.awaited) and now >= self._since + ECHO_SECONDS
