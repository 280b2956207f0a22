"""Bearer tokens: a file of lines `token,user,uid,"group1,group2"`, kube-apiserver's static token file.

Tokens are looked up by their digest, so the time that a look-up takes says nothing about a token.
"""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from roadstead.auth.files import write_private
from roadstead.auth.identity import AUTHENTICATED, MASTERS, Identity

ADMIN: Final = "admin"


class Tokens:
    """The tokens that are accepted, each with the identity it stands for."""

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        self._identities: dict[bytes, Identity] = {}
        self._by_user: dict[str, str] = {}
        for row in rows:
            token, user = row[0], row[1]
            groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
            self._identities[_digest(token)] = Identity(user, (*groups, AUTHENTICATED), row[2] if len(row) > 2 else "")
            self._by_user.setdefault(user, token)

    @classmethod
    def load_or_create(cls, path: Path) -> Tokens:
        """The tokens in `path`; a file with one new token for `admin` (group system:masters) if there is none.

        Raises ValueError if a line is not `token,user,uid[,"groups"]`.
        """
        if not path.exists():
            token = secrets.token_urlsafe(32)
            write_private(path, f'{token},{ADMIN},{ADMIN},"system:masters"\n'.encode())
        rows = []
        for number, row in enumerate(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))), 1):
            if not row or row[0].startswith("#"):
                continue
            if len(row) < 3 or not row[0] or not row[1]:
                raise ValueError(
                    f'Line {number} of {path} has {len(row)} fields; a token line reads token,user,uid,"group1,group2". '
                    "Correct the line or remove it."
                )
            rows.append(row)
        return cls(rows)

    def find(self, token: str) -> Identity | None:
        """Whose token this is."""
        return self._identities.get(_digest(token))

    @property
    def administrator(self) -> str | None:
        """A token of an administrator: that of `admin`, else the first one of group system:masters."""
        masters = (user for user, token in self._by_user.items() if MASTERS in self._identities[_digest(token)].groups)
        return self._by_user.get(ADMIN) or self._by_user.get(next(masters, ""))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
