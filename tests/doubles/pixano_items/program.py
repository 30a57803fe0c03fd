"""The double of the program: ``pixano init`` and ``pixano data import``, with the dialect of its quickstart (P1).

It ends by a crash when its work is done (as some versions of its database do), guesses types and normalised boxes, skips
missing images without a word, and leaves a broken dataset where it fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import types
import typing
from pathlib import Path
from typing import Any

import pyarrow.json as pa_json
from PIL import Image

from .library import Dataset, Row, new_id, now
from .tables import BASES, Invalid, row

HELP = """Usage: pixano data import [OPTIONS] {data_dir} {source_dir}
  --name  --description  --type <image|video|vqa>  --schema <file.py:Class>  --mode <create|overwrite|add>  --help"""
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
NONE = {"name": "", "id": ""}


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["init"]:
        for name in ("library", "media", "models"):
            (Path(arguments[1]) / name).mkdir(parents=True, exist_ok=True)
        return 0
    if arguments[:2] != ["data", "import"]:
        sys.stderr.write("Usage: pixano [OPTIONS] COMMAND [ARGS]...\nNo such command.\n")
        return 2
    if "--help" in arguments:
        sys.stdout.write(HELP)
        return 0
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("source_dir", type=Path)
    parser.add_argument("--name")
    parser.add_argument("--description", default="")
    parser.add_argument("--type")
    parser.add_argument("--schema")
    parser.add_argument("--mode", default="create")
    given = parser.parse_args(arguments[2:])
    if not given.type:
        input("Select dataset type: ")  # it asks: without a terminal, that is the end of it
    name = given.name or given.source_dir.name
    media = given.data_dir / "media" / name
    if given.mode == "create" and media.exists():
        sys.stderr.write(f"Error: '{media}' already exists. Use --mode overwrite or --mode add.\n")
        return 1
    if given.mode == "overwrite":
        shutil.rmtree(media, ignore_errors=True)
    shutil.copytree(given.source_dir, media, dirs_exist_ok=True)
    workspace = {"image": "image", "video": "video", "vqa": "image_vqa"}[given.type]
    info = {"id": new_id(), "name": name, "description": given.description, "workspace": workspace}
    dataset = Dataset.create(given.data_dir / "library" / name, info, _schema(given.schema))
    Import(dataset, media, given.data_dir / "media").run()
    sys.stdout.write(f"Dataset '{name}' built successfully.\n")
    sys.stdout.flush()
    os.abort()  # its work is done


# --- schema.py


class Base:
    """What the classes of the real program are, as far as a schema sees them."""


def _stubs() -> None:
    """Modules of the names that a ``schema.py`` imports."""
    made = {name: type(name, (Base,), {"base_schema": name}) for name in BASES}
    features = types.ModuleType("pixano.features")
    vars(features).update(made)
    workspaces = types.ModuleType("pixano.datasets.workspaces")
    many = {name: types.GenericAlias(list, (kind,)) for name, kind in made.items()}
    image: dict[str, Any] = {"image": made["Image"], "objects": many["Entity"], "bboxes": many["BBox"]}
    image |= {"masks": many["CompressedRLE"], "keypoints": many["KeyPoints"]}
    talk = {"conversations": many["Conversation"], "messages": many["Message"]}
    for name, fields in (("DefaultImageDatasetItem", image), ("DefaultVQADatasetItem", image | talk)):
        setattr(workspaces, name, type(name, (Base,), {"__annotations__": fields}))
    for module in (types.ModuleType("pixano"), types.ModuleType("pixano.datasets"), features, workspaces):
        sys.modules[module.__name__] = module


def _schema(given: str | None) -> dict[str, Any]:
    _stubs()
    path, _, name = (given or "").rpartition(":")
    if not path or not Path(path).is_file():
        raise SystemExit(f"Invalid value: Schema must be in 'path/to/file.py:ClassName' format, got '{given}'")
    spec = importlib.util.spec_from_file_location("_user_schema", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    item: dict[str, str] = {}
    tables = {}
    for field, hint in typing.get_type_hints(getattr(module, name)).items():
        inner = typing.get_args(hint)[0] if typing.get_origin(hint) is list else hint
        if issubclass(inner, Base):
            base = vars(inner).get("base_schema") or inner.base_schema  # type: ignore[attr-defined]
            own = {n: _type(t) for n, t in typing.get_type_hints(inner).items()}
            tables[field] = {"base": base, "fields": BASES[base][1] | own}
        else:
            item[field] = _type(hint)
    tables["item"] = {"base": "Item", "fields": BASES["Item"][1] | item}
    tables["source"] = {"base": "Source", "fields": BASES["Source"][1]}
    return tables


def _type(hint: Any) -> str:
    return f"list[{typing.get_args(hint)[0].__name__}]" if typing.get_origin(hint) is list else hint.__name__


# --- the folder


class Import:
    """Splits, their images, and their ``metadata.jsonl``."""

    def __init__(self, dataset: Dataset, source: Path, media: Path) -> None:
        self.dataset, self.source, self.media = dataset, source, media
        self.schema = dataset.schema
        self.new: dict[str, list[Row]] = {name: [] for name in self.schema}

    def run(self) -> None:
        self.origin = self.add("source", name="Builder", kind="other", metadata={})
        for split in sorted(p for p in self.source.iterdir() if p.is_dir() and not p.name.startswith(".")):
            lines = split / "metadata.jsonl"
            if lines.exists():
                for line in pa_json.read_json(lines).to_pylist():
                    self.line(split.name, line)
            else:
                for file in sorted(f for f in split.rglob("*") if f.suffix in SUFFIXES):
                    self.view(file, "image", self.add("item", **self.blank(), split=split.name))
        for table, rows in self.new.items():
            if wrong := list(self.dataset.wrong_refs(table, rows)):
                raise SystemExit("\n".join(["DatasetIntegrityError: Integrity check errors:", *wrong]))
            self.dataset.write(table, rows)

    def add(self, table: str, **data: Any) -> str:
        """A row under a fresh id, whatever ids the source has."""
        key, at = new_id(), now()
        known = self.schema[table]
        kept = row(known["base"], known["fields"], data)
        group = BASES[known["base"]][0]
        info = {"name": table, "group": group, "base_schema": known["base"]}
        self.new[table].append({"id": key, "created_at": at, "updated_at": at, "table_info": info, "data": kept})
        self.dataset.write(table, self.new[table])
        return key

    def blank(self) -> dict[str, Any]:
        empty = {"str": "", "int": 0, "float": 0.0, "bool": False}
        return {n: empty.get(t, []) for n, t in self.schema["item"]["fields"].items()}

    def line(self, split: str, line: Row) -> None:
        tables = {k: v for k, v in line.items() if k in self.schema}
        item = self.add("item", **{"split": split, **{k: v for k, v in line.items() if k not in self.schema}})
        views = {}
        for table, value in tables.items():
            if self.schema[table]["base"] == "Image" and value:
                parts = Path(value).parts
                file = self.source / value if parts[0] == split else self.source / split / value
                if file.is_file() and file.suffix in SUFFIXES:
                    views[table] = self.view(file, table, item)
        for table, value in tables.items():
            base = self.schema[table]["base"]
            if value is not None and base == "Entity":
                self.objects(table, value, item, views)
            if value is not None and base == "Conversation":
                self.talk(table, value, item, views)

    def view(self, file: Path, table: str, item: str) -> str:
        with Image.open(file) as image:
            size, kind = image.size, image.format
        url = file.relative_to(self.media).as_posix()
        at = {"item_ref": {"name": "item", "id": item}, "parent_ref": NONE}
        return self.add(table, **at, url=url, width=size[0], height=size[1], format=kind)

    def place(self, item: str, views: dict[str, str], wanted: str | None = None) -> dict[str, Any]:
        name = wanted or next(iter(views))  # an item without a view fails here, as it does there
        return {"item_ref": {"name": "item", "id": item}, "view_ref": {"name": name, "id": views[name]}}

    def objects(self, table: str, given: Row, item: str, views: dict[str, str]) -> None:
        given = dict(given)
        place = self.place(item, views, given.pop("view_ref", None))
        for name in given:
            if name not in self.schema[table]["fields"] and name not in self.schema:
                raise SystemExit(
                    f"ValueError: Attribute {name} not found in entity schema and is not a schema annotation."
                )
        columns = {k: v if isinstance(v, list) else [v] for k, v in given.items() if v is not None}
        if len({len(v) for v in columns.values()}) > 1:
            raise SystemExit("ValueError: All list of entities data must have same length")
        for values in zip(*columns.values(), strict=True):
            one = dict(zip(columns, values, strict=True))
            own = {k: v for k, v in one.items() if k not in self.schema}
            entity = self.add(table, **place, parent_ref=NONE, **own)
            for name in one.keys() - own.keys():
                base = {**place, "entity_ref": {"name": table, "id": entity}, "inference_metadata": {}}
                base["source_ref"] = {"name": "source", "id": self.origin}
                self.add(name, **base, **self.shape(name, one[name]))

    def shape(self, table: str, value: Any) -> Row:
        if isinstance(value, dict):
            return value
        if self.schema[table]["base"] != "BBox":
            raise SystemExit(f"ValueError: Schema {table} not supported for infered entity creation.")
        normalised = all(0 <= x <= 1 for x in value)
        return {"coords": value, "format": "xywh", "is_normalized": normalised, "confidence": 1.0}

    def talk(self, table: str, given: list[Any], item: str, views: dict[str, str]) -> None:
        place = self.place(item, views)
        for thread in given if all(isinstance(g, list) for g in given) else [given]:
            entity = self.add(table, **place, parent_ref=NONE, kind="vqa")
            base = {**place, "entity_ref": {"name": table, "id": entity}, "inference_metadata": {}, "timestamp": now()}
            base["source_ref"] = {"name": "source", "id": self.origin}
            for number, pair in enumerate(thread):
                asked = {"user": "import", **{k: v for k, v in pair["question"].items() if v is not None}}
                self.add("messages", **base, number=number, type="QUESTION", **asked)
                kind = self.new["messages"][-1]["data"]["question_type"]
                for answer in pair.get("responses") or []:
                    said = {"user": "import", **{k: v for k, v in answer.items() if v is not None}}
                    if kind != "OPEN":
                        said["content"] = f"[[{said.get('content', '')}]] {said.pop('explanation', '')}"
                    self.add("messages", **base, number=number, type="ANSWER", question_type=kind, **said)


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except Invalid as error:
        status = f"pydantic_core._pydantic_core.ValidationError: {error}"  # type: ignore[assignment]
    sys.exit(status)
