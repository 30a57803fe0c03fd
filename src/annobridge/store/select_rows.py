"""Choose rows of a table in memory by an SQL condition, as LanceDB runs it, or by an Arrow expression."""

from __future__ import annotations

import uuid

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..exceptions import StoreError
from .errors import first_line


def select_rows(table: pa.Table, where: str | pc.Expression) -> pa.Table:
    """The rows that meet a condition, in order. Raises ``StoreError`` for one that cannot be run.

    >>> select_rows(pa.table({"kind": ["add", "delete"]}), "kind = 'delete'").to_pylist()
    [{'kind': 'delete'}]
    """
    names = ", ".join(table.column_names)
    try:
        if not isinstance(where, str):
            return table.filter(where)
        numbered = table.append_column("row number", pa.array(np.arange(table.num_rows)))
        stored = lance.write_dataset(numbered, f"memory://{uuid.uuid4().hex}")
        found = stored.scanner(columns=["row number"], filter=where).to_table()
    except (ValueError, OSError, TypeError, pa.ArrowException) as e:
        raise StoreError(
            f"The condition {str(where)!r} cannot be run: {first_line(e)}. The columns are {names}."
        ) from e
    return table.take(found["row number"].sort())
