"""Intake: the parts of a source on their way into the tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.arrays import as_array
from ..core.checks import validate
from ..display.progress import Progress, ProgressChoice
from ..exceptions import InvalidLabels, SampleNotFound
from ..formats.base import Part, Source
from ..spill.streams import Streams
from ..store.labels import fill_missing_ids
from ..store.samples import NewSampleIds
from ..store.stores import Stores
from ..store.task_index import filter_by_samples
from . import label_input
from .existing_samples import ExistingSamples
from .new_labels import NewLabels

_REFUSAL = "These labels cannot be stored; nothing was imported:"


class Importer:
    """The parts of a source on their way in: the labels as they come, in one commit; then the samples, in another.

    What is stopped between the two leaves labels of no sample, which are not part of the dataset. The ids of samples do not
    change from one import to the next, so a repetition replaces these labels, and adds the samples. Use it within
    ``Stores.changing_samples``.
    """

    def __init__(self, stores: Stores, tags: Sequence[str], clip: bool) -> None:
        self.samples = self.known = 0
        self.labels: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self._stores, self._tags, self._clip = stores, list(tags), clip
        self._here = ExistingSamples(stores.samples)
        self._labelled = _labelled(stores, self._here.ids)
        self._checked = stores.samples.version()
        self._given = NewLabels(stores)
        self._new: list[pa.Array] = []  # the ids of the samples to be added
        self._new_samples: Streams | None = None

    @property
    def sample_ids(self) -> list[str]:
        """The ids of the samples that were added."""
        ids: list[str] = pa.chunked_array(self._new, pa.string()).to_pylist()
        return ids

    @property
    def notes(self) -> list[str]:
        """What of the source was not taken, as the dataset has it already, a sentence each."""
        return self._here.notes()

    def read(self, source: Source, progress: ProgressChoice) -> None:
        """Read and check all parts. Nobody sees anything of them before ``commit``."""
        with Progress(progress, source.count, "importing") as bar:
            self._added = self._given.write(self._label_batches(source, bar))

    def commit(self) -> None:
        """Add what was read to the tables."""
        ids = pa.chunked_array(self._new, pa.string()).combine_chunks()
        identity = NewSampleIds(ids, ids, pa.array([], pa.string()))
        self._stores.samples.require_new(identity, self._checked)
        self._given.commit(self._added, ids)
        if self._new_samples is not None:
            schema = self._new_samples.reader("samples").schema
            self._stores.samples.append(schema, self._new_samples.batches("samples"), identity, self._checked)
            self._new_samples.close()

    def _label_batches(self, source: Source, bar: Progress) -> Iterator[pa.RecordBatch]:
        for part in source.parts():
            yield from self._ready(part).to_batches()
            bar.advance(part.samples.num_rows)
        if self._new_samples is not None:
            self._new_samples.finish()

    def _ready(self, part: Part) -> pa.Table:
        """The labels of a part that are to be added; its new samples are kept on disk until then."""
        place = pc.index_in(part.samples["filepath"].cast(pa.string()), value_set=self._here.places)
        theirs = as_array(ids.as_texts(part.samples["sample_id"]))
        ours = pc.if_else(place.is_valid(), self._here.ids.take(as_array(place)), theirs)
        self._here.see(part.samples.filter(place.is_valid()), as_array(ours.filter(place.is_valid())))
        self._here.see_new(part.samples.filter(place.is_null()))
        self._put(part.samples.filter(place.is_null()))
        self.known += len(place) - place.null_count
        if "mask" in part.labels.column_names and (
            wrong := validate.mask_sizes(part.labels, label_input.with_sizes(part.samples))
        ):
            raise InvalidLabels(_REFUSAL, wrong)
        labels = self._unlabelled(_of_samples(part.labels, theirs, as_array(ours)))
        if "label_id" in labels.column_names:
            self._given.add(labels["label_id"].cast(pa.string()))
        rows = fill_missing_ids(label_input.ready(labels, {}, self._clip, _REFUSAL))
        _count(rows["field"], self.labels)
        return rows

    def _put(self, samples: pa.Table) -> None:
        if not samples.num_rows:
            return
        self._stores.samples.require_writable()
        rows = self._stores.samples.cast_columns(_tagged(label_input.with_media_type(samples), self._tags))
        if self._new_samples is None:
            self._new_samples = Streams({"samples": rows.schema})
        self._new_samples.add("samples", rows)
        self._new += rows["sample_id"].chunks
        self.samples += rows.num_rows

    def _unlabelled(self, labels: pa.Table) -> pa.Table:
        """Less those whose sample has labels in their field already."""
        for name, samples in self._labelled.items():
            taken = pc.and_(pc.equal(labels["field"], name), pc.is_in(labels["sample_id"], value_set=samples))
            if dropped := pc.sum(taken).as_py():
                self.kept[name] += dropped
                labels = labels.filter(pc.invert(taken))
        return labels


def _labelled(stores: Stores, sample_ids: pa.Array) -> dict[str, pa.Array]:
    """By field, which of the samples have labels in it."""
    found: dict[str, list[pa.Array]] = defaultdict(list)
    for batch in filter_by_samples(stores.labels.scan(None, ["field", "sample_id"]), sample_ids):
        for name in pc.unique(batch["field"]).to_pylist():
            found[name].append(pc.unique(batch["sample_id"].filter(pc.equal(batch["field"], name))))
    return {name: pc.unique(pa.chunked_array(parts)) for name, parts in found.items()}


def _of_samples(labels: pa.Table, theirs: pa.Array, ours: pa.Array) -> pa.Table:
    """Labels with the ids that their samples have here."""
    if theirs.equals(ours) or not labels.num_rows:
        return labels
    ids = ours.take(as_array(pc.index_in(labels["sample_id"].cast(pa.string()), value_set=theirs)))
    return labels.set_column(labels.column_names.index("sample_id"), "sample_id", ids)


def _tagged(samples: pa.Table, tags: list[str]) -> pa.Table:
    if not tags:
        return samples
    more = pa.array([tags] * samples.num_rows, pa.list_(pa.string()))
    if "tags" not in samples.column_names:
        return samples.append_column("tags", more)
    given = samples["tags"].to_pylist()
    both = pa.array([list(dict.fromkeys([*(old or []), *tags])) for old in given], pa.list_(pa.string()))
    return samples.set_column(samples.column_names.index("tags"), "tags", both)


def _count(fields: pa.ChunkedArray, counts: Counter[str]) -> None:
    for entry in pc.value_counts(fields).to_pylist():
        counts[entry["values"]] += entry["counts"]


def labels_in(stores: Stores, source: Source, field: str) -> Iterator[pa.Table]:
    """The labels that a source has in a field, for samples that the dataset has. Raises ``SampleNotFound`` for another image."""
    known = ExistingSamples(stores.samples)
    for part in source.parts():
        place = pc.index_in(part.samples["filepath"].cast(pa.string()), value_set=known.places)
        if place.null_count:
            first = part.samples["filepath"].filter(place.is_null())[0].as_py()
            raise SampleNotFound(f"The dataset has no sample of {first!r}; add the samples before their labels.")
        labels = part.labels.filter(pc.equal(part.labels["field"], field)).drop(["field"])
        yield _of_samples(
            labels, as_array(part.samples["sample_id"].cast(pa.string())), known.ids.take(as_array(place))
        )
