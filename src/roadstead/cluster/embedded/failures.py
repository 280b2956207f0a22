"""What can go wrong with the data directory, each with a message that says what happened, the numbers, and what to
do."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be opened, or cannot write. The message is for people."""


class DirectoryInUse(StoreError):
    """Another process holds the data directory."""


class NewerFormat(StoreError):
    """The data was written by a newer version."""


class CorruptStore(StoreError):
    """The database cannot be read."""


class CommitFailed(StoreError):
    """A batch could not be written; none of it is stored."""


class DiskFull(CommitFailed):
    """No space left for a batch; none of it is stored. Reads go on, later writes are tried again."""
