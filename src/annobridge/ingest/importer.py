"""A source of samples and labels is imported: all parts are read and checked, and then written in two commits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.arrays import as_array, as_mask
from ..core.checks import validate
from ..core.lookup import TextIndex
from ..display.progress import Progress, ProgressChoice
from ..exceptions import InvalidLabels, SampleNotFound
from ..formats.base import Part, Source
from ..formats.ids import of_paths
from ..spill.streams import Streams
from ..store import fingerprints
from ..store.labels import fill_missing_ids
from ..store.samples import NewSampleIds
from ..store.schemas import FILES
from ..store.stores import Stores
from ..store.task_index import filter_by_samples
from .existing_samples import ExistingSamples
from .moved_files import MovedFiles
from .new_label_rows import new_label_rows
from .new_labels import NewLabels
from .parse_samples import image_sizes, with_media_type

_REFUSAL = "These labels cannot be stored; nothing was imported:"


class Importer:
    """Imports a source: ``read``, then ``commit``. Use it within ``Stores.changing_samples``.

    Labels are committed first, then samples. A process that is killed between the two leaves labels without samples, which are
    not part of the dataset. The ids of samples are the same in the next import, which replaces these labels.

    Args:
        stores: the dataset.
        tags: tags that new samples get.
        clip: whether values outside the image are clipped, and not refused.
        folders: those that the source has its files in, where they are known.

    Attributes:
        samples: how many samples are new.
        known: how many samples the dataset has already, by the path of their file, or by its content.
        labels: how many labels are added, by field.
        kept: how many labels are left out, by field, as their sample has labels in the field already.
    """

    def __init__(self, stores: Stores, tags: Sequence[str], clip: bool, folders: Sequence[Path] = ()) -> None:
        self.samples = self.known = 0
        self.labels: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self._stores, self._tags, self._clip = stores, list(tags), clip
        self._existing = ExistingSamples(stores.samples)
        self._moved = MovedFiles(stores, self._existing, folders)
        self._labelled = _labelled_samples(stores, self._existing.ids)
        self._version = stores.samples.version()
        self._new_labels = NewLabels(stores)
        self._new_ids: list[pa.Array] = []
        self._new_samples: Streams | None = None

    @property
    def sample_ids(self) -> list[str]:
        """The ids of the new samples."""
        ids: list[str] = pa.chunked_array(self._new_ids, pa.string()).to_pylist()
        return ids

    @property
    def notes(self) -> list[str]:
        """What the source has of existing samples, and was not taken, a sentence each."""
        return [*self._moved.notes(), *self._existing.notes()]

    def read(self, source: Source, progress: ProgressChoice) -> None:
        """Read and check all parts. No reader of the dataset sees them before ``commit``. Raises ``InvalidLabels``."""
        with Progress(progress, source.count, "importing") as bar:
            self._label_files = self._new_labels.write(self._label_batches(source, bar))

    def commit(self) -> None:
        """Add the labels and samples that were read."""
        ids = pa.chunked_array(self._new_ids, pa.string()).combine_chunks()
        sample_ids = NewSampleIds(ids, ids, pa.array([], pa.string()))
        self._stores.samples.require_new(sample_ids, self._version)
        self._new_labels.commit(self._label_files, ids)
        if (samples := self._new_samples) is not None:
            schema = samples.reader("samples").schema
            self._stores.fingerprints.forget(ids)
            self._stores.fingerprints.record(samples.batches("files"))
            self._stores.samples.append(schema, samples.batches("samples"), sample_ids, self._version)
            samples.close()

    def _label_batches(self, source: Source, bar: Progress) -> Iterator[pa.RecordBatch]:
        for part in source.parts():
            yield from self._read_part(part).to_batches()
            bar.advance(part.samples.num_rows)
        if self._new_samples is not None:
            self._new_samples.finish()

    def _read_part(self, part: Part) -> pa.Table:
        """The new labels of a part; its new samples are kept on disk until ``commit``."""
        samples = part.samples
        index, files = self._find(samples["filepath"].cast(pa.string()), part.files)
        is_known, is_new = index.is_valid(), index.is_null()
        given_ids = as_array(ids.as_texts(samples["sample_id"]))
        new_ids = self._without_ids_of_others(given_ids, samples["filepath"], is_new)
        sample_ids = as_array(pc.if_else(is_known, self._existing.ids.take(index), new_ids))
        self._existing.compare(samples.filter(is_known), sample_ids.filter(is_known))
        self._existing.compare_new(samples.filter(is_new), self._moved.unrecorded)
        self._add_samples(_with_column(samples, "sample_id", sample_ids).filter(is_new), files)
        self.known += len(index) - index.null_count
        if "mask" in part.labels.column_names and (wrong := validate.mask_sizes(part.labels, image_sizes(samples))):
            raise InvalidLabels(_REFUSAL, wrong)
        labels = self._without_labelled(_with_sample_ids(part.labels, given_ids, sample_ids))
        if "label_id" in labels.column_names:
            self._new_labels.check_ids(labels["label_id"].cast(pa.string()))
        rows = fill_missing_ids(new_label_rows(labels, {}, self._clip, _REFUSAL))
        for entry in pc.value_counts(rows["field"]).to_pylist():
            self.labels[entry["values"]] += entry["counts"]
        return rows

    def _find(self, places: pa.ChunkedArray, files: pa.Table | None) -> tuple[pa.Array, pa.Table]:
        """The number of the existing sample of each file, null for a new one; and ``size`` and ``fingerprint`` of the new ones.

        ``files`` are those of all that the source has opened.
        """
        numbers = as_array(self._existing.find(places).fill_null(-1)).to_numpy().copy()
        unknown = np.flatnonzero(numbers < 0)
        paths = places.take(pa.array(unknown)).to_pylist()
        files = fingerprints.of_places(paths) if files is None else _opened(files.take(pa.array(unknown)), paths)
        numbers[unknown] = self._moved.find(paths, files["fingerprint"])
        return pa.array(numbers, mask=numbers < 0), files.filter(pa.array(numbers[unknown] < 0))

    def _without_ids_of_others(self, given: pa.Array, places: pa.ChunkedArray, is_new: pa.Array) -> pa.Array:
        """The ids of the samples, with others for new ones whose id was made of a path that was that of an existing sample.

        An id that the source has stays, and is refused if it is there already.
        """
        there = pa.array(self._existing.have(given))
        if not pc.any(pc.and_(is_new, there), min_count=0).as_py():
            return given
        made = pa.array(of_paths(places.to_pylist()))
        again = pc.and_(pc.and_(is_new, there), pc.equal(given, made))
        return pc.if_else(again, pa.array(of_paths(f"{place}\0{self._version}" for place in places.to_pylist())), given)

    def _add_samples(self, samples: pa.Table, files: pa.Table) -> None:
        if not samples.num_rows:
            return
        self._stores.samples.require_writable()
        rows = self._stores.samples.cast_columns(_with_tags(with_media_type(samples), self._tags))
        if self._new_samples is None:
            self._new_samples = Streams({"samples": rows.schema, "files": FILES})
        self._new_samples.add("samples", rows)
        files = files.add_column(0, FILES.field("sample_id"), rows["sample_id"])
        self._new_samples.add("files", files.filter(files["size"].is_valid()))
        self._new_ids += rows["sample_id"].chunks
        self.samples += rows.num_rows

    def _without_labelled(self, labels: pa.Table) -> pa.Table:
        """The labels without those whose sample has labels in their field already."""
        for name, samples in self._labelled.items():
            has_labels = samples.find(as_array(labels["sample_id"].cast(pa.string()))) >= 0
            labelled = pc.and_(pc.equal(labels["field"], name), pa.array(has_labels))
            if count := pc.sum(labelled).as_py():
                self.kept[name] += count
                labels = labels.filter(pc.invert(labelled))
        return labels


def _labelled_samples(stores: Stores, sample_ids: pa.Array) -> dict[str, TextIndex]:
    """Which of the samples have labels, by field."""
    found: dict[str, list[pa.Array]] = defaultdict(list)
    for batch in filter_by_samples(stores.labels.scan(None, ["field", "sample_id"]), sample_ids):
        for name in pc.unique(batch["field"]).to_pylist():
            found[name].append(pc.unique(batch["sample_id"].filter(pc.equal(batch["field"], name))))
    return {name: TextIndex(pc.unique(pa.chunked_array(parts))) for name, parts in found.items()}


def _opened(files: pa.Table, paths: list[str | None]) -> pa.Table:
    """``size`` and ``fingerprint`` of files of which some were opened; the others are opened now."""
    missing = np.flatnonzero(as_mask(files["size"].is_null()))
    if not len(missing):
        return files
    rows = np.arange(len(paths))
    rows[missing] = len(paths) + np.arange(len(missing))
    return pa.concat_tables([files, fingerprints.of_places([paths[at] for at in missing.tolist()])]).take(
        pa.array(rows)
    )


def _with_sample_ids(labels: pa.Table, given: pa.Array, sample_ids: pa.Array) -> pa.Table:
    """Labels with ``sample_ids`` in place of the ids that their samples were given."""
    if given.equals(sample_ids) or not labels.num_rows:
        return labels
    ids = sample_ids.take(as_array(pc.index_in(labels["sample_id"].cast(pa.string()), value_set=given)))
    return labels.set_column(labels.column_names.index("sample_id"), "sample_id", ids)


def _with_column(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


def _with_tags(samples: pa.Table, tags: list[str]) -> pa.Table:
    if not tags:
        return samples
    column = pa.array([tags] * samples.num_rows, pa.list_(pa.string()))
    if "tags" not in samples.column_names:
        return samples.append_column("tags", column)
    given = samples["tags"].to_pylist()
    both = pa.array([list(dict.fromkeys([*(old or []), *tags])) for old in given], pa.list_(pa.string()))
    return samples.set_column(samples.column_names.index("tags"), "tags", both)


def labels_of_field(stores: Stores, source: Source, field: str) -> Iterator[pa.Table]:
    """The labels that a source has in a field, for samples of the dataset. Raises ``SampleNotFound`` for other images."""
    existing = ExistingSamples(stores.samples)
    for part in source.parts():
        index = existing.find(part.samples["filepath"])
        if index.null_count:
            first = part.samples["filepath"].filter(index.is_null())[0].as_py()
            raise SampleNotFound(f"The dataset has no sample of {first!r}; add the samples before their labels.")
        labels = part.labels.filter(pc.equal(part.labels["field"], field)).drop(["field"])
        given = as_array(part.samples["sample_id"].cast(pa.string()))
        yield _with_sample_ids(labels, given, existing.ids.take(as_array(index)))
