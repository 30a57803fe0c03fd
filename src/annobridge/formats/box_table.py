"""Tables of boxes: CSV files with a row for each box, as TensorFlow's Object Detection API, Roboflow, VoTT and Kaggle have them.

The columns are known by their names, in any order and spelling: an image, a class, and the edges of a box or its corner and size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field

from ..core.labels import ATTRIBUTE
from ..core.media import PICTURES
from ..core.rows import attributes as attribute_list
from ..exceptions import InvalidSource
from .common import csv_rows
from .common.archive import Archive
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, frame_of
from .common.report import ReadReport
from .names import with_slashes

_IMAGE = ("filename", "imagefilename", "imagename", "image", "imagepath", "img", "imgpath", "filepath", "path", "file")
_CLASS = ("class", "classname", "label", "labelname", "category", "categoryname", "name", "object")
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("left", "top", "right", "bottom"),
    ("bboxxmin", "bboxymin", "bboxxmax", "bboxymax"),
)  # fmt: skip
_CORNER_AND_SIZE = (
    ("bboxx", "bboxy", "bboxwidth", "bboxheight"),
    ("x", "y", "w", "h"),
    ("left", "top", "width", "height"),
)
_SIZE = (("imagewidth", "imageheight"), ("width", "height"), ("imgwidth", "imgheight"))
_SCORE, _SPLIT = ("confidence", "score", "conf", "probability"), ("split", "subset", "set")
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "valid", "validation": "validation", "dev": "dev",
           "eval": "eval", "test": "test", "testing": "test"}  # fmt: skip
_NAME = re.compile(r"[\s_.-]+")
_CURE = "columns='image,x1,y1,x2,y2,class'"
_COLUMNS_OF_ROW = 6  # of RetinaNet's table, which has no header


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class BoxTableOptions(ReadOptions):
    """The options of reading tables of boxes."""

    columns: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="the names of the columns of a table without a header, as image,x1,y1,x2,y2,class"
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of a table have what."""

    image: str
    label: str
    box: tuple[str, ...]
    is_corners: bool  # else a corner and a size
    size: tuple[str, ...]  # of the image
    score: str
    split: str

    @property
    def names(self) -> list[str]:
        return [name for name in (self.image, self.label, *self.box, *self.size, self.score, self.split) if name]


class BoxTableFormat(FileFormat):
    """Tables of boxes. They are read only."""

    name: ClassVar[str] = "csv-boxes"
    title: ClassVar[str] = "a table of boxes (CSV)"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"box": KEPT}, confidence=True, splits=True, notes=("Other columns are not read.",)
    )
    reading: ClassVar[type[ReadOptions]] = BoxTableOptions
    writing: ClassVar[type[WriteOptions] | None] = None

    def detect(self, archive: Archive) -> str | None:
        """A table whose columns are known."""
        name = next(iter(_tables(archive)), None)
        return f"{name} has columns of an image, a class and a box" if name else None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each row is a box, or an image without one."""
        assert isinstance(options, BoxTableOptions)  # noqa: S101 - the options of this format
        names = list(archive.by_suffix.get(".csv", ())) if options.columns else _tables(archive)
        if not names:
            raise InvalidSource(
                f"{str(archive.path)!r} has no CSV file with the columns of an image, a class and a box; name them in its first "
                f"line, or, if it has no such line, with {_CURE}."
            )
        for name in names:
            given = list(options.columns) or csv_rows.header(archive, name)[0]
            columns = _known(given)
            if columns is None:
                what = "What columns= says of" if options.columns else "The first line of"
                raise InvalidSource(
                    f"{what} {archive.where(name)} does not name an image, a class and a box; name the columns, as {_CURE}."
                )
            yield from _Table(archive, name, columns, items, report).read(options.columns)


class _Table:
    """One file."""

    def __init__(self, archive: Archive, name: str, columns: _Columns, items: Items, report: ReadReport) -> None:
        self._archive, self._name, self._columns = archive, name, columns
        self._items, self._report = items, report
        folder, slash, base = name.rpartition("/")
        self._folder = folder + slash
        words = [folder.rpartition("/")[2], re.split(r"[_.-]", base)[0]]
        self._split = next((_SPLITS[word.lower()] for word in words if word.lower() in _SPLITS), None)
        self._known: dict[tuple[str, str], int] = {}
        self._is_first = True

    def read(self, named: Sequence[str]) -> Iterator[pa.Table]:
        for places, texts in csv_rows.batches(
            self._archive, self._name, self._columns.names, self._report, named or None
        ):
            box = np.stack([csv_rows.floats(texts[column]) for column in self._columns.box], axis=1)
            empty = csv_rows.is_empty([texts[column] for column in self._columns.box])
            if self._is_first and len(box) and not empty.all():
                self._require_pixels(box[~empty])
                self._is_first = False
            if self._columns.is_corners:
                box[:, 2:] -= box[:, :2]
            items = self._numbers(texts)
            labels = pc.if_else(pc.equal(texts[self._columns.label], ""), None, texts[self._columns.label])
            good = csv_rows.good_rows(places, {
                "it names no image": items < 0,
                "": empty,
                "a position is missing, or is no finite number": csv_rows.not_finite(box),
                "it has no class": labels.is_null().to_numpy(zero_copy_only=False),
            }, self._report)  # fmt: skip
            rows = pa.table({
                "item": pa.array(items), "kind": pa.repeat("box", len(items)), "label": labels, "place": places,
                "bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(box.ravel()), 4), **self._scores(texts),
            })  # fmt: skip
            yield rows.filter(pa.array(good))

    def _require_pixels(self, box: np.ndarray) -> None:
        if np.isfinite(box).all() and box.max() <= 1 and (box % 1 != 0).any():
            raise InvalidSource(
                f"The boxes of {self._archive.where(self._name)} are between 0 and 1: shares of their images, not pixels; multiply "
                "them with the sizes of the images."
            )

    def _numbers(self, texts: Mapping[str, pa.StringArray]) -> np.ndarray:
        """The item of each row; -1 for rows without an image."""
        splits = (
            texts[self._columns.split].to_pylist() if self._columns.split else [""] * len(texts[self._columns.image])
        )
        sizes = [csv_rows.floats(texts[column]) for column in self._columns.size]
        numbers = np.full(len(splits), -1, np.int32)
        for at, (name, split) in enumerate(zip(texts[self._columns.image].to_pylist(), splits, strict=True)):
            if name:
                item = self._known.get((name, split))
                if item is None:
                    width, height = (_side(side[at]) for side in sizes) if sizes else (None, None)
                    item = self._known[name, split] = self._add(name, split, width, height)
                numbers[at] = item
        return numbers

    def _add(self, name: str, split: str, width: int | None, height: int | None) -> int:
        path = with_slashes(name).removeprefix("./")
        beside = self._folder + path
        file = beside if beside in self._archive else None
        return self._items.add(path, split or self._split, width, height, frame_of(path), file=file)

    def _scores(self, texts: Mapping[str, pa.StringArray]) -> dict[str, pa.Array]:
        if not self._columns.score:
            return {}
        numbers = csv_rows.floats(texts[self._columns.score])
        good = (numbers >= 0) & (numbers <= 1)
        others = [
            attribute_list({"score": value}) if np.isfinite(value) and not fits else None
            for value, fits in zip(numbers.tolist(), good.tolist(), strict=True)
        ]
        return {"confidence": pa.array(numbers, mask=~good), "attributes": pa.array(others, pa.list_(ATTRIBUTE))}


def _side(value: float) -> int | None:
    return int(value) if np.isfinite(value) and 0 < value < 2**31 else None


def _tables(archive: Archive) -> list[str]:
    """The files whose columns are known, or that are as RetinaNet's, without a header."""
    names = [name for name in archive.by_suffix.get(".csv", ()) if name.rpartition("/")[2].lower() != "metadata.csv"]
    return [name for name in names if _is_table(archive, name)]


def _is_table(archive: Archive, name: str) -> bool:
    rows = [cells for cells, _ in csv_rows.head(archive, name, 3)]
    return bool(rows) and (_known(rows[0]) is not None or all(map(_is_row, rows)))


def _is_row(cells: Sequence[str]) -> bool:
    """Whether a line is an image, four numbers and a class."""
    if len(cells) != _COLUMNS_OF_ROW or not cells[0].lower().endswith(tuple(PICTURES)):
        return False
    box = csv_rows.floats(pa.array(cells[1:5]))
    return bool(np.isfinite(box).all() and cells[5]) or not any(cells[1:])


def _known(header: Sequence[str]) -> _Columns | None:
    """What the columns have; ``None`` if an image, a class or a box is missing."""
    by_name: dict[str, str] = {}
    for column in header:
        by_name.setdefault(_NAME.sub("", column).lower(), column)
    one = {key: next((by_name[n] for n in names if n in by_name), "") for key, names in
           {"image": _IMAGE, "label": _CLASS, "score": _SCORE, "split": _SPLIT}.items()}  # fmt: skip
    corners = next((names for names in _CORNERS if set(names) <= set(by_name)), ())
    box = corners or next((names for names in _CORNER_AND_SIZE if set(names) <= set(by_name)), ())
    size = next((names for names in _SIZE if set(names) <= set(by_name) and not set(names) & set(box)), ())
    if not one["image"] or not one["label"] or not box:
        return None
    return _Columns(
        one["image"], one["label"], tuple(by_name[name] for name in box), bool(corners),
        tuple(by_name[name] for name in size), one["score"], one["split"],
    )  # fmt: skip
