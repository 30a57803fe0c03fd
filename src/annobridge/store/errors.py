"""Turns errors of LanceDB and of the file system into ``StoreError``: what failed, for which table, and the cure."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from lance.commit import CommitConflictError

from ..exceptions import StoreError
from .refusals import harmless, plain_text, refusal

_DENIED = (errno.EACCES, errno.EROFS)
_DAMAGE = (
    "not found",
    "corrupt",
    "invalid magic",
    "failed to decode",
    "unexpected end",
    "checksum",
    "file is too small",
)


@contextmanager
def translate_errors(uri: str, table: str, verb: str) -> Iterator[None]:
    """Raise ``StoreError`` for an ``OSError`` of the block; ``verb`` says what the block does, as "written"."""
    try:
        yield
    except CommitConflictError:  # the callers try again
        raise
    except OSError as e:
        raise unusable_table(e, uri, table, verb) from harmless(e)


def unusable_table(error: Exception, uri: str, table: str, verb: str) -> StoreError:
    """The error for a table that cannot be opened, read or written."""
    return StoreError(f"The table {table!r} of {uri!r} cannot be {verb}: {_reason(error)}")


def first_line(error: BaseException) -> str:
    """The message of an error of Lance, without positions in its source, and without secrets."""
    return plain_text(str(error).split("\n")[0].split(", /")[0])[:300].rstrip(".")


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or its cause, says that the disk is full."""
    text = f"{error} {error.__cause__ or ''}".lower()
    return (
        getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        or "no space left" in text
        or "disk quota" in text
        or "disk is full" in text
    )


def is_conflict(error: BaseException) -> bool:
    """Whether an error says that another process committed in between."""
    return isinstance(error, CommitConflictError) or "commit conflict" in str(error).lower()


def is_damage(error: Exception) -> bool:
    """Whether an error says that files are missing or damaged."""
    text = str(error).lower()
    return any(word in text for word in _DAMAGE)


def _reason(error: Exception) -> str:
    text = str(error).lower()
    if (refused := refusal(error)) is not None:
        return f"{refused}."
    if is_disk_full(error):
        return "the disk is full. Nothing of this step was written; make room, and repeat."
    if "permission denied" in text or "read-only" in text or getattr(error, "errno", None) in _DENIED:
        return "it is read-only here. Nothing was written; get the right to write, or copy the dataset."
    if is_damage(error):
        return (
            f"{first_line(error)}. Files of the table are missing or damaged; restore them from a copy, or go back to an "
            "earlier version of the table with LanceDB."
        )
    return f"{first_line(error)}. Check the place and the connection to it, and repeat."
