"""What an annotation says beside its shape: attributes, and what of them has a column of its own."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from ...core.labels import ATTRIBUTE
from ...core.rows import attributes as attribute_list
from .records import EXTRA, NOTHING, Annotation

_DECODER = msgspec.json.Decoder()
_INT32 = 2**31
_COLUMNS = ("confidence", "index", "rotation")
_NULL = (b"", b"null")
_CROWD, _SCORE, _GIVEN = attrgetter("iscrowd"), attrgetter("score"), attrgetter("attributes")
More = tuple[tuple[str, Any], ...]  # attributes that are not in the annotation itself


class Attributes:
    """The attributes of some annotations. Each different combination of texts is parsed once.

    Args:
        rows: The annotations.
        extras: The keys beside COCO's own, in the order of the fields of ``rows``.
    """

    def __init__(self, rows: Sequence[Annotation], extras: Sequence[str]) -> None:
        self._extras = [(f"{EXTRA}{number}", key) for number, key in enumerate(extras)]
        self._codes: dict[tuple[Any, ...], int] = {}
        self._lists: list[list[dict[str, str]] | None] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        self._rows = rows
        if (
            extras
            or any(map(_CROWD, rows))
            or [*map(_SCORE, rows)].count(None) < len(rows)
            or {*map(id, map(_GIVEN, rows))} - {id(NOTHING)}
        ):
            self._code = np.fromiter((self._code_of(row, ()) for row in rows), np.int64, len(rows))
        else:  # as in most files of boxes
            self._code = np.zeros(len(rows), np.int64)
            self._parse(Annotation(), (), turns=True)

    def columns(self, at: np.ndarray, more: Sequence[More], *, turns: bool) -> dict[str, pa.Array]:
        """Columns of ``SHAPES`` for the annotations at these places.

        Args:
            at: The places.
            more: For each place, attributes that are not in the annotation.
            turns: Whether the shapes have a column for rotation; it is an attribute if not.
        """
        codes = self._code[at]
        tied = [k for k, values in enumerate(more) if values]
        if tied or not turns:
            codes = codes.copy()
            rotated = (
                [] if turns else [k for k, c in enumerate(codes.tolist()) if self._columns["rotation"][c] is not None]
            )
            for k in sorted({*tied, *rotated}):
                codes[k] = self._code_of(self._rows[at[k]], more[k], turns=turns)
        index = pa.array(codes)
        types = {"confidence": pa.float64(), "index": pa.int32(), "rotation": pa.float64()}
        found = {name: pa.array(self._columns[name], types[name]).take(index) for name in _COLUMNS}
        return {**found, "attributes": pa.array(self._lists, pa.list_(ATTRIBUTE)).take(index)}

    def _code_of(self, row: Annotation, more: More, *, turns: bool = True) -> int:
        score = row.score
        key = (
            bytes(row.attributes), row.iscrowd, None if score is None else str(score), more, turns,
            *[bytes(getattr(row, name)) for name, _ in self._extras],
        )  # fmt: skip
        code = self._codes.get(key)
        if code is None:
            code = self._codes[key] = len(self._lists)
            self._parse(row, more, turns=turns)
        return code

    def _parse(self, row: Annotation, more: More, *, turns: bool) -> None:
        values = {key: _decoded(text) for name, key in self._extras
                  if (text := bytes(getattr(row, name))) not in _NULL}  # fmt: skip
        if bytes(row.attributes) not in _NULL:
            given = _decoded(bytes(row.attributes))
            values |= given if isinstance(given, dict) else {"attributes": given}
        if values.get("ignore") in (0, False):
            del values["ignore"]  # what every annotation of the tools that write it has
        if row.score is not None:
            values["score" if isinstance(row.score, (int, float)) else "point_confidence"] = row.score
        if row.iscrowd:
            values["iscrowd"] = True
        for name, value in more:
            values.setdefault(name, value)
        lifted = lift(values, turns)
        self._lists.append(attribute_list(values) or None)
        for name in _COLUMNS:
            self._columns[name].append(lifted.get(name))


def _decoded(text: bytes) -> Any:
    """A value. Of one that is no JSON, as numbers that are not finite, the text is kept."""
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text.decode("utf-8", "replace")


def lift(values: dict[str, Any], turns: bool) -> dict[str, Any]:
    """Take out of attributes what has a column of its own: score, track_id, and the rotation of shapes that turn.

    >>> values = {"score": 0.5, "track_id": 3, "rotation": 30, "color": "red"}
    >>> lift(values, True), values
    ({'confidence': 0.5, 'index': 3, 'rotation': 30.0}, {'color': 'red'})
    """
    found: dict[str, Any] = {}
    score: Any = values.get("score")
    track, rotation = values.get("track_id"), values.get("rotation")
    if _is_number(score) and 0 <= score <= 1:
        found["confidence"] = float(values.pop("score"))
    if isinstance(track, int) and not isinstance(track, bool) and 0 <= track < _INT32:
        found["index"] = values.pop("track_id")
    if turns and _is_number(rotation):
        found["rotation"] = float(values.pop("rotation")) or None
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
