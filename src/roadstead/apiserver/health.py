"""/healthz, /livez, /readyz and their named checks, in the real server's words (k8s.io/apiserver
pkg/server/healthz)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias
from urllib.parse import parse_qs

from roadstead.apiserver.responses import Exchange

log = logging.getLogger(__name__)

Check: TypeAlias = Callable[[], str | None]
"""None, or what is wrong."""

ENDPOINTS: Final = ("healthz", "livez", "readyz")
PING: Final = "ping"
READY_ONLY: Final = frozenset({"informer-sync", "shutdown"})
"""Checks of /readyz alone: a server that still lists, or that is stopping, is alive and must not be restarted for
it."""
_PLAIN: Final = ((b"x-content-type-options", b"nosniff"),)


class Health:
    """Answers for all three. `checks` by name, in the order in which they are listed."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self.checks: Mapping[str, Check] = checks

    def paths(self) -> list[str]:
        """Every path that is served."""
        return [f"/{path}" for endpoint in ENDPOINTS for path in (endpoint, *self._paths_of(endpoint))]

    def _paths_of(self, endpoint: str) -> list[str]:
        return [f"{endpoint}/{name}" for name in self._of(endpoint)]

    def _of(self, endpoint: str) -> dict[str, Check]:
        chosen = {name: check for name, check in self.checks.items() if endpoint == "readyz" or name not in READY_ONLY}
        return {PING: lambda: None, **chosen}

    def knows(self, path: str) -> bool:
        _, endpoint, *name = path.split("/")
        return endpoint in ENDPOINTS and (not name or (len(name) == 1 and name[0] in self._of(endpoint)))

    async def serve(self, exchange: Exchange, path: str) -> None:
        """Answer; `path` must be known."""
        _, endpoint, *name = path.split("/")
        if name:
            problem = self._of(endpoint)[name[0]]()
            if problem is None:
                await exchange.reply_text(200, "ok", _PLAIN)
            else:
                await exchange.reply_text(500, f"internal server error: {problem}\n", _PLAIN)
            return
        query = parse_qs(exchange.query_string.decode("latin-1"), keep_blank_values=True)
        lines, problems = self._look(endpoint, set(query.get("exclude", ())))
        if problems:
            log.info("%s check failed: %s", endpoint, "; ".join(problems))
            await exchange.reply_text(500, "\n".join([*lines, f"{endpoint} check failed\n"]), _PLAIN)
        elif "verbose" in query:
            await exchange.reply_text(200, "\n".join([*lines, f"{endpoint} check passed\n"]), _PLAIN)
        else:
            await exchange.reply_text(200, "ok", _PLAIN)

    def _look(self, endpoint: str, excluded: set[str]) -> tuple[list[str], list[str]]:
        """(one line for each check, what is wrong). The real server withholds the reason; who asks ours has shown who
        they are."""
        lines, problems = [], []
        for name, check in self._of(endpoint).items():
            if name in excluded:
                excluded.discard(name)
                lines.append(f"[+]{name} excluded: ok")
                continue
            problem = check()
            if problem is None:
                lines.append(f"[+]{name} ok")
            else:
                problems.append(f"{name}: {problem}")
                lines.append(f"[-]{name} failed: {problem}")
        if excluded:
            names = ", ".join(f'"{name}"' for name in sorted(excluded))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
        return lines, problems
