"""The rows of a table by class, and the words of sentences about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.codes import row_codes


def by(rows: pa.Table, *keys: str) -> Iterator[tuple[tuple[Any, ...], pa.Table]]:
    """The rows of each combination of some columns, with the values of these; in the order of the first row of each.

    >>> [(key, part.num_rows) for key, part in by(pa.table({"label": ["b", "a", "b"]}), "label")]
    [(('b',), 2), (('a',), 1)]
    """
    codes = row_codes([rows], keys)[0]
    _, first, group = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first[group], kind="stable")
    starts = np.flatnonzero(np.diff(first[group][order], prepend=-1))
    for at in np.split(order, starts[1:]) if len(order) else ():
        part = rows.take(pa.array(at))
        yield tuple(part[name][0].as_py() for name in keys), part


def labels(count: int, field: str | None, label: str | None) -> str:
    """So many labels of a class, as the subject of a sentence.

    >>> labels(2, "objects", "car"), labels(1, "speed", None)
    ("2 labels 'car' of 'objects'", "1 label of 'speed'")
    """
    return f"{count:,} label{'s' * (count != 1)}{f' {label!r}' if label is not None else ''} of {field!r}"


def percent(share: float) -> str:
    """A share in percent, with two digits that count.

    >>> percent(0.02), percent(0.125), percent(0.0004), percent(1.0)
    ('2 %', '12 %', '0.04 %', '100 %')
    """
    return f"{float(f'{100 * share:.2g}'):g} %"
