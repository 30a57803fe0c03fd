"""Values that nobody changed are returned exactly as they were sent.

A tool rounds, converts, and drops what it has no place for, so a label that comes back decoded differs from the one that was
sent, even if nobody touched it. The rule that avoids this: encode the baseline once more as it was sent, compare it with what
the tool has *in the tool's form*, and wherever the two are equal return the baseline's value. Only changes are decoded.

    sent, known = sent_of(now["remote_id"], baseline)
    unchanged = known & close_rows(encode(sent), wire, tolerance)
    now = keep_sent(now, sent, unchanged, "points", "visibility")
"""

from __future__ import annotations

import pyarrow as pa

from .arrays import Bools, choose, index_of, not_null, set_columns


def sent_of(remote_ids: pa.Array | pa.ChunkedArray, baseline: pa.Table) -> tuple[pa.Table, Bools]:
    """The baseline's row of each label that the tool has.

    Args:
        remote_ids: the ids of the labels that were found.
        baseline: ``receipt.baseline``, or the part of it that is of the same samples.

    Returns:
        A table with a row for each id, in order, and a boolean for each: false for a new label, whose row is all null.
    """
    rows = index_of(remote_ids, baseline["remote_id"])
    return baseline.take(rows).combine_chunks(), not_null(rows)


def keep_sent(now: pa.Table, sent: pa.Table, unchanged: Bools, *columns: str) -> pa.Table:
    """``now`` with the values of ``sent`` in some columns, in the rows that are ``unchanged``. The tables have the same rows."""
    return set_columns(now, **{name: choose(unchanged, sent[name].cast(now[name].type), now[name]) for name in columns})
