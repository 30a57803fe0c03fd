"""The tables of Open Images: which there are, of which subset, and the classes and sizes beside them."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..common import csv_rows
from ..common.archive import Archive
from ..common.report import ReadReport

IMAGES, MASKS, BOXES, LABELS, RELATIONS = "images", "masks", "boxes", "labels", "relationships"
KINDS = (IMAGES, MASKS, BOXES, LABELS, RELATIONS)  # in the order in which they are read
CLASSES, HIERARCHY, SIZES = "class-descriptions.csv", "bbox_labels_600_hierarchy.json", "images.meta"
BOX = ("XMin", "XMax", "YMin", "YMax")
MASK_BOX = tuple(f"Box{name}" for name in BOX)
FLAGS = {  # column and attribute
    "IsOccluded": "occluded", "IsTruncated": "truncated", "IsGroupOf": "is_group_of", "IsDepiction": "is_depiction",
    "IsInside": "is_inside",
}  # fmt: skip
DEFAULT = "default"  # the subset of images without one
_OF_CLASSES = re.compile(r"(oidv\d+-)?class-descriptions.*\.csv|classes\.csv")
_SUBSET = re.compile(r"(?:oidv\d+-)?(.+?)-(?:annotations-.+|images-.+|image_ids.*)\.csv")
MADE_ID = re.compile(r"x\d{7}")  # ids of masks that have none, made when they are written
_MACHINE_ID = re.compile(r"/[mgt]/[0-9a-z_]{3,}")


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file."""

    kind: str
    name: str
    subset: str | None
    columns: Collection[str]


def tables(archive: Archive) -> list[Table]:
    """All tables that are known by their headers, in the order in which they are read."""
    found = []
    for name in archive.by_suffix.get(".csv", ()):
        if not _OF_CLASSES.fullmatch(name.rpartition("/")[2]):
            columns = frozenset(csv_rows.header(archive, name)[0])
            if (kind := _kind(columns)) is not None:
                found.append(Table(kind, name, _subset(name), columns))
    return sorted(found, key=lambda table: KINDS.index(table.kind))


def _kind(columns: Collection[str]) -> str | None:
    if "ImageID" not in columns:
        return None
    if "LabelName1" in columns:
        return RELATIONS
    if "LabelName" not in columns:
        return IMAGES if {"Subset", "Rotation", "OriginalURL"} & set(columns) else None
    if "MaskPath" in columns:
        return MASKS
    if set(columns) >= set(BOX):
        return BOXES
    return LABELS if "Confidence" in columns else None


def _subset(name: str) -> str | None:
    """The subset that a table's name says; of FiftyOne's tables, the folder above "labels"."""
    folders, base = name.split("/")[:-1], name.rpartition("/")[2]
    if match := _SUBSET.fullmatch(base):
        return match[1] if match[1] != DEFAULT else None
    return folders[-2] if len(folders) > 1 and folders[-1] in ("labels", "metadata") else None


def class_names(archive: Archive) -> dict[str, str]:
    """Class by the name that the tables have. Machine ids, as ``/m/01g317``, become the names that people read, where these differ
    from one another; other names stay.
    """
    found: dict[str, str] = {}
    for name in archive.by_suffix.get(".csv", ()):
        if _OF_CLASSES.fullmatch(name.rpartition("/")[2]):
            for row in csv.reader(io.StringIO(archive.text(name))):
                if row and row[0].strip() and row[0] != "LabelName":
                    found.setdefault(row[0], row[1].strip() if len(row) > 1 else "")
    shown = Counter(found.values())
    return {
        name: text if text and shown[text] == 1 and _MACHINE_ID.fullmatch(name) else name
        for name, text in found.items()
    }


def image_sizes(archive: Archive, report: ReadReport) -> Mapping[str, tuple[int, int]]:
    """Width and height by the id of an image, of ``images.meta``."""
    found: dict[str, tuple[int, int]] = {}
    for name in archive.by_suffix.get(".meta", ()):
        if name.rpartition("/")[2] != SIZES:
            continue
        for number, line in archive.lines(name):
            if line.lstrip().startswith("#"):
                continue
            try:
                words = shlex.split(line)
                height, width = int(words[-2]), int(words[-1])
            except (ValueError, IndexError):
                words, height, width = [], 0, 0
            if len(words) < 3 or not 0 < height < 2**31 or not 0 < width < 2**31:
                report.skip(f"{archive.where(name)} line {number}", "it is no name with height and width behind it")
            else:
                found[" ".join(words[:-2])] = width, height
    return found
