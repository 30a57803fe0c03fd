"""What a file elsewhere is, whatever server has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple, Protocol

StorageOptions = Mapping[str, str] | None  # of an object store


def fault_of_options(options: StorageOptions) -> str | None:
    """What is wrong with an option that the libraries of stores cannot read, which end the call without an error of theirs.

    >>> fault_of_options({"aws_secret_access_key": "k3y" + chr(10)})
    "the option 'aws_secret_access_key' has a line break, perhaps the last one of a file; give it without"
    >>> fault_of_options({"google_service_account_key": "{" + chr(10) + "}"})
    """
    for name, value in (options or {}).items():
        if ("\n" in value or "\r" in value) and not value.lstrip().startswith(("{", "-----BEGIN")):  # JSON, or PEM
            return f"the option {name!r} has a line break, perhaps the last one of a file; give it without"
        if name.lower().endswith(("endpoint", "endpoint_url")) and " " in value:
            return f"the option {name!r} has a space, which no address has; correct it"
    return None


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
