"""What happened, line by line: the tail for people, and a digest of all of it that two runs of one seed share."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Final

TAIL: Final = 120


class History:
    """Lines with their virtual time. `digest()` covers every line; `tail` keeps the last of them."""

    def __init__(self, seconds: Callable[[], float], show: Callable[[str], None] | None = None) -> None:
        """`show` is given each line as it happens (`--trace`)."""
        self._seconds = seconds
        self._show = show
        self._hash = hashlib.blake2b(digest_size=16)
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.lines = 0

    def add(self, who: str, what: str) -> None:
        line = f"{self._seconds():11.4f}  {who:<12} {what}"
        self.lines += 1
        self._hash.update(line.encode())
        self._hash.update(b"\n")
        self.tail.append(line)
        if self._show is not None:
            self._show(line)

    def digest(self) -> str:
        return self._hash.hexdigest()
