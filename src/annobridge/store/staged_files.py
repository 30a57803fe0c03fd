"""Files that the workers of a load and its driver exchange: in a folder beside the tables of the dataset.

A cluster has no other place that all of its machines reach. It is a local folder or a part of an object store, as the dataset is.
A file is there in full or not at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import obstore
import pyarrow as pa
from obstore.store import LocalStore

from ..exceptions import StoreError
from .errors import first_line
from .object_files import open_store
from .refusals import harmless, refusal
from .remote import local_path
from .remote_file import StorageOptions

STAGING = "_staging"
_CODEC = "lz4"


class StagedFile(NamedTuple):
    """A file of a listing."""

    path: str  # below the folder
    modified: datetime


@dataclass(frozen=True)
class StagedFolder:
    """A folder of staged files, as workers get it: with the options of the object store, which its text leaves out.

    Attributes:
        uri: of the dataset.
        name: of the folder; empty for that of all loads.
        alone: see ``Folder``.
        attempt: is part of the names of files of rows, so that a job that is run twice does not mix its files.
    """

    uri: str
    options: StorageOptions = field(repr=False)
    name: str = ""
    alone: Mapping[str, Sequence[str]] = field(default_factory=dict)
    attempt: str = ""

    def of(self, name: str) -> StagedFolder:
        """The folder of a load, in that of all loads."""
        return replace(self, name=name)

    def write(self, name: str, content: bytes) -> None:
        """Write a file at once, or replace it."""
        with self._opened("written") as (store, prefix):
            obstore.put(store, prefix + name, content)

    def read(self, name: str) -> pa.Buffer:
        """The content of a file. Raises ``StoreError`` if it is not there."""
        with self._opened("read") as (store, prefix):
            return pa.py_buffer(obstore.get(store, prefix + name).bytes())

    def files(self) -> list[StagedFile]:
        """All files below the folder."""
        with self._opened("listed") as (store, prefix):
            found = [meta for some in obstore.list(store, prefix) for meta in some]
        return [StagedFile(str(meta["path"])[len(prefix) :], meta["last_modified"]) for meta in found]

    def remove(self) -> None:
        """Delete all files below the folder."""
        with self._opened("emptied") as (store, prefix):
            if (place := local_path(self.uri)) is None:
                obstore.delete(store, [prefix + file.path for file in self.files()])
                return
            shutil.rmtree(place / prefix, ignore_errors=True)
            with suppress(OSError):  # that of all loads, unless another load has files there
                (place / STAGING).rmdir()

    def sink(self, name: str) -> pa.NativeFile:  # noqa: ARG002 - the name is needed when it is complete
        """See ``Folder``. The file is in memory until it is complete."""
        return pa.BufferOutputStream()

    def store(self, name: str, sink: pa.NativeFile) -> str:
        """See ``Folder``."""
        packed = pa.BufferOutputStream()
        with pa.CompressedOutputStream(packed, _CODEC) as stream:
            stream.write(sink.getvalue())
        name = f"{name}.{self.attempt}"
        self.write(name, packed.getvalue().to_pybytes())
        return name

    def source(self, name: str) -> pa.NativeFile:
        """See ``Folder``."""
        return pa.CompressedInputStream(pa.BufferReader(self.read(name)), _CODEC)

    @contextmanager
    def _opened(self, done: str) -> Iterator[tuple[Any, str]]:
        """The store, and the beginning of the keys of the folder; ``done`` is the end of the sentence about an error."""
        folder = f"{STAGING}/{self.name}/" if self.name else f"{STAGING}/"
        try:
            if (place := local_path(self.uri)) is not None:
                yield LocalStore(prefix=place.absolute()), folder
                return
            store, key = open_store(self.uri, self.options)
            yield store, f"{key.rstrip('/')}/{folder}".lstrip("/")
        except (OSError, obstore.exceptions.BaseError) as error:
            why = refusal(error) or first_line(error)
            raise StoreError(
                f"The folder {STAGING!r} of the dataset {self.uri!r} cannot be {done}: {why}. The workers and the driver of a load "
                "exchange its rows there, so all of them need to read and write it."
            ) from harmless(error)
