"""Tracks: an attribute that is not ``mutable`` has one value in all frames of a track."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .. import attributes
from ..arrays import Bools, Ints, as_array, equal, not_null
from ..checks.repeats import key_codes
from ..compare import equal_rows
from ..labels import ATTRIBUTE
from ..schema import FieldSchema, LabelSchema
from . import findings
from .diff import ATTRIBUTE_PREFIX, take_or_null
from .findings import FINDINGS


def restore_fixed_attributes(theirs: pa.Table, base: pa.Table, schema: LabelSchema) -> tuple[pa.Table, pa.Table]:
    """``theirs`` (matched and routed) with the values that were sent, where the tool returned several for one track; and
    findings for those that are not taken. A new label of such a track has the value that was sent for the track, if
    it was one value.
    """
    found = [FINDINGS.empty_table()]
    for spec in schema.fields.values():
        here = equal(theirs["field"], spec.name) & not_null(theirs["index"])
        if not spec.in_video or not here.any():
            continue
        place = pc.index_in(as_array(theirs["label_id"]), value_set=as_array(base["label_id"])).fill_null(-1).to_numpy()
        sent = take_or_null(base.select(["attributes"]), place)
        for name, rows in _fixed_attributes(spec, theirs["label"], here):
            values, target = (attributes.column(side["attributes"], name) for side in (theirs, sent))
            if (rows & ~_same(values, target)).any():
                target = _with_track_values(theirs, target, rows & (place >= 0), rows & (place < 0))
                refused = _has_several_values(theirs, values, rows) & ~_same(values, target)
                reason = "the attribute is not mutable, and the tool returned several values for one track"
                found.append(findings.of(theirs, refused, ATTRIBUTE_PREFIX + name, reason, base=sent, theirs=theirs))
                column = attributes.replace(theirs["attributes"], {name: (refused, target)})
                theirs = theirs.set_column(theirs.column_names.index("attributes"), "attributes", column)
    return theirs, pa.concat_tables(found)


def _fixed_attributes(spec: FieldSchema, labels: pa.ChunkedArray, here: Bools) -> Iterator[tuple[str, Bools]]:
    """The attributes that are not mutable, each with the rows for which that holds: a class's own before a field's."""
    for name in sorted(spec.all_attributes()):
        rows = here & any(not a.mutable for a in spec.attributes if a.name == name)
        for label, own in spec.class_attributes.items():
            for a in own:
                if a.name == name:
                    of_class = equal(labels, label)
                    rows = (rows & ~of_class) | (here & of_class & (not a.mutable))
        if rows.any():
            yield name, rows


def _same(a: pa.StructArray, b: pa.StructArray) -> Bools:
    return equal_rows(*(pc.struct_field(side, [2]) for side in (a, b)))


def _track_codes(theirs: pa.Table) -> Ints:
    return key_codes(theirs, ("sample_id", "field", "index"))


def _has_several_values(theirs: pa.Table, values: pa.StructArray, rows: Bools) -> Bools:
    """Which of the rows are of a track with several values; no value is one too."""
    at = np.flatnonzero(rows)
    _, track = np.unique(_track_codes(theirs)[at], return_inverse=True)
    coded = pc.struct_field(values, [2]).take(pa.array(at)).dictionary_encode(null_encoding="encode")
    pairs = np.unique(track * len(coded.dictionary) + coded.indices.to_numpy())
    several = np.bincount(pairs // len(coded.dictionary)) > 1
    varied = np.zeros(len(rows), bool)
    varied[at] = several[track]
    return varied


def _with_track_values(theirs: pa.Table, sent: pa.StructArray, known: Bools, new: Bools) -> pa.StructArray:
    """``sent`` with the value of its track for each new row, where all known rows of the track were sent with one."""
    codes = _track_codes(theirs)
    one_value = known & ~_has_several_values(theirs, sent, known) & not_null(sent)
    tracks, first = np.unique(codes[one_value], return_index=True)
    source = np.flatnonzero(one_value)[first]
    at = np.searchsorted(tracks, codes)
    hit = new & (at < len(tracks))
    hit[hit] = tracks[at[hit]] == codes[hit]
    index = np.arange(len(codes))
    index[hit] = source[at[hit]]
    return sent.take(pa.array(index)).cast(ATTRIBUTE)
