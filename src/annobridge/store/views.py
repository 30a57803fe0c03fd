"""Evaluates views: chains of stages that are plain data, as runs store them.

Each stage filters or reorders the samples that the one before returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..exceptions import StoreError
from .labels import field_condition
from .stores import Stores
from .tables import quote

Stage = Mapping[str, Any]  # {"verb": "match", …arguments}; JSON


@dataclass(frozen=True, slots=True)
class Selection:
    """The result of a view: sample ids in order, and field → SQL conditions on its labels."""

    sample_ids: pa.Array
    label_filters: Mapping[str, tuple[str, ...]]


def resolve(stores: Stores, stages: Sequence[Stage]) -> Selection:
    """Evaluate the stages, each on the samples and labels that the one before selected."""
    leading = 0  # the ``match`` stages at the start, which are one SQL condition
    while leading < len(stages) and stages[leading]["verb"] == "match":
        leading += 1
    where = " AND ".join(f"({s['where']})" for s in stages[:leading]) or None
    selected = Selection(stores.samples.ids(where), {})
    for stage in stages[leading:]:
        found = _RUN[stage["verb"]](stores, selected, stage)
        selected = Selection(found, _narrowed(selected.label_filters, stage))
    return selected


def _narrowed(filters: Mapping[str, tuple[str, ...]], stage: Stage) -> Mapping[str, tuple[str, ...]]:
    if stage["verb"] != "filter_labels":
        return filters
    return {**filters, stage["field"]: (*filters.get(stage["field"], ()), stage["where"])}


def samples_of_run(run_id: str) -> Stage:
    """The stage that keeps the samples of a run."""
    return {"verb": "in_run", "run_id": run_id, "inside": True}


def label_filters(stages: Sequence[Stage]) -> Mapping[str, tuple[str, ...]]:
    """Field → SQL conditions on its labels, of the stages of a view."""
    filters: Mapping[str, tuple[str, ...]] = {}
    for stage in stages:
        filters = _narrowed(filters, stage)
    return filters


def label_condition(fields: Sequence[str], filters: Mapping[str, tuple[str, ...]]) -> str:
    """The SQL condition for the labels of some fields that a view's filters on labels select."""
    free = [f for f in fields if f not in filters]
    parts = [field_condition(free)] if free else []
    for field in fields:
        if field in filters:
            parts.append(" AND ".join([f"field = {quote(field)}", *(f"({w})" for w in filters[field])]))
    return " OR ".join(f"({p})" for p in parts)


def _keep(found: pa.Array, wanted: pa.Array, invert: bool = False) -> pa.Array:
    inside = pc.is_in(found, value_set=wanted)
    return found.filter(pc.invert(inside) if invert else inside)


def _match(stores: Stores, selected: Selection, stage: Stage) -> pa.Array:
    return _keep(selected.sample_ids, stores.samples.ids(stage["where"]))


def _match_tags(stores: Stores, selected: Selection, stage: Stage) -> pa.Array:
    tags = ", ".join(map(quote, stage["tags"]))
    return _keep(selected.sample_ids, stores.samples.ids(f"array_has_any(tags, [{tags}])"))


def _condition(selected: Selection, stage: Stage) -> str:
    """The SQL condition for the labels that a stage matches, among those of its field that earlier stages selected."""
    return f"({label_condition([stage['field']], selected.label_filters)}) AND ({stage['where']})"


def _with_labels(stores: Stores, selected: Selection, stage: Stage) -> pa.Array:
    return _keep(selected.sample_ids, stores.labels.samples_with(_condition(selected, stage)))


def _select(_: Stores, selected: Selection, stage: Stage) -> pa.Array:
    wanted = pc.unique(pa.array(stage["ids"], pa.string()))
    return _keep(wanted, selected.sample_ids) if stage.get("ordered") else _keep(selected.sample_ids, wanted)


def _exclude(_: Stores, selected: Selection, stage: Stage) -> pa.Array:
    return _keep(selected.sample_ids, pa.array(stage["ids"], pa.string()), invert=True)


def _limit(_: Stores, selected: Selection, stage: Stage) -> pa.Array:
    return selected.sample_ids.slice(0, stage["count"])


def _skip(_: Stores, selected: Selection, stage: Stage) -> pa.Array:
    return selected.sample_ids.slice(min(stage["count"], len(selected.sample_ids)))


def _take(_: Stores, selected: Selection, stage: Stage) -> pa.Array:
    found = selected.sample_ids
    rng = np.random.default_rng(stage["seed"])
    return found.take(pa.array(rng.permutation(len(found))[: stage["count"]]))


def _sort_by(stores: Stores, selected: Selection, stage: Stage) -> pa.Array:
    found = selected.sample_ids
    if not len(found):
        return found
    keys = _label_counts(stores, selected, stage) if "field" in stage else _values(stores, found, stage["by"])
    try:
        order = pc.sort_indices(keys, sort_keys=[("", "descending" if stage["reverse"] else "ascending")])
    except (pa.ArrowTypeError, pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise StoreError(f"{stage['by']!r} is {keys.type}, which has no order; sort by another.") from None
    return found.take(order)


def _values(stores: Stores, found: pa.Array, expression: str) -> pa.ChunkedArray:
    """The value of an SQL expression on the columns of the samples, for each sample of ``found``."""
    samples = stores.samples
    if expression in samples.schema().names:
        batches, value = samples.scan(None, list(dict.fromkeys(["sample_id", expression]))), expression
    else:
        batches, value = samples.evaluate(expression), "value"
    rows = pa.Table.from_batches(list(batches))
    return rows[value].take(pc.index_in(found, value_set=as_array(rows["sample_id"])))


def _label_counts(stores: Stores, selected: Selection, stage: Stage) -> pa.Array:
    """The number of labels that a stage matches, for each sample."""
    found = selected.sample_ids
    counts = np.zeros(len(found) + 1, np.int64)  # the last one counts the labels of all other samples
    for batch in stores.labels.scan(_condition(selected, stage), ["sample_id"]):
        position = pc.index_in(batch["sample_id"], value_set=found).fill_null(len(found))
        counts += np.bincount(position, minlength=len(counts))
    return pa.array(counts[:-1])


def _in_run(stores: Stores, selected: Selection, stage: Stage) -> pa.Array:
    of_run = stores.runs.sample_ids(stage["run_id"])
    return _keep(of_run, selected.sample_ids) if stage["inside"] else _keep(selected.sample_ids, of_run, invert=True)


def _match_reviewed(stores: Stores, selected: Selection, stage: Stage) -> pa.Array:
    run_ids = stage.get("run_ids", ()) or stores.runs.ids_of_field(stage["field"])
    found = stores.sample_states.reviewed_ids(run_ids)
    return _keep(selected.sample_ids, found, invert=not stage["reviewed"])


_RUN = {
    "match": _match,
    "match_tags": _match_tags,
    "match_labels": _with_labels,
    "filter_labels": _with_labels,
    "select": _select,
    "exclude": _exclude,
    "limit": _limit,
    "skip": _skip,
    "take": _take,
    "sort_by": _sort_by,
    "in_run": _in_run,
    "match_reviewed": _match_reviewed,
}
