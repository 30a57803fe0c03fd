"""Changes of labels by id: the columns that are given replace those of the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..core import ids
from ..core.arrays import Bools, any_of, as_array
from ..core.checks import validate
from ..core.compare import equal_rows
from ..core.labels import LABELS
from ..core.merge.border import clip_where
from ..exceptions import InvalidLabels, StalePlan
from ..store.labels import ROW_KEYS
from ..store.stores import Stores
from .new_label_rows import mask_problems
from .parse_labels import cast_column, dictionaries, parse_labels, require_columns, table_of_dictionaries

_SHAPE = ("bounding_box", "rotation", "points")
_PLACEMENT = ("field", "frame_number", "label")  # what ``validate.PLACEMENT_CHECKS`` looks at


def edited_labels(stores: Stores, version: int, given: Any) -> tuple[pa.Table, pa.Table] | None:
    """The rows that ``set_labels`` replaces (``ROW_KEYS``), and the labels as they will be; ``None`` if no rows are given.

    Args:
        stores: the dataset.
        version: the version of its labels that the changes are made to.
        given: labels in any form that ``parse_labels`` takes, each with a ``label_id``.

    Raises:
        InvalidLabels: an id is missing, unknown or given twice, or a changed label cannot be stored.
        StalePlan: a label has another revision than the column ``rev`` says.
    """
    changes, has_value = _parse_changes(given)
    if not changes.num_rows:
        return None
    before = _labels_before(stores, version, changes)
    if "rev" in changes.column_names and not pc.all(pc.equal(changes["rev"], before["rev"])).as_py():
        raise StalePlan("A label was changed by somebody else since it was read; read the labels again.")
    after = _apply_changes(before, changes, has_value)
    for name in ("sample_id", "field", "kind"):
        if after[name].null_count:
            raise InvalidLabels("", [f"A label has no {name}; give one, or leave the column out."])
    if "sample_id" in changes.column_names:
        stores.samples.require(after["sample_id"])
    # A load may have kept a shape that lies over the border of its image; it is refused only where the shape changes.
    kept = ~any_of((~equal_rows(as_array(before[n]), as_array(after[n])) for n in _SHAPE), after.num_rows)
    if problems := validate.problems(clip_where(after, kept)) or mask_problems(stores, after):
        raise InvalidLabels("These labels cannot be stored:", problems)
    # Labels of earlier versions may have a placement that is refused now; it is checked only where it changes.
    moved = any_of((~equal_rows(as_array(before[n]), as_array(after[n])) for n in _PLACEMENT), after.num_rows)
    if problems := validate.problems(after.filter(pa.array(moved)), checks=validate.PLACEMENT_CHECKS):
        raise InvalidLabels("These labels cannot be stored:", problems)
    return before.select(ROW_KEYS.names), after


def _parse_changes(given: Any) -> tuple[pa.Table, dict[str, Bools]]:
    """The rows; and, for columns that only some rows have, which of them have it."""
    if hasattr(given, "__arrow_c_stream__"):
        parts = list(parse_labels(given))
        return (pa.concat_tables(parts, promote_options="permissive") if parts else LABELS.empty_table()), {}
    rows = list(dictionaries(given))
    changes = table_of_dictionaries(rows)
    has_value = {name: np.array([name in row for row in rows]) for name in changes.column_names}
    return changes, {name: has for name, has in has_value.items() if not has.all()}


def _labels_before(stores: Stores, version: int, changes: pa.Table) -> pa.Table:
    """The labels as they are, in the order of the changes. Raises ``InvalidLabels`` for ids that do not name one label each."""
    if "label_id" not in changes.column_names or changes["label_id"].null_count:
        raise InvalidLabels("", ["set_labels needs the label_id of every row; add_labels makes new labels."])
    wanted = ids.as_texts(changes["label_id"]).combine_chunks()
    distinct = pc.unique(wanted)
    found = stores.labels.get_by_ids(distinct, version)
    index = pc.index_in(wanted, value_set=found["label_id"].combine_chunks())
    if index.null_count or len(distinct) != len(wanted):
        missing = wanted.filter(pc.is_null(index))
        what = f"There is no label {missing[0].as_py()!r}" if len(missing) else "A label_id is given twice"
        raise InvalidLabels("", [f"{what}; set_labels changes each label once."])
    return found.take(index)


def _apply_changes(before: pa.Table, changes: pa.Table, has_value: Mapping[str, Bools]) -> pa.Table:
    """The labels with the values that are given, one revision further."""
    require_columns(changes.column_names)
    after = before.select(LABELS.names)
    for name in changes.column_names:
        column = cast_column(name, changes[name])
        if name in has_value:
            has, old = has_value[name], after[name]
            rows = np.arange(len(has)) + np.where(has, len(has), 0)  # into the old values, followed by the new ones
            column = pa.chunked_array([*old.chunks, *column.chunks], old.type).take(pa.array(rows))
        after = after.set_column(LABELS.get_field_index(name), LABELS.field(name), column)
    return after.set_column(LABELS.get_field_index("rev"), LABELS.field("rev"), pc.add(before["rev"], 1))
