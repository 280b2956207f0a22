"""How a command line is refused: lines on stderr, each after the command's name, and an exit status."""

from __future__ import annotations

from typing import Final

INVALID_GRES: Final = "Invalid generic resource (gres) specification"
INVALID_GRES_TYPE: Final = "Invalid GRES specification (with and without type identification)"
INVALID_TRES: Final = "Invalid Trackable RESource (TRES) specification"
INVALID_FEATURE: Final = "Invalid feature specification"
INVALID_NODE_COUNT: Final = "Node count specification invalid"
INVALID_NODE_NAME: Final = "Invalid node name specified"
NODE_CONFIGURATION: Final = "Requested node configuration is not available"


class Refused(Exception):
    """The command ends here. `lines` go to stderr after `sbatch: `; `code` is the exit status (255 where an option is malformed)."""

    def __init__(self, *lines: str, code: int = 1, before: tuple[str, ...] = (), bare: tuple[str, ...] = ()) -> None:
        super().__init__("; ".join((*before, *lines, *bare)))
        self.before = before
        """Lines printed first, without the command's name in front."""
        self.lines = lines
        self.code = code
        self.bare = bare
        """Lines printed last, without the command's name in front."""


class Rejected(Exception):
    """The controller says no, in the frame of the command: `sbatch: error: Batch job submission failed: TEXT`. `before`: lines
    the controller sends along."""

    def __init__(self, text: str, *before: str) -> None:
        super().__init__(text)
        self.text = text
        self.before = before
