"""Lines of Hugging Face's imagefolder and of opsml."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ....store.media import FileMedia, Media
from ..keys import CATEGORIES, LABEL, OBJECTS
from ..options import Writing
from .checks import cannot_hold, check_fields, has_image_classes
from .field_labels import FieldLabels
from .line_writer import Line, unsupported
from .sample_values import file_size, image_sizes, sample_columns
from .survey import Survey

_IMAGE_KEYS = frozenset({"filepath", "file_name", "views", "image"})  # by which a reader finds the dialect
_OPTIONAL = ("confidence", "index", "tags")  # columns of LABELS that are written where they have a value
_OBJECT_KEYS = frozenset({"bbox", "categories", "label_id", *_OPTIONAL})
_OTHER_OBJECT_KEYS = frozenset({"category", "label", "labels", "bboxes"})  # which a reader takes for one of these


class FileNameWriter:
    """Writes parallel arrays, boxes in pixels, and every key on each line.

    The dialects ``opsml`` and ``opsml2`` have the keys of opsml's records and no others.
    """

    needs_splits = False
    header: Line | None = None

    def __init__(self, survey: Survey, options: Writing) -> None:
        self._survey, self._dialect, self._field = survey, options.dialect, options.field
        self._opsml = options.dialect != "file_name"
        self._image_key = "filepath" if options.dialect == "opsml2" else "file_name"
        self.notes: list[str] = []
        self._largest = 0.0  # number in a box
        self._has_class = not self._opsml and has_image_classes(survey, LABEL)
        self._fields = [
            name for name in survey.fields
            if not has_image_classes(survey, name) or (name == LABEL and not self._has_class)
        ]  # fmt: skip

    def check(self) -> None:
        """Raise ``Unsupported`` for labels that the dialect cannot hold."""
        check_fields(self._dialect, self._survey, {"box"})
        taken = {
            self._image_key,
            OBJECTS,
            CATEGORIES,
            *([] if self._opsml else [LABEL]),
            "sample_id",
            *self._fields,
            *_IMAGE_KEYS,
        }
        for name in self._survey.sample_columns:
            if name in taken:
                raise unsupported(
                    f"The samples have a column {name!r}, which is a key of the dialect {self._dialect!r}; rename it."
                )
        for name in self._fields:
            for attribute in self._survey.fields[name].attributes:
                if attribute in _OBJECT_KEYS | _OTHER_OBJECT_KEYS:
                    what = f"an attribute {attribute!r}, a key of its own"
                    raise cannot_hold(self._dialect, name, what, "rename the attribute")
        if self._opsml:
            self._check_opsml()

    def _check_opsml(self) -> None:
        for name in self._fields:
            if name != self._field:
                what, cure = "more than one field of boxes", f"use 'file_name', or field={name!r} for this one"
                raise cannot_hold(self._dialect, name, what, cure)
            if name in self._survey.without_class:
                raise cannot_hold(self._dialect, name, "boxes without a class", "use 'file_name', which can")
            columns = self._survey.label_columns[name] & set(_OPTIONAL)
            if more := sorted([*self._survey.fields[name].attributes, *columns]):
                what = f"what boxes have besides a class ({', '.join(more)})"
                raise cannot_hold(self._dialect, name, what, "use 'file_name', which can")
        if left := [n for n in self._survey.sample_columns if n != "caption"]:
            self.notes.append(f"opsml has no columns but the caption; left out: {', '.join(left)}.")
        self.notes.append("opsml has no ids of samples and labels; an import makes them anew.")

    def lines(
        self, samples: pa.Table, labels: pa.Table, names: Sequence[str], files: Media | None = None
    ) -> Iterator[Line]:
        """A line for each sample."""
        files = files or FileMedia.of(samples)
        sizes = image_sizes(samples, files) if self._fields else np.zeros((samples.num_rows, 2))
        written = [n for n in self._survey.sample_columns if not self._opsml or n == "caption"]
        columns = sample_columns(samples, written)
        fields = {name: self._objects(FieldLabels(samples, labels, name), name, sizes) for name in self._fields}
        image_classes = FieldLabels(samples, labels, CATEGORIES) if CATEGORIES not in self._fields else None
        classes = image_classes.column("label") if image_classes else []
        own_class = FieldLabels(samples, labels, LABEL) if self._has_class else None
        own = own_class.column("label") if own_class else []
        for n, sample_id in enumerate(samples["sample_id"].to_pylist()):
            line: Line = {self._image_key: names[n]}
            if not self._opsml:
                line["sample_id"] = sample_id
            if self._dialect == "opsml2":
                line["size"] = file_size(files.path(sample_id))
            if self._opsml:
                line["caption"] = None
            line |= columns[n]
            if self._opsml or CATEGORIES in self._survey.fields:
                line[CATEGORIES] = (classes[image_classes.of_sample(n)] or None) if image_classes else None
            if own_class:
                line[LABEL] = _only(own[own_class.of_sample(n)], sample_id)
            if self._opsml:
                line[OBJECTS] = None
            for name, (field, arrays) in fields.items():
                of_sample = field.of_sample(n)
                key = OBJECTS if name == self._field else name
                has_labels = of_sample.start < of_sample.stop
                line[key] = {c: values[of_sample] for c, values in arrays.items()} if has_labels else None
            yield line

    def _objects(self, field: FieldLabels, name: str, sizes: np.ndarray) -> tuple[FieldLabels, dict[str, list[Any]]]:
        """The parallel arrays of a field, over all samples of a part."""
        found = {"bbox": field.boxes(sizes), "categories": field.column("label")}
        self._largest = max([self._largest, *(v for box in found["bbox"] for v in box or ())])
        if not self._opsml:
            found["label_id"] = field.column("label_id")
            attributes = sorted(self._survey.fields[name].attributes.items())
            used = self._survey.label_columns[name] | {
                "confidence" for key, _ in attributes if key == "score"
            }  # see the reader
            found |= {key: field.column(key) for key in _OPTIONAL if key in used}
            found |= {attribute: field.attribute(attribute, types) for attribute, types in attributes}
        return field, found

    def files(self) -> dict[str, str]:
        """No other files."""
        if 0 < self._largest <= 1:  # a reader cannot tell such boxes from relative ones
            self.notes.append(
                "No box reaches beyond the first pixel of its image, so an import asks for coordinates='pixels'."
            )
        return {}


def _only(classes: list[Any], sample_id: str) -> Any:
    """The class of an image, which has one at most in the field ``label``."""
    if len(classes) > 1:
        raise unsupported(
            f"The sample {sample_id!r} has {len(classes)} classes in the field 'label'; rename it to 'categories'."
        )
    return classes[0] if classes else None
