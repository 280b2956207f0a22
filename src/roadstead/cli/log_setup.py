"""What the background parts write to their logs."""

from __future__ import annotations

import logging


def log_to_stderr(verbose: bool) -> None:
    """Times, levels, names; every request of the HTTP client only with `verbose`."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.WARNING)
