"""What the checks of a plan look at: the changes that it would make, and the labels around them, before and after."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from ..checks import Evidence, counts
from ..core.arrays import as_array, as_mask, choose, equal, index_of, set_columns
from ..core.labels import LABELS, SAMPLES
from ..core.review.changes import changes
from ..core.review.decisions import ACCEPT, BASE, BOTH, DECIDED, LEAVE, THEIRS, VALUE
from ..core.review.values import LABEL
from ..store.labels import field_condition
from ..store.stores import Stores
from ..store.task_index import filter_by_samples
from .outcome import Outcome

_COUNTED = ["sample_id", "field", "label", "attributes"]


def of_plan(stores: Stores, outcome: Outcome) -> Evidence:
    """The evidence of a plan that was made for people to look at (``handed_out``), with its decisions.

    It is in memory: the changes, and all labels of their samples. Other labels are only counted.
    """
    replaced = _ids(outcome, "replaced")
    writes = pa.Table.from_batches((b.select(LABELS.names) for b in outcome.streams.batches("writes")), LABELS)
    touched = pa.concat_arrays([replaced, as_array(writes["label_id"])])
    made = _made(outcome.streams.table("proposed"), outcome.options.undecided == LEAVE, touched)
    samples = _rows_of_samples(stores, pc.unique(pa.concat_arrays([
        as_array(made["sample_id"]), as_array(writes["sample_id"]),
    ])))  # fmt: skip
    condition = field_condition(sorted({*outcome.run.schema.fields, *outcome.destinations.values()}))
    ids = as_array(samples["sample_id"])
    scanned = stores.labels.scan(condition, LABELS.names, outcome.version) if len(ids) else ()
    before = pa.Table.from_batches(filter_by_samples(scanned, ids), LABELS)
    stays = pc.invert(pc.is_in(before["label_id"], value_set=touched))
    after = pa.concat_tables([before.filter(stays), writes]).combine_chunks()
    of_dataset, of_run, values = _counts(stores, outcome, condition)
    return Evidence(
        changes=_with_classes(changes(made, samples), after),
        classes=counts.classes(of_dataset, of_run, [counts.of_classes(before)], [counts.of_classes(after)]),
        attributes=counts.attribute_values(values, [counts.of_attributes(before)], [counts.of_attributes(after)]),
        after=after, samples=samples,
    )  # fmt: skip


def _made(proposed: pa.Table, leaves: bool, touched: pa.Array) -> pa.Table:
    """The proposed changes that the load makes: those that are accepted, and those that nobody decided about unless they are left
    for later. Where the value before was chosen, that is the side of the tool.
    """
    taken = pa.array([ACCEPT, THEIRS, BASE, BOTH, VALUE])
    decided = equal(proposed["state"], DECIDED)
    by_default = ~decided & as_mask(pc.is_in(proposed["proposal"], value_set=taken)) & (not leaves)
    makes = by_default | (decided & as_mask(pc.is_in(proposed["verdict"], value_set=taken)))
    both = decided & equal(proposed["verdict"], BOTH)  # the tool's label gets an id of its own
    written = as_mask(pc.is_in(proposed["label_id"], value_set=touched))  # others cannot be stored
    rows = proposed.filter(pa.array(makes & (written | both)))
    before = equal(rows["state"], DECIDED) & equal(rows["verdict"], BASE)
    return set_columns(rows, theirs=choose(before, rows["base"], rows["theirs"])) if before.any() else rows


def _with_classes(rows: pa.Table, after: pa.Table) -> pa.Table:
    """``CHANGES`` with the classes that are written, which are not the tool's where people chose another one."""
    written = after["label"].take(index_of(rows["label_id"], after["label_id"]))
    where = equal(rows["component"], LABEL)
    return set_columns(rows, **{name: choose(where, written, rows[name]) for name in ("label", "class_to")})


def _counts(stores: Stores, outcome: Outcome, condition: str) -> tuple[list[pa.Table], list[pa.Table], list[pa.Table]]:
    """Counts of the classes of the run's fields, in the dataset and on the samples of the run; and of attributes on the latter."""
    of_dataset, of_run, values = [], [], []
    in_run = pa.concat_arrays(
        [pa.array([], pa.string()), *(i.values for i in stores.runs.tasks(outcome.run)["sample_ids"])]
    )
    batches = stores.labels.scan(condition, _COUNTED, outcome.version)

    def counted(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        for batch in batches:
            of_dataset.append(counts.of_classes(batch))
            yield batch

    for batch in filter_by_samples(counted(batches), in_run):
        of_run.append(counts.of_classes(batch))
        values.append(counts.of_attributes(batch))
    return of_dataset, of_run, values


def _rows_of_samples(stores: Stores, sample_ids: pa.Array) -> pa.Table:
    return stores.samples.rows(sample_ids, SAMPLES.names).combine_chunks()


def _ids(outcome: Outcome, stream: str) -> pa.Array:
    return pa.concat_arrays([pa.array([], pa.string()), *(b["label_id"] for b in outcome.streams.batches(stream))])
