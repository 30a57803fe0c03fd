"""Frame numbers: labels in a field of video frames have one, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Bools, as_array, as_mask, equal, not_null
from ..labels import TOOL_KEY
from ..lookup import look_up
from ..schema import FRAMES
from . import findings


def without_frames_on_images(theirs: pa.Table, base: pa.Table, images: pa.Array) -> tuple[pa.Table, pa.Table]:
    """``theirs`` (not matched yet) without frame numbers on images, and a finding for each that is removed.

    A frame number that was sent is kept. The label itself is taken: it can only be about the image.
    """
    number = as_array(theirs["frame_number"])
    at = look_up(theirs, base, TOOL_KEY).at
    sent = as_array(base["frame_number"]).take(pa.array(at, mask=at < 0))
    wrong = not_null(number) & as_mask(pc.is_in(theirs["sample_id"], value_set=images)) & ~equal(number, sent)
    if not wrong.any():
        return theirs, findings.FINDINGS.empty_table()
    reason = "its sample is an image, which has no frames; the frame number was left out"
    found = findings.of(findings.by_remote_id(theirs), wrong, "spatial", reason, theirs=theirs)
    at = theirs.column_names.index("frame_number")
    return theirs.set_column(at, theirs.schema.field(at), pc.if_else(pa.array(wrong), sent, number)), found


def misplaced(base: pa.Table, theirs: pa.Table) -> Iterator[tuple[str, Bools]]:
    """Each reason why labels are not in a field for their frame, with the rows of ``theirs`` that have it, and of which the aligned
    row of ``base`` does not.
    """
    for reason, on_frame in (
        ("it is on a frame, and its field is not a field of frames", True),
        ("it is on no frame, and its field is a field of frames", False),
    ):
        rows = _is_misplaced(theirs, on_frame) & ~_is_misplaced(base, on_frame)
        if rows.any():
            yield reason, rows


def _is_misplaced(labels: pa.Table, on_frame: bool) -> Bools:
    field = labels["field"]
    of_frames, has_number = as_mask(pc.starts_with(field, FRAMES)), not_null(labels["frame_number"])
    wrong: Bools = np.logical_and(has_number == on_frame, of_frames != on_frame) & not_null(field)
    return wrong
