"""What a file elsewhere is, whatever server has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple, Protocol

StorageOptions = Mapping[str, str] | None  # of an object store


class FileState(NamedTuple):
    """What a server says of a file without sending it; what it does not say is ``None``, or an empty text."""

    size: int | None = None
    etag: str = ""
    modified: str = ""  # as in the header Last-Modified

    @property
    def can_be_compared(self) -> bool:
        """Whether a later request can ask if the file has changed."""
        return bool(self.etag or self.modified)


class RemoteFile(Protocol):
    """One file elsewhere."""

    def state(self) -> FileState:
        """Ask for its state, without a download. Raises ``OSError``."""
        ...

    def download(self, into: BinaryIO, known: FileState | None = None) -> FileState | None:
        """Write its bytes into ``into``, unless its state is still ``known``: then returns ``None``. Raises ``OSError``."""
        ...
