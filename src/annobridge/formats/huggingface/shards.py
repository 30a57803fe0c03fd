"""The files of a table: Parquet, or Arrow streams as ``datasets`` saves them. They are read batch by batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
from pyarrow import parquet

from ...exceptions import InvalidSource
from ..common import features
from ..common.archive import Archive
from ..common.features import Features
from ..common.shard_names import SPLITS, split_of

_METADATA = "metadata.parquet"  # of a folder of images
_SMALL = 1 << 26  # bytes of a file in a zip that is unpacked to look at it
_STRUCT = {"bytes", "path"}  # the members of an image


@dataclass(frozen=True)
class Shard:
    """One file of a table."""

    name: str
    split: str | None


def find(archive: Archive) -> list[Shard]:
    """The files of all tables, in their order."""
    parquets = [Shard(name, split_of(name)) for name in archive.by_suffix.get(".parquet", ()) if not _is_metadata(name)]
    folders = sorted({name.rpartition("/")[0] for name in archive.by_suffix.get(".arrow", ())})
    return parquets + [shard for folder in folders for shard in _saved(archive, folder)]


def _is_metadata(name: str) -> bool:
    return name.rpartition("/")[2] == _METADATA


def _saved(archive: Archive, folder: str) -> Iterator[Shard]:
    """The files of a folder that ``save_to_disk`` wrote, or of the cache of ``datasets``."""
    prefix = f"{folder}/" if folder else ""
    parent, _, base = folder.rpartition("/")
    splits = f"{parent}/dataset_dict.json".lstrip("/")
    is_split = splits in archive or base in SPLITS
    if splits in archive:
        archive.open(splits).close()  # it is known by its name
    state = f"{prefix}state.json"
    if state in archive:
        try:
            found = msgspec.json.decode(archive.read(state))
            names = [prefix + str(entry["filename"]) for entry in found["_data_files"]]
        except (msgspec.DecodeError, RecursionError, LookupError, TypeError) as error:
            raise InvalidSource(
                f"{archive.where(state)} does not list the files of its table ({error}); save it again."
            ) from None
        for name in names:
            if name not in archive:
                raise InvalidSource(
                    f"{archive.where(state)} names {name!r}, which is not there; copy the whole folder."
                )
            yield Shard(name, base if is_split else None)
        return
    for name in archive.by_suffix[".arrow"]:
        if name.rpartition("/")[0] == folder and not name.rpartition("/")[2].startswith("cache-"):
            yield Shard(name, base if is_split else split_of(name))


def holds_images(archive: Archive, name: str) -> bool:
    """Whether a table has a column of images. A large file inside a zip is not unpacked for that: it counts if its name is that of
    a shard.
    """
    if archive.file(name) is None and archive.size(name) > _SMALL:
        return bool(re.search(r"-\d{5}-of-\d{5}\.", name))
    try:
        with opened(archive, name) as table:
            return bool(table.images())
    except InvalidSource:
        return False


class Table:
    """A file that is open."""

    def __init__(self, path: Path, where: str, features_: Features) -> None:
        self._path, self._where = path, where
        self._parquet = parquet.ParquetFile(path) if path.suffix == ".parquet" else None
        if self._parquet is not None:
            self.schema = self._parquet.schema_arrow
        else:
            with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
                self.schema = stream.schema
        self.features = features_ | features.of_schema(self.schema)
        if len(set(self.schema.names)) < len(self.schema.names):
            raise InvalidSource(f"{where} has two columns of one name; rename one.")

    def images(self) -> list[str]:
        """The columns that hold images: that are said to, or are structs of ``bytes`` and ``path``."""
        said = {path[0] for path in self.features.images if len(path) == 1}
        return [
            f.name for f in self.schema
            if (pa.types.is_struct(f.type) and {g.name for g in f.type} == _STRUCT)
            or (f.name in said and (pa.types.is_string(f.type) or pa.types.is_binary(f.type)))
        ]  # fmt: skip

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Some columns, at most some rows at a time, each with the number of its first row."""
        first = 0
        for batch in self._batches(columns, rows):
            yield first, batch
            first += batch.num_rows

    def _batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        with _errors(self._where):
            if self._parquet is not None:
                for group in range(self._parquet.num_row_groups):
                    yield from self._parquet.iter_batches(rows, [group], list(columns), use_threads=False)
                return
            with pa.memory_map(str(self._path)) as file, pa.ipc.open_stream(file) as stream:
                for batch in stream:
                    some = batch.select(list(columns))
                    for start in range(0, some.num_rows, rows):
                        piece = some.slice(start, rows)
                        piece.validate()
                        yield piece

    def close(self) -> None:
        """Close the file."""
        if self._parquet is not None:
            self._parquet.close()


@contextmanager
def opened(archive: Archive, name: str) -> Iterator[Table]:
    """Open a file. Raises ``InvalidSource`` for one that is damaged."""
    where = archive.where(name)
    said = Features()
    parts = name.split("/")[:-1]
    for depth in range(len(parts) + 1):
        said |= features.of_folder(archive, "".join(f"{part}/" for part in parts[:depth]))
    with archive.on_disk(name) as path:
        with _errors(where):
            table = Table(path, where, said)
        try:
            yield table
        finally:
            table.close()


@contextmanager
def _errors(where: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise InvalidSource(f"{where} cannot be read as a table ({reason}); download or write it again.") from error
