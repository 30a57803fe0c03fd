"""A file of labels in the place of the tool: an archive that a person exported there, or that another tool wrote."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..backend.base import Download, Receipt
from ..core.arrays import as_array, index_of, set_columns
from ..core.merge.partial_answer import Completed, complete, sentences
from ..core.similarity import Floats
from ..exceptions import ConfigError, InvalidOption, InvalidSource, StoreError
from ..formats import registry
from ..formats.common.answer import ANSWER, labels_of
from ..formats.common.file_format import FileFormat
from ..formats.common.path_lookup import KNOWN
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

    is_file = True

    def __init__(
        self,
        stores: Stores,
        run: Run,
        path: str | Path,
        format_name: str | None,
        options: Mapping[str, Any],
    ) -> None:
        self._path = Path(path).expanduser().absolute()
        self._state = _state_of(self._path)
        self._format = _format_of(self._path, format_name)
        if useless := sorted(_USELESS & set(options)):
            raise InvalidOption(
                f"{useless[0]} is an option of imports, and labels of a run belong to the samples and fields that were sent; "
                "leave it out."
            )
        self._options = registry.options(self._format.reading, options, f"Reading {self._format.title}")
        self._run = run
        rows = stores.runs.tasks(run)
        self._tasks = ByTask([ids.values for ids in rows["sample_ids"]], rows["task"].to_pylist())
        known = stores.samples.rows(self._tasks.all_sample_ids, KNOWN)
        self._known = known.filter(known["sample_id"].is_valid()).combine_chunks()
        self._aliases = _aliases(self._known, stores, run)
        self.name = self._path.name
        self._read()

    def _read(self) -> None:
        source = self._format.open_onto(self._path, self._options, [self._aliases, self._known])
        self._samples = pa.array(sorted(source.sample_ids), pa.string())
        if not len(self._samples):
            raise InvalidSource(
                f"None of the images of {str(self._path)!r} is one of the run {self._run.anno_key!r}, so nothing was loaded; "
                "give the export of this run, with the names that the images were sent with."
            )
        self._seen = self._format.fidelity.seen()
        self._labels = self._tasks.by_sample(ANSWER, labels_of(source, self._seen))
        self._source_notes = [*source.assumptions, *source.notes]
        self._completed: dict[str, Completed] = {}

    def download(self, receipt: Receipt) -> Download:
        """The labels of the file that are on the samples of a task."""
        if (state := _state_of(self._path)) != self._state:
            self._labels.close()
            self._read()
            self._state = state
        number = self._tasks.names.index(receipt.task)
        ids = self._tasks.sample_ids[number]
        there = ids.filter(pc.is_in(ids, value_set=self._samples))
        base = receipt.baseline.filter(pc.is_in(receipt.baseline["sample_id"], value_set=there)).combine_chunks()
        theirs = self._labels.get(number).combine_chunks()
        found = complete(base, theirs, self._seen, self._run.schema, self._sizes(base), self._sizes(theirs))
        self._completed[receipt.task] = found
        return Download(found.labels, there)

    def notes(self) -> list[str]:
        """How the file was read, and how its labels were matched, a sentence each."""
        counts: Counter[str] = Counter()
        for found in self._completed.values():
            counts.update(found.counts)
        absent = self._known.num_rows - len(self._samples)
        images = f"{absent:,} images of the run are not in the file; their labels stay as they are."
        return [
            f"The answer was read from {str(self._path)!r} as {self._format.title}.",
            *self._source_notes,
            *([images] if absent else []),
            *sentences(counts, list(self._ambiguous())),
        ]

    def _ambiguous(self) -> Iterator[str]:
        """Labels in words, as ``car on 'a.jpg'``."""
        found = [label for completed in self._completed.values() for label in completed.ambiguous]
        at = index_of(pa.array([sample_id for _, sample_id in found], pa.string()), self._known["sample_id"])
        paths = as_array(self._known["filepath"]).take(at).to_pylist()
        for (label, _), path in zip(found, paths, strict=True):
            yield f"{label} on {PurePath(path).name!r}"

    def _sizes(self, labels: pa.Table) -> Floats:
        """Width and height of the image of each label; NaN where they are not known."""
        at = index_of(labels["sample_id"], self._known["sample_id"])
        columns = [as_array(self._known[name].cast(pa.float64())).take(at) for name in ("width", "height")]
        return np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)


def reads_file(run: Run, path: Path, format_name: str | None) -> bool:
    """Whether ``path=`` of a load names a file that is read by its format, and is not an option of the run's backend."""
    try:
        return not config.backend_class(run.backend).reads_path(run.options, path, format_name)
    except (ConfigError, InvalidOption):  # it is not installed here
        return True


_USELESS = frozenset({"field", "image_dir", "media_dir"})  # options of reading that say where images and labels go


def _format_of(path: Path, name: str | None) -> FileFormat:
    found: Any = registry.of(path) if name is None else registry.get(name)
    if isinstance(found, FileFormat):
        return found
    if found.name == registry.GENERAL and name is None:
        raise InvalidSource(
            f"The format of {str(path)!r} was not recognised; say which it is with format=, one of {_loadable()}."
        )
    raise InvalidOption(f"{found.title} cannot be loaded into a run; give labels in one of the formats {_loadable()}.")


def _loadable() -> str:
    return ", ".join(name for name in registry.names() if isinstance(registry.get(name), FileFormat))


def _aliases(known: pa.Table, stores: Stores, run: Run) -> pa.Table:
    """The samples once more, under the names that their files have in the tool."""
    try:
        backend = config.backend_class(run.backend)
    except (ConfigError, InvalidOption):  # it is not installed here
        return known.slice(0, 0)
    names: dict[str, str | None] = {}
    for task, state in stores.runs.receipts(run).items():
        for name, sample_id in backend.file_names(Receipt(task, state)).items():
            is_free = names.get(name, sample_id) == sample_id
            names[name] = sample_id if is_free else None  # two tasks have this name
    at = index_of(pa.array(names.values(), pa.string()), known["sample_id"])
    rows = known.take(at).combine_chunks()
    return set_columns(rows, filepath=pa.array(names, pa.string())).filter(at.is_valid())


def _state_of(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file, or a file of a folder, is written. Raises ``StoreError`` if there is none."""
    try:
        files = (
            [path] if not path.is_dir() else [Path(root) / name for root, _, names in os.walk(path) for name in names]
        )
        stats = [(str(file), file.stat()) for file in sorted(files)]
    except OSError as error:
        raise StoreError(
            f"There is no file or folder {str(path)!r} that can be read ({error.strerror}); correct the path."
        ) from None
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
