"""Tracks that only the format made: of one label, and with keyframes that nobody flagged."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import as_array, as_mask, choose, set_columns


def without_short_tracks(theirs: pa.Table, sent: pa.Table) -> pa.Table:
    """Labels that are tracked as far as they were sent so: formats of tracks make each shape of an image a track of one label, and
    flag keyframes where nobody did.
    """
    index, keyframe = as_array(theirs["index"]), as_array(theirs["keyframe"])
    counts = pc.value_counts(index.drop_null())
    single = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
    shape = as_mask(pc.is_in(index, value_set=single)) & as_mask(index.is_valid())
    shape &= as_mask(theirs["frame_number"].is_null()) & as_mask(sent["index"].is_null())
    flagged = as_mask(keyframe.is_valid()) & as_mask(sent["keyframe"].is_null())
    flagged &= shape | as_mask(sent["remote_id"].is_valid())
    return set_columns(
        theirs,
        index=choose(shape, pa.nulls(len(index), index.type), index),
        keyframe=choose(flagged, pa.nulls(len(index), keyframe.type), keyframe),
    )
