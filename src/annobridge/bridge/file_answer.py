"""A file of labels in the place of the tool: an archive that a person exported there, or that another tool wrote."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.base import Download, Receipt
from ..core.arrays import as_array, index_of, set_columns
from ..core.labels import LABELS, REMOTE, conform
from ..core.merge.partial_answer import Completed, complete
from ..exceptions import ConfigError, InvalidOption, InvalidSource, StoreError
from ..formats import registry
from ..formats.common.file_format import FileFormat
from ..formats.common.images import KNOWN
from ..formats.common.source import LabelSource
from ..settings import config
from ..store.by_task import ByTask
from ..store.run import Run
from ..store.stores import Stores


class FileAnswer:
    """What ``plan.make`` asks instead of a backend: the labels of a file, by the tasks of a run.

    Args:
        stores: the dataset.
        run: the run.
        path: a zip, a folder or a file.
        format_name: the name of its format; by default it is found by looking.
        options: the options of reading of the format.

    Raises:
        StoreError: there is nothing at the path.
        InvalidOption: the format has no labels that could be matched, or no such option.
        InvalidSource: the file cannot be read, or has no image of the run.
    """

    def __init__(
        self,
        stores: Stores,
        run: Run,
        path: str | Path,
        format_name: str | None,
        options: Mapping[str, Any],
    ) -> None:
        self._path = Path(path).expanduser().absolute()
        if not self._path.exists():
            raise StoreError(f"There is no file or folder {str(path)!r}; correct the path.")
        self._format = _format_of(self._path, format_name)
        self._options = registry.options(self._format.reading, options, f"Reading {self._format.title}")
        self._run = run
        rows = stores.runs.tasks(run)
        self._tasks = ByTask([ids.values for ids in rows["sample_ids"]], rows["task"].to_pylist())
        self._known = stores.samples.rows(self._tasks.all_sample_ids, KNOWN)
        self._aliases = _aliases(self._known, stores, run)
        self.name = self._path.name
        self._read()

    def _read(self) -> None:
        self._state = _state_of(self._path)
        source = self._format.open_onto(self._path, self._options, pa.concat_tables([self._aliases, self._known]))
        self._samples = pa.array(sorted(source.sample_ids), pa.string())
        if not len(self._samples):
            raise InvalidSource(
                f"None of the images of {str(self._path)!r} is one of the run {self._run.anno_key!r}, so nothing was loaded; "
                "give the export of this run, with the names that the images were sent with."
            )
        self._labels = self._tasks.by_sample(_ROWS, _batches(source))
        self._source_notes = [*source.assumptions, *source.notes]
        self._completed: dict[str, Completed] = {}

    def download(self, receipt: Receipt) -> Download:
        """The labels of the file that are on the samples of a task."""
        if _state_of(self._path) != self._state:
            self._labels.close()
            self._read()
        number = self._tasks.names.index(receipt.task)
        ids = self._tasks.sample_ids[number]
        there = ids.filter(pc.is_in(ids, value_set=self._samples))
        base = receipt.baseline.filter(pc.is_in(receipt.baseline["sample_id"], value_set=there)).combine_chunks()
        theirs = conform(self._labels.get(number), _LOOSE, remote_id=None)
        found = complete(base, theirs, self._format.fidelity.holds(), self._run.schema, self._sizes(theirs))
        self._completed[receipt.task] = found
        return Download(found.labels, there)

    def notes(self) -> list[str]:
        """How the file was read, and how its labels were matched, a sentence each."""
        counts: Counter[str] = Counter()
        ambiguous: list[str] = []
        for found in self._completed.values():
            counts += found.counts
            ambiguous += found.ambiguous
        return [
            f"The answer was read from {str(self._path)!r} as {self._format.title}.",
            *self._source_notes,
            *Completed(REMOTE.empty_table(), counts, ambiguous).notes(),
        ]

    def _sizes(self, theirs: pa.Table) -> np.ndarray:
        at = index_of(theirs["sample_id"], self._known["sample_id"])
        columns = [as_array(self._known[name].cast(pa.float64())).take(at) for name in ("width", "height")]
        return np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)


_ROWS = pa.schema([f.with_nullable(True) for f in LABELS])
_LOOSE = pa.schema([f.with_nullable(True) for f in REMOTE])


def _format_of(path: Path, name: str | None) -> FileFormat:
    found: Any = registry.of(path) if name is None else registry.get(name)
    if isinstance(found, FileFormat):
        return found
    if name is not None:
        raise InvalidOption(
            f"{found.title} cannot be loaded into a run; give the format of the file that the tool wrote."
        )
    raise InvalidSource(
        f"The format of {str(path)!r} was not recognised; say which it is with format=, one of {', '.join(registry.names())}."
    )


def _aliases(known: pa.Table, stores: Stores, run: Run) -> pa.Table:
    """The samples once more, under the names that their files have in the tool."""
    try:
        backend = config.backend_class(run.backend)
    except (ConfigError, InvalidOption):  # it is not installed here
        return known.slice(0, 0)
    names: dict[str, str | None] = {}
    for task, state in stores.runs.receipts(run).items():
        for name, sample_id in backend.file_names(Receipt(task, state)).items():
            names[name] = (
                sample_id if names.get(name, sample_id) == sample_id else None
            )  # None: two tasks have this name
    at = index_of(pa.array(names.values(), pa.string()), known["sample_id"])
    rows = known.take(at).combine_chunks()
    return set_columns(rows, filepath=pa.array(names, pa.string())).filter(at.is_valid())


def _batches(source: LabelSource) -> Iterator[pa.RecordBatch]:
    for part in source.parts():
        rows = part.labels.append_column("rev", pa.nulls(part.labels.num_rows, pa.int64()))
        yield from conform(rows, _ROWS, field=None).to_batches()


def _state_of(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file, or a file of a folder, is written."""
    files = [path] if path.is_file() else [Path(root) / name for root, _, names in os.walk(path) for name in names]
    stats = [(str(file), file.stat()) for file in sorted(files)]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
