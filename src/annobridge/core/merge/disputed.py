"""Changes that are made only if somebody accepts them, as several annotators did not agree about them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from ..arrays import as_array
from ..labels import LABELS, REMOTE, TOOL_KEY
from ..lookup import look_up

_WHAT = [
    pa.field("component", pa.string()),  # existence | label | spatial
    pa.field("reason", pa.string()),
]
DISPUTED = pa.schema([*(REMOTE.field(name) for name in TOOL_KEY), *_WHAT])  # by the ids of the tool
_IDS = pa.schema([REMOTE.field(name) for name in ("label_id", *TOOL_KEY)])
DISPUTES = pa.schema([LABELS.field("label_id"), *_WHAT])  # by those of the dataset


def disputes(disputed: pa.Table, sides: Iterable[pa.Table]) -> pa.Table:
    """``DISPUTES`` from ``DISPUTED``. ``sides`` have the ids of both: the matched labels of the tool, and the baseline."""
    if not disputed.num_rows:
        return DISPUTES.empty_table()
    columns = ["label_id", *TOOL_KEY]
    known = pa.concat_tables([side.select(columns).cast(_IDS) for side in sides]).combine_chunks()
    at = look_up(disputed, known, TOOL_KEY).at
    found = known["label_id"].take(pa.array(np.maximum(at, 0), mask=at < 0))
    return pa.table([found, disputed["component"], disputed["reason"]], DISPUTES.names).drop_null().cast(DISPUTES)


def reasons(of: pa.Table, label_ids: pa.Array, components: pa.Array) -> pa.Array:
    """Why each change is disputed; null where it is not. ``of`` are ``DISPUTES``."""
    if not of.num_rows:
        return pa.nulls(len(label_ids), pa.string())
    keys = ["label_id", "component"]
    at = look_up(pa.table([label_ids, components], keys), of, keys).at
    return as_array(of["reason"]).take(pa.array(np.maximum(at, 0), mask=at < 0))
