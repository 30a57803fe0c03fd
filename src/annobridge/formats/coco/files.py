"""Which files of an archive are COCO's, what each holds, and of which split."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.report import ReadReport

_HEAD = 1 << 16  # bytes
_WHOLE = 1 << 22  # bytes of a file whose head does not tell
_DOCUMENT = re.compile(rb'"images"\s*:\s*\[|"annotations"\s*:\s*\[\s*\{[^{}]*"image_id"\s*:')
_RESULTS = re.compile(rb'\s*\[\s*\{[^{}]*"image_id"\s*:')
_EMPTY = re.compile(rb"\s*\[\s*\]\s*")
_TASKS = ("instances", "person_keypoints", "labels", "captions", "panoptic", "stuff", "image_info")
_SPLITS = "train|training|val|valid|validation|dev|test|testing|eval|evaluation|trainval|unlabeled|minival"
_YEAR = re.compile(rf"({_SPLITS}|test-dev)_?(19|20)\d\d", re.IGNORECASE)
_WORD = re.compile(rf"(?:^|[_.-])({_SPLITS})(?:_?(?:19|20)\d\d)?(?:$|[_.-])", re.IGNORECASE)
# Names that say nothing of the split; the folder that they are in does.
_GENERAL = ("_annotations.coco", "labels", "annotations", "instances", "coco", "annotation", "result", "results")
_REPEATED = {"panoptic": "the objects", "stuff": "the objects"}


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A JSON file of COCO. ``task`` is the word that its name begins with, or ``""``; ``is_results`` marks a list of results."""

    name: str
    task: str
    split: str | None
    is_results: bool = False


def find(archive: Archive, names: str | None = None) -> Iterator[CocoFile]:
    """The files of COCO in an archive; with ``names``, those whose name or path fits that pattern."""
    for name in archive.by_suffix.get(".json", ()):
        if names is not None and not (fnmatch(name, names) or fnmatch(PurePosixPath(name).name, names)):
            continue
        if (is_results := look(archive, name)) is not None:
            task, split = task_and_split(name)
            yield CocoFile(name, task, split, is_results)


def look(archive: Archive, name: str) -> bool | None:
    """Whether a file is a list of results (true) or a document of COCO (false); ``None`` if it is neither."""
    with archive.open(name) as stream:
        head = stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf")
        begin = head.lstrip()[:1]
        if begin == b"[":
            return True if _RESULTS.match(head) else None
        if begin != b"{":
            return None
        if not _DOCUMENT.search(head) and b'"categories"' in head and b'"items"' not in head:
            head += stream.read(_WHOLE)
        return False if _DOCUMENT.search(head) else None


def task_and_split(name: str) -> tuple[str, str | None]:
    """The task and the split that a file's name tells.

    >>> task_and_split("annotations/instances_train2017.json"), task_and_split("valid/_annotations.coco.json")
    (('instances', 'train'), ('', 'valid'))
    >>> task_and_split("annotations/person_keypoints_default.json"), task_and_split("result.json")
    (('person_keypoints', None), ('', None))
    """
    path = PurePosixPath(name)
    stem, folder = path.stem, path.parent.name
    task = next((t for t in _TASKS if stem == t or stem.startswith(f"{t}_")), "")
    rest = stem.removeprefix(task).removeprefix("_") if task else ""
    if rest:
        return task, None if rest == "default" else split_name(rest)
    if stem.lower() in _GENERAL and _WORD.fullmatch(folder):
        return task, split_name(folder)
    if stem == "_annotations.coco" and folder:
        return task, folder
    if match := _WORD.search(stem):
        return task, match[1]
    return task, split_name(folder) if _WORD.fullmatch(folder) else None


def split_name(text: str) -> str:
    """A split without the year of the data set.

    >>> split_name("train2017"), split_name("night2")
    ('train', 'night2')
    """
    match = _YEAR.fullmatch(text)
    return match[1] if match else text


def choose(files: list[CocoFile], predictions: bool, named: bool, report: ReadReport) -> list[CocoFile]:
    """The files whose annotations are read: not those that repeat others, unless they were asked for by name (``named``).

    Results are read instead of annotations with ``predictions``, or where there is nothing else.
    """
    results = [file for file in files if file.is_results]
    documents = [file for file in files if not file.is_results]
    if results and documents and not named:
        if predictions:
            return [*documents, *results]
        for file in results:
            report.note(
                f"file of results was not read ({file.name}); as_predictions=True reads it instead of the annotations"
            )
        results = []
    if named:
        return files
    objects = {file.split for file in documents if file.task in ("instances", "")}
    chosen = []
    for file in documents:
        if file.task in _REPEATED and file.split in objects:
            report.note(
                f"file was not read ({file.name}), since the objects are in another file of the split; "
                f"files={PurePosixPath(file.name).name!r} reads it"
            )
        else:
            chosen.append(file)
    return sorted([*chosen, *results], key=lambda file: _TASKS.index(file.task) if file.task else 0)


def none_found(archive: Archive) -> InvalidSource:
    """The error for an archive without a file of COCO."""
    return InvalidSource(
        f"{str(archive.path)!r} has no JSON file with COCO's images and annotations; correct the path, or files=."
    )
