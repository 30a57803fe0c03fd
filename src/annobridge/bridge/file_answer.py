"""A file of labels in the place of the tool: an archive that a person exported there, or that another tool wrote."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.values import Download, Receipt
from ..core.arrays import as_array, index_of, set_columns
from ..core.labels import REVIEWED, conform
from ..core.merge.file_fit import Expected
from ..core.merge.partial_answer import Completed, complete, sentences
from ..core.similarity import sizes_of
from ..core.terms import Terms
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
    parallel_downloads = 1
    says_reviewed = True  # those that are in the file

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
        self._tasks = ByTask.of_run(stores.runs.tasks(run))
        known = stores.samples.rows(self._tasks.all_sample_ids, KNOWN)
        self._known = known.filter(known["sample_id"].is_valid()).combine_chunks()
        words = _words_of_tool(stores, run)
        self._terms = words.terms
        self._aliases, self._doubled = _aliases(self._known, words.names)
        self.name = self._path.name
        self._read()

    def _read(self) -> None:
        source = self._format.open_onto(self._path, self._options, [self._aliases, self._known])
        self._samples = pa.array(sorted(source.sample_ids), pa.string())
        if not len(self._samples):
            if self._doubled:
                raise InvalidSource(
                    f"Several tasks of the run {self._run.anno_key!r} have files of the same names, as {self._doubled[0]!r}, so "
                    f"it is not clear whose labels those of {str(self._path)!r} are; load from the tool, without path=."
                )
            raise InvalidSource(
                f"None of the images of {str(self._path)!r} is one of the run {self._run.anno_key!r}, so nothing was loaded; "
                "give the export of this run, with the names that the images were sent with."
            )
        self._seen = self._format.fidelity.seen()
        self._labels = self._tasks.by_sample(
            ANSWER, labels_of(source, self._seen, Expected(self._run.schema), self._terms)
        )
        self._source_notes = [*source.assumptions, *source.notes]
        self._seen.unread = source.unread
        if self._seen.is_empty and self._seen.unread:
            self._labels.close()
            raise InvalidSource(
                f"None of the labels of {str(self._path)!r} could be read, so nothing was loaded: {source.notes[0]}"
            )
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
        base_sizes, sizes = (sizes_of(self._known, labels) for labels in (base, theirs))
        found = complete(base, theirs, self._seen, self._run.schema, base_sizes, sizes)
        self._completed[receipt.task] = found
        return Download(found.labels, there, reviewed=self._reviewed(there))

    def mark(self, receipt: Receipt) -> str:  # noqa: ARG002 - the file has the labels of all tasks
        """A digest of the name, the size and the time of the last change of each file."""
        return blake2b(repr(_state_of(self._path)).encode(), digest_size=16).hexdigest()

    def _reviewed(self, sample_ids: pa.Array) -> pa.Table:
        """The samples that are in the file, as reviewed."""
        rows = pa.table({"sample_id": sample_ids})
        changed = max(changed for _, changed, _ in self._state)  # nanoseconds
        return conform(
            rows, REVIEWED, reviewed=True, state="in the file", time=datetime.fromtimestamp(changed / 1e9, UTC)
        )

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


class _Words(NamedTuple):
    """What a tool calls the files and the words of a run.

    Attributes:
        names: the sample of each file name; ``None`` for a name that two tasks have.
        terms: what the tool's words are here.
    """

    names: dict[str, str | None]
    terms: Terms


def _words_of_tool(stores: Stores, run: Run) -> _Words:
    """As the receipts of the run have it; nothing if its backend is not installed here."""
    names, classes, attributes = dict[str, str | None](), dict[str, str](), dict[str, str]()
    try:
        backend = config.backend_class(run.backend)
    except (ConfigError, InvalidOption):
        return _Words(names, Terms(classes, attributes))
    for task, state in stores.runs.receipts(run).items():
        receipt = Receipt(task, state)
        for name, sample_id in backend.file_names(receipt).items():
            is_free = names.get(name, sample_id) == sample_id
            names[name] = sample_id if is_free else None
        found = backend.file_terms(receipt)
        classes |= found.classes
        attributes |= found.attributes
    return _Words(names, Terms(classes, attributes))


def _aliases(known: pa.Table, names: Mapping[str, str | None]) -> tuple[pa.Table, list[str]]:
    """The samples once more, under the names that their files have in the tool; and the names that are those of several."""
    at = index_of(pa.array(names.values(), pa.string()), known["sample_id"])
    rows = known.take(at).combine_chunks()
    doubled = [name for name, sample_id in names.items() if sample_id is None and not name.startswith("frame_")]
    return set_columns(rows, filepath=pa.array(names, pa.string())).filter(at.is_valid()), doubled


def _state_of(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of the file, or of each file of the folder. Raises ``StoreError`` if the path does not exist."""
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
