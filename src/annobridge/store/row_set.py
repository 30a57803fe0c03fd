"""Sets of rows of one version of a table: a bit for each row of a fragment, up to the last one that is in the set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Addresses = npt.NDArray[
    np.uint64
]  # ``_rowaddr``: the id of the fragment, then the offset of the row in it, of 32 bits each


class RowSet:
    """Rows by their address. Those that are added twice are in it once.

    >>> rows = RowSet(np.array([3, 1, (7 << 32) + 2], np.uint64))
    >>> rows.add(np.array([1, 12], np.uint64))
    >>> [(fragment, offsets.tolist()) for fragment, offsets in rows]
    [(0, [1, 3, 12]), (7, [2])]
    """

    def __init__(self, addresses: Addresses | None = None) -> None:
        self._bits: dict[int, npt.NDArray[np.uint8]] = {}
        if addresses is not None:
            self.add(addresses)

    def add(self, addresses: Addresses) -> None:
        """Add rows."""
        fragments = (addresses >> np.uint64(32)).astype(np.int64)
        for number in np.unique(fragments).tolist():
            offsets = (addresses[fragments == number] & np.uint64(0xFFFFFFFF)).astype(np.int64)
            marks = np.zeros(int(offsets.max()) + 1, bool)
            marks[offsets] = True
            added, known = np.packbits(marks), self._bits.get(number, np.zeros(0, np.uint8))
            longer, shorter = (added, known) if len(added) > len(known) else (known, added)
            longer[: len(shorter)] |= shorter
            self._bits[number] = longer

    def __bool__(self) -> bool:
        return bool(self._bits)

    def __iter__(self) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """The id of each fragment, and the offsets of its rows in order."""
        for number in sorted(self._bits):
            yield number, np.flatnonzero(np.unpackbits(self._bits[number]))
