"""Tracks of a file, whose numbers are the file's own."""

from __future__ import annotations

from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from ..arrays import Ints, as_array, as_mask, choose, set_columns


def with_sent_tracks(base: pa.Table, theirs: pa.Table, rows: Ints) -> tuple[pa.Table, bool]:
    """The labels of a file with the numbers that their tracks were sent with, and whether any is another. A track is the one that
    most of its labels were in; a new one whose number is another track's gets the next that is free.

    Args:
        base: what was sent.
        theirs: the labels of the file.
        rows: the row of ``base`` that each of them is, or -1.
    """
    numbers = as_array(theirs["index"]).to_pylist()
    sent = as_array(base["index"]).to_pylist()
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for number, row in zip(numbers, rows.tolist(), strict=True):
        if number is not None and row >= 0 and sent[row] is not None:
            votes[number][sent[row]] += 1
    used = {number for number in sent if number is not None}
    if not used:
        return theirs, False
    names: dict[int, int] = {}
    for number, found in sorted(votes.items(), key=lambda vote: -vote[1].most_common(1)[0][1]):
        wanted = next((track for track, _ in found.most_common() if track not in names.values()), None)
        if wanted is not None:
            names[number] = wanted
    free = max([*used, *(number for number in numbers if number is not None)]) + 1
    for number in sorted({number for number in numbers if number is not None} - names.keys()):
        if number in used:
            names[number], free = free, free + 1
    changed = {number: name for number, name in names.items() if number != name}
    if not changed:
        return theirs, False
    column = pa.array([changed.get(number, number) for number in numbers], theirs.schema.field("index").type)
    return set_columns(theirs, index=column), True


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
