"""The format: detection, and what is written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import pyarrow as pa

from ...exceptions import InvalidOption
from ..common.archive import Archive
from ..common.export import ExportData, image_bytes
from ..common.fidelity import Fidelity
from ..common.file_format import FileFormat, ReadOptions, WriteOptions
from ..common.items import Items
from ..common.object_table import FIDELITY, ObjectColumns
from ..common.report import ReadReport
from ..common.tar import members, tar_names
from .options import WebDatasetReading, WebDatasetWriting
from .read import CLASSES, Parts, Reader, is_image, key_of
from .write import Shards, json_of

_LOOKED_AT = 40  # members of a tar by which it is recognised


class WebDatasetFormat(FileFormat):
    """Shards of samples."""

    name: ClassVar[str] = "webdataset"
    title: ClassVar[str] = "WebDataset shards"
    fidelity: ClassVar[Fidelity] = replace(
        FIDELITY, notes=("Attributes of lists, or of several types, are JSON text.",)
    )
    has_images_inside: ClassVar[bool] = True
    reading: ClassVar[type[ReadOptions]] = WebDatasetReading
    writing: ClassVar[type[WriteOptions] | None] = WebDatasetWriting

    def detect(self, archive: Archive) -> str | None:
        """A tar with an image and other parts under one key."""
        for name in tar_names(archive)[:1]:
            kinds: dict[str, set[str]] = {}
            for number, (member, data) in enumerate(members(archive, name)):
                if number == _LOOKED_AT:
                    break
                key, suffix = key_of(member)
                kinds.setdefault(key, set()).add(suffix)
                if suffix == "json" and data.startswith(b"{") and b'"file_name"' in data and b'"objects"' in data:
                    kinds[key].add("jpg")  # an export without images
            has_image = [any(map(is_image, found)) for found in kinds.values()]
            if kinds and (
                all(has_image) or any(i and len(found) > 1 for i, found in zip(has_image, kinds.values(), strict=True))
            ):
                return f"{name} has the parts of samples one after another"
        return None

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each key of each tar is an image."""
        assert isinstance(options, WebDatasetReading)  # noqa: S101 - the options of this format
        with Reader(archive, items, options, report) as reader:
            yield from reader.read()

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Keys have neither folders nor dots."""
        notes = list(data.notes)
        data.without_folders(lambda name: os.path.splitext(name)[0].replace(".", "_") + os.path.splitext(name)[1])
        data.unique_stems()
        data.notes[:] = notes  # the names are in the JSON

    def place_images(self, data: ExportData, options: WriteOptions) -> None:
        """Images are in the tars."""
        if options.save_media == "link":
            raise InvalidOption("Tars have the images inside, which cannot be links; give save_media=True or False.")

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write the tars of each split, and the names of the classes."""
        assert isinstance(options, WebDatasetWriting)  # noqa: S101 - the options of this format
        columns, shards = ObjectColumns.of(data), dict[str, Shards]()
        given_names = data.given_names.to_pylist()
        numbers = {name: number for number, name in enumerate(data.classes)}
        try:
            for part, (_, samples, files) in zip(data.parts(), data.media_of(), strict=True):
                ids, places = samples["sample_id"].to_pylist(), samples["filepath"].to_pylist()
                for n, (item, found) in enumerate(
                    zip(part.items.to_pylist(), json_of(data, part, columns), strict=True)
                ):
                    stem, suffix = os.path.splitext(item["name"])
                    found["file_name"] = given_names[part.first + n]
                    content: Parts = {}
                    if options.save_media:
                        content[suffix[1:].lower() or "jpg"] = image_bytes(files, ids[n], places[n])
                    content["json"] = json.dumps(found, ensure_ascii=False, default=str).encode()
                    if isinstance(found.get("label"), str):
                        content["cls"] = str(numbers[found["label"]]).encode()
                    key = re.sub(r"[^\w]+", "_", item["split"]) if item["split"] is not None else "data"
                    shards.setdefault(key, Shards(data.folder / key, options)).add(stem, content)
        finally:
            for one in shards.values():
                one.close()
        if data.classes:
            (data.folder / CLASSES).write_text("".join(f"{name}\n" for name in data.classes), "utf-8")
