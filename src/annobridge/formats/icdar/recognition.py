"""ICDAR Recognition 1.0: images of words, and a list of their texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa

from ..common.archive import Archive
from ..common.export import ExportData
from ..common.fidelity import KEPT, Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items, Shapes
from ..common.paint import attributes_of
from ..common.report import ReadReport
from .layout import LABEL, Layout, image_folder, text_of

_QUOTED = re.compile(r'\s*(?P<name>.+?),\s*"(?P<text>.*)"\s*')
_EMPTY = re.compile(r"\s*(?P<name>.+?),\s*")
_PLAIN = re.compile(r"\s*(?P<name>[^,]+\.\w{2,5}),\s*(?P<text>.*?)\s*")
_NAME = re.compile(r".+\.[A-Za-z]{3,4}")
_CAPTION = "caption"


class RecognitionFormat(FileFormat):
    """A list of images and their texts, for each subset."""

    name = "icdar-recognition"
    title = "ICDAR Recognition"
    fidelity = Fidelity(
        kinds={"classification": KEPT}, attribute_types=frozenset({"str"}),
        attributes=frozenset({_CAPTION}), only_class=LABEL, splits=True,
        notes=("The text is the attribute caption; lines without a text are labels without a caption.",),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        for name in archive.by_suffix.get(".txt", ()):
            if name.rpartition("/")[2] == "gt.txt":
                line = next(iter(archive.lines(name)), (0, ""))[1]
                found = _parsed(line)
                if found is not None and _NAME.fullmatch(found[0]):
                    return f"{name} is a list of images and their texts"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        shapes, layout = Shapes(), Layout(archive)
        for name in archive.by_suffix.get(".txt", ()):
            if name.rpartition("/")[2] != "gt.txt":
                continue
            folder = name.rpartition("/")[0]
            for number, line in archive.lines(name):
                place = f"{archive.where(name)}, line {number}"
                found = _parsed(line)
                if found is None:
                    report.skip(place, 'the line is not NAME, "TEXT"')
                    continue
                item = layout.add(items, folder, found[0])
                if found[1] is not None:
                    caption = {_CAPTION: found[1]} if found[1] else None
                    shapes.add(item, "classification", LABEL, caption, place=place)
                yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        return image_folder(split)

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        for split in data.splits:
            path = data.folder / (split or "default") / "gt.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="\n") as file:
                for part in data.parts():
                    for _, item, labels in part.by_item():
                        if item["split"] != split:
                            continue
                        rows = [row for row in labels.to_pylist() if row["kind"] == "classification"]
                        for row in rows:
                            text = text_of(data, attributes_of(row), (_CAPTION,))
                            file.write(f'{item["name"]}, "{text or ""}"\n')
                        if not rows:
                            file.write(f"{item['name']}, \n")


def _parsed(line: str) -> tuple[str, str | None] | None:
    """The image of a line and its text, if it has one; ``None`` for a line of another kind."""
    if found := _QUOTED.fullmatch(line):
        return found["name"], found["text"]
    if found := _EMPTY.fullmatch(line):
        return (found["name"], None) if _NAME.fullmatch(found["name"]) else None
    found = _PLAIN.fullmatch(line)
    return (found["name"], found["text"]) if found else None
