"""Views: chains of stages that are kept as data (a run remembers its view), and run in LanceDB when they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core.masks import one
from ..exceptions import StoreError
from .labels import Labels, of_fields
from .samples import Samples
from .tables import quote

Stage = Mapping[str, Any]  # {"verb": "match", …arguments}; JSON


@dataclass(frozen=True, slots=True)
class Selection:
    """What a view comes to: samples in order, and per field the conditions on its labels."""

    sample_ids: pa.Array
    label_filters: Mapping[str, tuple[str, ...]]


def resolve(samples: Samples, labels: Labels, stages: Sequence[Stage]) -> Selection:
    """Run the stages, each on what the one before left."""
    leading = 0
    while leading < len(stages) and stages[leading]["verb"] == "match":
        leading += 1
    where = " AND ".join(f"({s['where']})" for s in stages[:leading]) or None
    found = samples.ids(where)
    filters: dict[str, tuple[str, ...]] = {}
    for stage in stages[leading:]:
        found = _RUN[stage["verb"]](samples, labels, found, stage)
        if stage["verb"] == "filter_labels":
            filters[stage["field"]] = (*filters.get(stage["field"], ()), stage["where"])
    return Selection(found, filters)


def label_condition(fields: Sequence[str], filters: Mapping[str, tuple[str, ...]]) -> str:
    """The SQL condition for the labels of some fields, within a view's filters on labels."""
    free = [f for f in fields if f not in filters]
    parts = [of_fields(free)] if free else []
    for field in fields:
        if field in filters:
            parts.append(" AND ".join([f"field = {quote(field)}", *(f"({w})" for w in filters[field])]))
    return " OR ".join(f"({p})" for p in parts)


def _keep(found: pa.Array, wanted: pa.Array, invert: bool = False) -> pa.Array:
    inside = pc.is_in(found, value_set=wanted)
    return found.filter(pc.invert(inside) if invert else inside)


def _match(samples: Samples, _: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    return _keep(found, samples.ids(stage["where"]))


def _match_tags(samples: Samples, _: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    tags = ", ".join(map(quote, stage["tags"]))
    return _keep(found, samples.ids(f"array_has_any(tags, [{tags}])"))


def _with_labels(_: Samples, labels: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    where = f"field = {quote(stage['field'])} AND ({stage['where']})"
    return _keep(found, labels.samples_with(where))


def _select(_: Samples, __: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    wanted = pc.unique(pa.array(stage["ids"], pa.string()))
    return _keep(wanted, found) if stage.get("ordered") else _keep(found, wanted)


def _exclude(_: Samples, __: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    return _keep(found, pa.array(stage["ids"], pa.string()), invert=True)


def _limit(_: Samples, __: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    return found.slice(0, stage["count"])


def _skip(_: Samples, __: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    return found.slice(min(stage["count"], len(found)))


def _take(_: Samples, __: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    rng = np.random.default_rng(stage["seed"])
    return found.take(pa.array(rng.permutation(len(found))[: stage["count"]]))


def _sort_by(samples: Samples, labels: Labels, found: pa.Array, stage: Stage) -> pa.Array:
    if not len(found):
        return found
    if "field" in stage:
        keys = _label_counts(labels, found, stage["field"], stage["where"])
    else:
        keys = _values(samples, found, stage["by"])
    try:
        order = pc.sort_indices(keys, sort_keys=[("", "descending" if stage["reverse"] else "ascending")])
    except (pa.ArrowTypeError, pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise StoreError(f"{stage['by']!r} is {keys.type}, which has no order; sort by another.") from None
    return found.take(order)


def _values(samples: Samples, found: pa.Array, expression: str) -> pa.ChunkedArray:
    """What an expression on the columns of the samples gives for each."""
    if expression in samples.schema().names:
        batches, value = samples.scan(None, list(dict.fromkeys(["sample_id", expression]))), expression
    else:
        batches, value = samples.computed(expression), "value"
    rows = pa.Table.from_batches(list(batches))
    return rows[value].take(pc.index_in(found, value_set=one(rows["sample_id"])))


def _label_counts(labels: Labels, found: pa.Array, field: str, where: str) -> pa.Array:
    """How many labels of a field meet a condition, for each sample."""
    counts = np.zeros(len(found) + 1, np.int64)  # the last is of samples that were not asked for
    for batch in labels.scan(f"field = {quote(field)} AND ({where})", ["sample_id"]):
        place = pc.index_in(batch["sample_id"], value_set=found).fill_null(len(found))
        counts += np.bincount(place, minlength=len(counts))
    return pa.array(counts[:-1])


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
}
