"""Out: samples and labels as lines. What all dialects share, and the ``file_name`` ones."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....core import attributes
from ....core.arrays import as_array
from ....exceptions import InvalidMedia, Unsupported
from ....store import media
from ..options import Writing
from ..reading.line_keys import CATEGORIES

if TYPE_CHECKING:
    from .writer import Facts

Line = dict[str, Any]
OBJECTS = "objects"
WORDS = {"box": "boxes", "polygon": "polygons", "mask": "masks", "message": "messages", "segmentation": "class maps"}


class Dialect(Protocol):
    """What writes lines."""

    splits: bool  # whether each image must be in a split
    header: Line | None
    notes: list[str]

    def check(self) -> None:
        """Raise ``Unsupported`` for labels that cannot be written."""
        ...

    def lines(
        self, samples: pa.Table, labels: pa.Table, names: Sequence[str], files: media.Media | None = None
    ) -> Iterator[Line]:
        """The lines of some samples, with the names of their images; ``files`` opens them, by default at their paths."""
        ...

    def files(self) -> dict[str, str]:
        """What else belongs into the folder."""
        ...


class Cells:
    """The labels of one field in a part, sample by sample, as Python values by column."""

    def __init__(self, samples: pa.Table, labels: pa.Table, name: str) -> None:
        rows = labels.filter(pc.equal(labels["field"], name))
        place = as_array(pc.index_in(rows["sample_id"], value_set=as_array(samples["sample_id"]))).to_numpy(
            zero_copy_only=False
        )
        order = np.argsort(place, kind="stable")
        self.rows = rows.take(pa.array(order))
        self.place = place[order]
        self._ends = np.concatenate([[0], np.cumsum(np.bincount(self.place, minlength=samples.num_rows))])

    def column(self, name: str) -> list[Any]:
        """A column of ``LABELS``."""
        values: list[Any] = self.rows[name].to_pylist()
        return values

    def attribute(self, name: str, types: set[str]) -> list[Any]:
        """The values of an attribute; whole numbers become such when others are not."""
        texts = attributes.values(self.rows["attributes"], name).to_pylist()
        values = [None if text is None else json.loads(text) for text in texts]
        if types != {"int", "float"}:
            return values
        if large := [v for v in values if type(v) is int and abs(v) > 1 << 53]:
            raise unsupported(
                f"The attribute {name!r} has the whole number {large[0]}, and other values have fractions, among which it "
                "would lose digits; make its values texts with set_labels."
            )
        return [None if v is None else float(v) for v in values]

    def boxes(self, sizes: np.ndarray | None = None) -> list[Any]:
        """The boxes, in pixels if the sizes of the samples' images are given; null where there is none."""
        column = as_array(self.rows["bounding_box"])
        at = np.flatnonzero(np.asarray(column.is_valid()))
        flat = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
        made: list[Any] = [None] * len(column)
        scaled = flat if sizes is None else flat * np.tile(sizes[self.place[at]], 2)
        for n, box in zip(at.tolist(), scaled.tolist(), strict=True):
            made[n] = box
        return made

    def of(self, sample: int) -> slice:
        """The labels of a sample."""
        return slice(int(self._ends[sample]), int(self._ends[sample + 1]))


def sizes_of(samples: pa.Table, files: media.Media) -> np.ndarray:
    """Width and height of the images, from their headers where the dataset does not know. Raises ``InvalidMedia``."""
    known = [
        samples[n].to_pylist() if n in samples.column_names else [None] * samples.num_rows for n in ("width", "height")
    ]
    sizes = list(zip(*known, strict=True))
    unknown = [n for n, size in enumerate(sizes) if not all(size)]
    if unknown:
        paths = [files.path(samples["sample_id"][n].as_py()) for n in unknown]
        found = iter(media.known_sizes([p for p in paths if p is not None]))
        far = [n for n, path in zip(unknown, paths, strict=True) if path is None]
        sizes_far = iter(_looked_at(samples.take(pa.array(far)), files)) if far else iter(())
        for n, path in zip(unknown, paths, strict=True):
            size = next(found) if path is not None else next(sizes_far)
            if size is None:
                raise InvalidMedia(
                    f"The size of the image {samples['filepath'][n].as_py()!r} is not known; set its width and height."
                )
            sizes[n] = size
    return np.array(sizes, np.float64).reshape(-1, 2)


def _looked_at(samples: pa.Table, files: media.Media) -> list[tuple[int, int]]:
    """The sizes of images that are no local files."""
    places = [None if place is None else media.without_secrets(place) for place in samples["filepath"].to_pylist()]
    rows = {"sample_id": samples["sample_id"], "media_type": pa.nulls(len(places)), "filepath": places}
    found, faults = media.check_media(pa.table(rows), files, size=media.header_size)
    if faults:
        text = media.describe_bad_files(faults)
        for place in filter(None, samples["filepath"].to_pylist()):  # an error may quote it
            text = text.replace(place, media.without_secrets(place))
        raise InvalidMedia(text)
    return list(map(tuple, found.tolist()))


def columns_of(samples: pa.Table, names: Sequence[str]) -> list[Line]:
    """The columns of the samples, by row; what is no number becomes null."""
    columns = {name: [_finite(v) for v in samples[name].to_pylist()] for name in names}
    return [{name: values[n] for name, values in columns.items()} for n in range(samples.num_rows)]


def _bytes(path: Path | None) -> int | None:
    """The size of a local file. Raises ``InvalidMedia``."""
    try:
        return None if path is None else path.stat().st_size
    except OSError as e:
        raise InvalidMedia(
            f"The image {str(path)!r} cannot be found ({e.strerror}); put it there, or leave the sample out of the view."
        ) from None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def refuse(dialect: str, field: str, what: str, cure: str) -> Unsupported:
    """The error for labels that a dialect cannot hold."""
    return unsupported(f"The dialect {dialect!r} cannot hold {what} (field {field!r}); {cure}.")


def unsupported(sentence: str) -> Unsupported:
    """The error for anything that cannot be written."""
    return Unsupported("", [sentence])


def one_type(dialect: str, field: str, name: str, types: set[str]) -> None:
    """Refuse an attribute of several types: a column has one."""
    if len(types) > 1 and types != {"int", "float"}:
        what = f"the attribute {name!r}, which is of several types ({', '.join(sorted(types))})"
        raise refuse(dialect, field, what, "make its values of one type with set_labels")


def common_checks(dialect: str, facts: Facts, kinds: frozenset[str]) -> None:
    """What no line holds: other kinds, turned boxes, frames."""
    for name, stats in facts.fields.items():
        if name == CATEGORIES and stats.kinds == {"classification"}:
            if facts.given[name] & {"confidence", "attributes"} and (
                stats.attributes or "confidence" in facts.given[name]
            ):
                raise refuse(
                    dialect, name, "classes with a confidence or attributes", "use format='fiftyone', which can"
                )
            continue
        if strange := stats.kinds - kinds:
            found = sorted(strange)[0]
            other = (
                "'pixano-0.8' or format='fiftyone'"
                if found in ("mask", "polygon", "polyline", "keypoints")
                else "format='fiftyone'"
            )
            what = WORDS.get(found, f"labels of the kind {found!r}")
            hint = (
                f" (classes of whole images are held in the field {CATEGORIES!r})" if found == "classification" else ""
            )
            raise refuse(dialect, name, what + hint, f"use {other}, or leave the field out of the view")
        if "rotation" in facts.given[name]:
            raise refuse(dialect, name, "turned boxes", "use format='fiftyone', or set their rotation to 0")
        for attribute, types in stats.attributes.items():
            one_type(dialect, name, attribute, types)


class FileNameOut:
    """Lines of Hugging Face's imagefolder and of opsml: parallel arrays, boxes in pixels, every key on each line."""

    splits = False
    header: Line | None = None

    def __init__(self, facts: Facts, options: Writing) -> None:
        self._facts, self._dialect, self._field = facts, options.dialect, options.field
        self._opsml = options.dialect != "file_name"
        self._key = "filepath" if options.dialect == "opsml2" else "file_name"
        self.notes: list[str] = []
        self._largest = 0.0  # number in a box
        self._fields = [n for n, s in facts.fields.items() if not (n == CATEGORIES and s.kinds == {"classification"})]

    def check(self) -> None:
        """Raise ``Unsupported`` for labels that cannot be written."""
        common_checks(self._dialect, self._facts, frozenset({"box"}))
        taken = {self._key, OBJECTS, CATEGORIES, "sample_id"}
        for name in self._facts.columns:
            if name in taken | set(self._fields) or name in ("filepath", "file_name", "views", "image"):
                raise unsupported(
                    f"The samples have a column {name!r}, which is a key of the dialect {self._dialect!r}; rename it."
                )
        for name in self._fields:
            self._check_names(name)
        if self._opsml:
            self._check_opsml()

    def _check_names(self, name: str) -> None:
        held = {"bbox", *(["categories"]), "label_id", "confidence", "index", "tags"}
        clash = [
            a
            for a in self._facts.fields[name].attributes
            if a in held or a in ("category", "label", "labels", "bboxes")
        ]
        if clash:
            raise refuse(self._dialect, name, f"an attribute {clash[0]!r}, a key of its own", "rename the attribute")

    def _check_opsml(self) -> None:
        for name in self._fields:
            if name != self._field:
                raise refuse(
                    self._dialect,
                    name,
                    "more than one field of boxes",
                    f"use 'file_name', or field={name!r} for this one",
                )
            given, attributes_ = self._facts.given[name], self._facts.fields[name].attributes
            if "no label" in given:
                raise refuse(self._dialect, name, "boxes without a class", "use 'file_name', which can")
            if attributes_ or given & {"confidence", "index", "tags"}:
                more = sorted([*attributes_, *(given & {"confidence", "index", "tags"})])
                raise refuse(
                    self._dialect,
                    name,
                    f"what boxes have besides a class ({', '.join(more)})",
                    "use 'file_name', which can",
                )
        left = [n for n in self._facts.columns if n != "caption"]
        self.notes += [f"opsml has no columns but the caption; left out: {', '.join(left)}."] if left else []
        self.notes.append("opsml has no ids of samples and labels; an import makes them anew.")

    def lines(
        self, samples: pa.Table, labels: pa.Table, names: Sequence[str], files: media.Media | None = None
    ) -> Iterator[Line]:
        """The lines of some samples."""
        files = files or media.FileMedia.of(samples)
        sizes = sizes_of(samples, files) if self._fields else np.zeros((samples.num_rows, 2))
        wanted = [n for n in self._facts.columns if not self._opsml or n == "caption"]
        columns = columns_of(samples, wanted)
        fields = {name: self._objects(Cells(samples, labels, name), name, sizes) for name in self._fields}
        classes = Cells(samples, labels, CATEGORIES) if CATEGORIES not in self._fields else None
        named = classes.column("label") if classes else []
        for n, sample in enumerate(samples["sample_id"].to_pylist()):
            line: Line = {self._key: names[n]} if self._opsml else {self._key: names[n], "sample_id": sample}
            if self._dialect == "opsml2":
                line["size"] = _bytes(files.path(sample))
            line |= {"caption": None} if self._opsml else {}
            line |= columns[n]
            if self._opsml or CATEGORIES in self._facts.fields:
                line[CATEGORIES] = (named[classes.of(n)] or None) if classes else None
            line |= {OBJECTS: None} if self._opsml else {}
            for name, (cells, found) in fields.items():
                at = cells.of(n)
                key = OBJECTS if name == self._field else name
                line[key] = {c: values[at] for c, values in found.items()} if at.start < at.stop else None
            yield line

    def _objects(self, cells: Cells, name: str, sizes: np.ndarray) -> tuple[Cells, dict[str, list[Any]]]:
        found = {"bbox": cells.boxes(sizes), "categories": cells.column("label")}
        self._largest = max([self._largest, *(v for box in found["bbox"] for v in box or ())])
        if not self._opsml:
            found["label_id"] = cells.column("label_id")
            found |= {
                key: cells.column(key) for key in ("confidence", "index", "tags") if key in self._facts.given[name]
            }
            found |= {a: cells.attribute(a, types) for a, types in sorted(self._facts.fields[name].attributes.items())}
        return cells, found

    def files(self) -> dict[str, str]:
        """Nothing else."""
        if 0 < self._largest <= 1:
            self.notes.append(
                "No box reaches beyond the first pixel of its image, so an import asks for coordinates='pixels'."
            )
        return {}
