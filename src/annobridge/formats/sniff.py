"""Recognises files with labels in other formats by their content.

Only the first and last bytes of a file are read. A file that is neither of a known format nor names images of the folder is not a
label file, as a README, a licence, or what a desktop leaves in a folder.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Collection
from itertools import chain
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

_CHUNK = 1 << 16  # bytes at the start and at the end of a file
_NUMBER = r"-?\d+(\.\d+)?([eE][-+]?\d+)?"
_ROW = re.compile(rf"\s*{_NUMBER}([\s,;]+{_NUMBER}){{4,}}\s*")  # a class and a box, or the like
_COLUMNS = re.compile(
    r"(image|img|file|filename|file_?name|image_?(name|id|path|file)|file_?path|path|label|class(_?(name|id))?|categor(y|ies)|"
    r"bbox|x_?min|xmax|box|caption|text|objects)",
    re.IGNORECASE,
)
_MARKS = r"[\s\"'<>,;:|\\]+"
_MARKS_OF_CELLS = r"[\"<>,;|\t\r\n\\]+"  # a name may have spaces
_KEY = re.compile(r'"((?:[^"\\]|\\.){1,40})"\s*:')
_ROOT = re.compile(r"<\s*([A-Za-z_][\w.-]*)")
# Formats of JSON by their keys, the most specific first.
_JSON = (
    ("VGG Image Annotator", {"_via_img_metadata"}),
    ("VGG Image Annotator", {"regions", "filename"}),
    ("LabelMe", {"shapes", "imagePath"}),
    ("Label Studio", {"data", "annotations"}),
    ("Label Studio", {"data", "completions"}),
    ("Label Studio", {"data", "predictions"}),
    ("Label Studio", {"from_name", "to_name"}),
    ("Label Studio", {"annotation_id", "annotator"}),
    ("Datumaro", {"items", "annotations"}),
    ("DataGym", {"global_classifications"}),
    ("DataGym", {"label_classes"}),
    ("FiftyOne", {"samples", "_cls"}),
    ("COCO", {"images", "categories"}),
    ("COCO", {"images", "annotations"}),
    ("COCO", {"annotations", "categories"}),
    ("COCO results", {"image_id", "category_id"}),
    ("CreateML", {"annotations", "coordinates"}),
    ("Supervisely", {"classTitle", "objects"}),
    ("JSON of labels", {"annotations"}),
    ("JSON of labels", {"bbox"}),
    ("JSON of labels", {"segmentation"}),
    ("JSON of labels", {"bounding_box"}),
)
_XML = {"annotation": "Pascal VOC or LabelMe", "annotations": "CVAT", "dataset": "XML of labels", "alto": "ALTO"}
_TABLE = "a table"

Names = Collection[str]


def title(path: Path, images: Names) -> str | None:
    """What a file is, if it holds labels; else ``None``. Never raises.

    Args:
        path: the file.
        images: the base names of the images that it may name.
    """
    name = path.name.lower()
    packed = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    if (look := _LOOK.get(suffix)) is None:
        return None
    if name.startswith("metadata.") and suffix in _SPELT:
        return "metadata, spelt or placed otherwise than the metadata.jsonl, .csv or .parquet that is read"
    try:
        if suffix in (".parquet", ".arrow"):
            return _columnar(path)
        text = _text(path, packed)
    except (OSError, EOFError, ValueError, zlib.error, pa.ArrowException):
        return None
    return look(text, images)


def is_data(name: str) -> bool:
    """Whether a file may hold labels, by its suffix."""
    lower = name.lower().removesuffix(".gz")
    return any(lower.endswith(ending) for ending in _LOOK)


def _text(path: Path, packed: bool) -> str:
    """The start and the end of a file."""
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        head = file.read(_CHUNK)
        tail = b""
        if not packed and len(head) == _CHUNK:
            file.seek(max(_CHUNK, path.stat().st_size - _CHUNK))
            tail = file.read(_CHUNK)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head.decode("utf-16", "replace")
    return (head + b"\n" + tail).decode("utf-8-sig", "replace")


def _names(text: str, images: Names) -> bool:
    """Whether a text names one of the images."""
    words = chain.from_iterable(re.split(marks, text) for marks in (_MARKS, _MARKS_OF_CELLS))
    return any(word.strip().rpartition("/")[2] in images for word in words)


def _json(text: str, images: Names) -> str | None:
    keys = set(_KEY.findall(text))
    if {"features", "splits"} <= keys:  # the description of a data set of Hugging Face, not its labels
        return None
    found = next((name for name, wanted in _JSON if wanted <= keys), None)
    return found or ("JSON of labels" if _names(text, images) else None)


def _lines(text: str, images: Names) -> str | None:
    return "lines of JSON" if text.lstrip().startswith("{") and (_json(text, images) or _KEY.search(text)) else None


def _xml(text: str, images: Names) -> str | None:
    root = next((m[1] for m in _ROOT.finditer(text) if not m[1].lower().startswith(("xml", "doctype"))), "")
    return _XML.get(root.lower()) or ("XML of labels" if _names(text, images) else None)


def _yaml(text: str, _: Names) -> str | None:
    keys = set(re.findall(r"^(\w+)\s*:", text, re.MULTILINE))
    return "YOLO" if "names" in keys and keys & {"train", "val", "test", "path", "nc"} else None


def _csv(text: str, images: Names) -> str | None:
    head = next(csv.reader(io.StringIO(text.partition("\n")[0].replace("\t", ",").replace(";", ","))), [])
    is_header = any(_COLUMNS.fullmatch(cell.strip()) for cell in head)
    return _TABLE if is_header or _names(text, images) else None


def _txt(text: str, images: Names) -> str | None:
    """Rows of numbers as YOLO and MOT have them, or a list of these images; but not prose."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and all(map(_ROW.fullmatch, lines[:50])):
        return "YOLO" if len(lines[0].split()) >= 5 else "rows of numbers"
    listed = sum(_names(line, images) for line in lines[:50])
    return "a list of images" if lines and listed * 5 >= len(lines[:50]) * 4 else None


def _columnar(path: Path) -> str | None:
    if path.suffix.lower() == ".arrow":
        return _TABLE
    return _TABLE if any(map(_COLUMNS.fullmatch, parquet.read_schema(path).names)) else None


_LOOK: dict[str, Callable[[str, Names], str | None]] = {
    ".json": _json,
    ".geojson": _json,
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".xml": _xml,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".csv": _csv,
    ".tsv": _csv,
    ".txt": _txt,
    ".parquet": _csv,
    ".arrow": _csv,
}
_SPELT = frozenset({".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"})
