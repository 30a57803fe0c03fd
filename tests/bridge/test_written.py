"""The rows of a plan, as they are written to data files."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from annobridge.bridge.written import _replaced_addresses
from annobridge.core.merge.output import REPLACED
from annobridge.spill.streams import Streams

ROWS, BATCHES = 10_000, 30


def test_the_addresses_of_replaced_rows_are_all_that_is_kept_of_them():
    streams = Streams({"replaced": REPLACED})
    for number in range(BATCHES):
        columns = {field.name: pa.nulls(ROWS, field.type) for field in REPLACED}
        columns["_rowaddr"] = pa.array(np.arange(ROWS) + number * ROWS, pa.uint64())
        streams.add("replaced", pa.table(columns, schema=REPLACED))
    streams.finish()
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.system_memory_pool())
    pa.set_memory_pool(pool)
    try:
        addresses = _replaced_addresses(streams.parts)
    finally:
        pa.set_memory_pool(before)
    assert addresses.tolist() == list(range(ROWS * BATCHES))
    (batch,) = streams.table("replaced", 1).combine_chunks().to_batches()
    size = ROWS * sum(column.nbytes for column in batch.columns)
    assert pool.max_memory() < 3 * size  # of one batch
