"""Tracks: an attribute that is not ``mutable`` has the same value in all frames of a track."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, Ints, as_array, equal, not_null, take_rows
from ..codes import row_codes
from ..compare import equal_rows
from ..labels import ATTRIBUTE, ATTRIBUTE_PREFIX
from ..schema import FieldSchema, LabelSchema
from . import findings
from .findings import FINDINGS


def restore_fixed_attributes(theirs: pa.Table, base: pa.Table, schema: LabelSchema) -> tuple[pa.Table, pa.Table]:
    """Where the tool returned several values of such an attribute for one track, restore those that were sent.

    A new label of the track gets the value that was sent for the track, if all of its labels had the same.

    Returns:
        ``theirs`` (matched and routed) with the restored values, and a finding for each value that was replaced.
    """
    found = [FINDINGS.empty_table()]
    for spec in schema.fields.values():
        in_track = equal(theirs["field"], spec.name) & not_null(theirs["index"])
        if not spec.in_video or not in_track.any():
            continue
        index = pc.index_in(as_array(theirs["label_id"]), value_set=as_array(base["label_id"])).fill_null(-1).to_numpy()
        sent = take_rows(base.select(["attributes"]), index)
        for name, rows in _fixed_attributes(spec, theirs["label"], in_track):
            values, expected = (attributes.column(side["attributes"], name) for side in (theirs, sent))
            if (rows & ~_same_values(values, expected)).any():
                expected = _with_track_values(theirs, expected, rows & (index >= 0), rows & (index < 0))
                refused = _has_several_values(theirs, values, rows) & ~_same_values(values, expected)
                reason = "the attribute is not mutable, and the tool returned several values for one track"
                found.append(findings.of(theirs, refused, ATTRIBUTE_PREFIX + name, reason, base=sent, theirs=theirs))
                column = attributes.replace(theirs["attributes"], {name: (refused, expected)})
                theirs = theirs.set_column(theirs.column_names.index("attributes"), "attributes", column)
    return theirs, pa.concat_tables(found)


def _fixed_attributes(spec: FieldSchema, labels: pa.ChunkedArray, where: Bools) -> Iterator[tuple[str, Bools]]:
    """The attributes that are not mutable, each with the rows for which that holds. The attribute of a class overrides that of
    its field.
    """
    for name in sorted(spec.all_attributes()):
        rows = where & any(not a.mutable for a in spec.attributes if a.name == name)
        for label, own in spec.class_attributes.items():
            for a in own:
                if a.name == name:
                    of_class = equal(labels, label)
                    rows = (rows & ~of_class) | (where & of_class & (not a.mutable))
        if rows.any():
            yield name, rows


def _same_values(a: pa.StructArray, b: pa.StructArray) -> Bools:
    return equal_rows(*(pc.struct_field(side, [2]) for side in (a, b)))


def _track_codes(theirs: pa.Table) -> Ints:
    return row_codes([theirs], ("sample_id", "field", "index"))[0]


def _has_several_values(theirs: pa.Table, values: pa.StructArray, rows: Bools) -> Bools:
    """Which of the rows are in a track with several values. A missing value counts as a value."""
    at = np.flatnonzero(rows)
    _, track = np.unique(_track_codes(theirs)[at], return_inverse=True)
    coded = pc.struct_field(values, [2]).take(pa.array(at)).dictionary_encode(null_encoding="encode")
    pairs = np.unique(track * len(coded.dictionary) + coded.indices.to_numpy())
    several = np.bincount(pairs // len(coded.dictionary)) > 1
    result = np.zeros(len(rows), bool)
    result[at] = several[track]
    return result


def _with_track_values(theirs: pa.Table, sent: pa.StructArray, known: Bools, new: Bools) -> pa.StructArray:
    """``sent`` with the value of its track for each new row, if all known rows of the track were sent with the same value."""
    codes = _track_codes(theirs)
    one_value = known & ~_has_several_values(theirs, sent, known) & not_null(sent)
    tracks, first = np.unique(codes[one_value], return_index=True)
    source = np.flatnonzero(one_value)[first]
    at = np.searchsorted(tracks, codes)
    found = new & (at < len(tracks))
    found[found] = tracks[at[found]] == codes[found]
    index = np.arange(len(codes))
    index[found] = source[at[found]]
    return sent.take(pa.array(index)).cast(ATTRIBUTE)
