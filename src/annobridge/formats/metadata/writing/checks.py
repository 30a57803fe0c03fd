"""The checks and errors that all dialects share."""

from __future__ import annotations

from collections.abc import Collection

from ....exceptions import Unsupported
from ..keys import CATEGORIES, LABEL
from .line_writer import unsupported
from .survey import Survey

_PLURALS = {
    "box": "boxes",
    "polygon": "polygons",
    "mask": "masks",
    "message": "messages",
    "segmentation": "class maps",
}
_SHAPES = ("mask", "polygon", "polyline", "keypoints")


def cannot_hold(dialect: str, field: str, what: str, cure: str) -> Unsupported:
    """The error for labels that a dialect cannot hold."""
    return unsupported(f"The dialect {dialect!r} cannot hold {what} (field {field!r}); {cure}.")


def check_fields(dialect: str, survey: Survey, kinds: Collection[str]) -> None:
    """Raise ``Unsupported`` for label fields that no line holds.

    Those are fields with labels of other kinds than ``kinds``, with rotated boxes, or with attributes of several types. The
    classes of images are held by every dialect, but without a confidence and attributes.
    """
    for name, stats in survey.fields.items():
        columns = survey.label_columns[name]
        if has_image_classes(survey, name) and (name == CATEGORIES or dialect == "file_name"):
            if stats.attributes or "confidence" in columns:
                raise cannot_hold(
                    dialect, name, "classes with a confidence or attributes", "use format='fiftyone', which can"
                )
            continue
        if others := sorted(stats.kinds - set(kinds)):
            kind = others[0]
            what = _PLURALS.get(kind, f"labels of the kind {kind!r}")
            if kind == "classification":
                what += f" (classes of whole images are held in the field {CATEGORIES!r})"
            formats = "'pixano-0.8' or format='fiftyone'" if kind in _SHAPES else "format='fiftyone'"
            raise cannot_hold(dialect, name, what, f"use {formats}, or leave the field out of the view")
        if "rotation" in columns:
            raise cannot_hold(dialect, name, "rotated boxes", "use format='fiftyone', or set their rotation to 0")
        for attribute, types in stats.attributes.items():
            if len(types) > 1 and types != {"int", "float"}:
                what = f"the attribute {attribute!r}, which is of several types ({', '.join(sorted(types))})"
                raise cannot_hold(dialect, name, what, "make its values of one type with set_labels")


def has_image_classes(survey: Survey, name: str) -> bool:
    """Whether a field holds the classes of images, which are a key of the line of their own."""
    return name in (CATEGORIES, LABEL) and name in survey.fields and survey.fields[name].kinds == {"classification"}
