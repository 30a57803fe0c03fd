"""Supervisely projects of images: ``meta.json``, and for each dataset a folder ``img`` with ``ann``, a JSON file for each image."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from ..core.media import PICTURES
from ..exceptions import InvalidSource
from . import media
from .common.archive import Archive
from .common.boxed_masks import paste
from .common.export import ExportData
from .common.fidelity import KEPT, Fidelity
from .common.file_format import FileFormat, ReadOptions, WriteOptions
from .common.items import Items, Shapes
from .common.paint import pixels
from .common.report import ReadReport
from .common.rings import with_holes
from .common.skeletons import POINT_NAMES, point_names
from .common.voc_write import size_of

_ANNOTATION = re.compile(r"(?P<dataset>(?:.*/)?[^/]+)/ann/(?P<image>[^/]+)\.json")
_HEAD = 65_536  # bytes by which meta.json is recognised
_NO_SPLIT = "ds0"  # the name that Supervisely gives to a dataset that has none
_CLASS_TAG = "class"  # the tag that an export gives to images
_MOST = 1 << 28  # bytes of a mask, unpacked
# The corners of a cuboid as pairs (upper, lower) of its upright edges, going round.
_VERTICES = [f"face{f}-{part}" for f, side in ((1, "left"), (1, "right"), (2, "right"), (2, "left")) for part in (f"top{side}", f"bottom{side}")]  # fmt: skip
_SHAPES = {"box": "rectangle", "polygon": "polygon", "polyline": "line", "mask": "bitmap", "segmentation": "bitmap",
           "ellipse": "bitmap", "keypoints": "graph", "skeleton": "graph", "cuboid": "cuboid_2d"}  # fmt: skip
Row = Mapping[str, Any]


class SuperviselyFormat(FileFormat):
    """Projects of images."""

    name: ClassVar[str] = "supervisely"
    title: ClassVar[str] = "a Supervisely project"
    fidelity: ClassVar[Fidelity] = Fidelity(
        kinds={"box": KEPT, "polygon": KEPT, "polyline": KEPT, "mask": KEPT, "skeleton": KEPT, "cuboid": KEPT,
               "classification": KEPT, "segmentation": "written as masks", "ellipse": "painted as masks",
               "keypoints": "written as skeletons"},
        attributes=None, rotation=True, confidence=True, holes=True, visibility=True, splits=True, decimals=0,
        notes=(
            "Positions are rounded to whole pixels.",
            "Missing points of skeletons are left out, and come back as missing.",
            "Attributes of lists are written as text.",
        ),
    )  # fmt: skip

    def detect(self, archive: Archive) -> str | None:
        """``meta.json`` with classes and tags, and files in ``ann`` folders."""
        meta = _meta_name(archive)
        if meta is None or not any(_ANNOTATION.fullmatch(name) for name in archive.by_suffix.get(".json", ())):
            return None
        with archive.open(meta) as stream:
            head = stream.read(_HEAD)
        return f"{meta} has classes and tags" if b'"classes"' in head and b'"tags"' in head else None

    def is_image(self, name: str) -> bool:
        """Images are in folders ``img``; other folders have drawn masks."""
        return PurePosixPath(name).parent.name == "img"

    def read(self, archive: Archive, items: Items, options: ReadOptions, report: ReadReport) -> Iterator[pa.Table]:
        """Each file in ``ann`` is of an image; images without one have no labels."""
        meta = _meta_name(archive)
        if meta is None:
            raise InvalidSource(f"There is no meta.json in {str(archive.path)!r}; give the folder of the project.")
        root = meta.rpartition("/")[0]
        reader, shapes = _Reader(archive, meta, report), Shapes()
        files = {name for name in archive.by_suffix.get(".json", ()) if _ANNOTATION.fullmatch(name)}
        wanted = {f"{folder.removesuffix('/img')}/ann/{base}.json" for suffix in sorted(archive.by_suffix) if suffix in PICTURES
                  for folder, _, base in (name.rpartition("/") for name in archive.by_suffix[suffix]) if folder.endswith("/img")}  # fmt: skip
        for name in sorted(files | wanted):
            match = _ANNOTATION.fullmatch(name)
            assert match is not None  # noqa: S101 - of all of them
            dataset = match["dataset"].removeprefix(f"{root}/" if root else "").replace("/datasets/", "/")
            image = (
                match["image"],
                None if dataset == _NO_SPLIT else dataset,
                f"{match['dataset']}/img/{match['image']}",
            )
            if name in files:
                reader.read(name, image, items, shapes)
            else:
                items.add(image[0], image[1], file=image[2])
            yield from shapes.take_full()
        yield shapes.take()

    def image_folder(self, split: str | None) -> str:
        """``img`` of the dataset."""
        return f"{split or _NO_SPLIT}/img"

    def prepare(self, data: ExportData, options: WriteOptions) -> None:
        """Images have no folders."""
        data.without_folders()

    def write_files(self, data: ExportData, options: WriteOptions) -> None:
        """Write ``meta.json``, and a file for each image."""
        meta = _Meta(data)
        for part in data.parts():
            for _, item, labels in part.by_item():
                rows = labels.to_pylist()
                found: dict[str, Any] = {"description": "", "size": dict(zip(("width", "height"), size_of(item), strict=True)),
                         "tags": [], "objects": []}  # fmt: skip
                for row in rows:
                    if row["kind"] == "classification":
                        found["tags"].append({"name": _CLASS_TAG, "value": row["label"]})
                        meta.add_class(row["label"])
                    elif row["kind"] in _SHAPES and row["label"] is not None:
                        found["objects"] += meta.objects(row, size_of(item))
                path = data.folder / str(item["split"] or _NO_SPLIT) / "ann" / f"{item['name']}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(found, ensure_ascii=False), "utf-8")
        (data.folder / "meta.json").write_text(json.dumps(meta.to_json(), ensure_ascii=False, indent=1), "utf-8")


def _meta_name(archive: Archive) -> str | None:
    names = [name for name in archive.by_suffix.get(".json", ()) if name.rpartition("/")[2] == "meta.json"]
    return min(names, key=lambda name: (name.count("/"), name)) if names else None


def _decoded(archive: Archive, name: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(archive.read(name))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidSource(f"{archive.where(name)} is not JSON ({error}); export the project again.") from None
    if not isinstance(found, dict):
        raise InvalidSource(f"{archive.where(name)} is no JSON object; export the project again.")
    return found


class _Reader:
    """Reads the files of one project."""

    def __init__(self, archive: Archive, meta: str, report: ReadReport) -> None:
        self._archive, self._report = archive, report
        found = _decoded(archive, meta)
        classes = [c for c in _list(found.get("classes")) if isinstance(c, dict) and isinstance(c.get("title"), str)]
        tags = [t for t in _list(found.get("tags")) if isinstance(t, dict) and isinstance(t.get("name"), str)]
        self._titles = {c["id"]: c["title"] for c in classes if isinstance(c.get("id"), int)}
        self._nodes = {c["title"]: _nodes(c.get("geometry_config")) for c in classes}
        self._tag_names = {t["id"]: t["name"] for t in tags if isinstance(t.get("id"), int)}
        self._flags = {t["name"] for t in tags if set(map(str, _list(t.get("values")))) == {"true", "false"}}

    def read(self, name: str, image: tuple[str, str | None, str], items: Items, shapes: Shapes) -> None:
        """Read the annotation of an image."""
        found, where = _decoded(self._archive, name), self._archive.where(name)
        if "framesCount" in found or "frames" in found:
            self._report.skip(where, "it is of a video, and only projects of images are read")
            return
        size = found.get("size")
        sides = [size.get(key) if isinstance(size, dict) else None for key in ("width", "height")]
        known = all(type(side) is int and 0 < side < 1 << 31 for side in sides)
        width, height = sides if known else (None, None)
        item = items.add(image[0], image[1], width, height, file=image[2])
        for tag, value in self._tags(found.get("tags"), where):
            label = tag if value is True else value if isinstance(value, str) else json.dumps(value)
            more = {} if value is True or tag == _CLASS_TAG else {"tag": tag}
            if label:
                shapes.add(item, "classification", label, more, place=f"{where} tag {tag!r}")
        for at, entry in enumerate(_list(found.get("objects"))):
            place = f"{where} object {at}"
            if not isinstance(entry, dict):
                self._report.skip(place, "it is no JSON object")
                continue
            label = entry.get("classTitle") or self._titles.get(_hashable(entry.get("classId")))
            if not isinstance(label, str):
                self._report.skip(place, "it has no class")
                continue
            geometry = self._geometry(entry, label, (width, height), place)
            if geometry is not None:
                self._add(shapes, item, label, entry, geometry, place)

    def _add(self, shapes: Shapes, item: int, label: str, entry: Row, geometry: dict[str, Any], place: str) -> None:
        attributes = dict(self._tags(entry.get("tags"), place))
        score = attributes.get("score")
        if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1:
            geometry["confidence"] = float(attributes.pop("score"))
        if entry.get("description"):
            attributes["description"] = str(entry["description"])
        if isinstance(entry.get("labelerLogin"), str):
            geometry["annotator"] = entry["labelerLogin"]
        attributes |= geometry.pop("more", {})
        shapes.add(item, geometry.pop("kind"), label, attributes, place=place, **geometry)

    def _tags(self, tags: Any, place: str) -> Iterator[tuple[str, Any]]:
        """Name and value of each tag; a tag without a value is true."""
        for tag in _list(tags):
            name = tag.get("name", self._tag_names.get(_hashable(tag.get("tagId")))) if isinstance(tag, dict) else None
            if not isinstance(name, str) or not name:
                self._report.skip(f"{place} tags", "a tag has no name")
                continue
            value = tag.get("value")
            if name in self._flags and value in ("true", "false"):
                value = value == "true"
            yield name, True if value is None else value

    def _geometry(self, entry: Row, label: str, size: tuple[Any, Any], place: str) -> dict[str, Any] | None:
        kind = entry.get("geometryType") or entry.get("shape")
        try:
            if kind in ("rectangle", "oriented_bbox"):
                return _rectangle(entry)
            if kind == "polygon":
                points = entry["points"]
                rings = [_points(ring, 3) for ring in (points["exterior"], *_list(points.get("interior"))) if ring]
                return {"kind": "polygon", "points": rings, "closed": True, "filled": True}
            if kind in ("line", "polyline"):
                ring = _points(entry["points"]["exterior"], 2)
                return {"kind": "polyline", "points": [ring], "closed": False, "filled": False}
            if kind == "point":
                return {"kind": "keypoints", "points": [_points(entry["points"]["exterior"], 1)[:1]], "visibility": [2]}
            if kind == "graph":
                return _graph(entry["nodes"], self._nodes.get(label) or {})
            if kind in ("bitmap", "alpha_mask"):
                return {"kind": "mask", "mask": _bitmap(entry["bitmap"], size)}
            if kind in ("cuboid", "cuboid_2d"):
                return {"kind": "cuboid", "points": [_cuboid(entry)]}
        except (LookupError, TypeError, AttributeError):
            self._report.skip(place, f"its geometry {kind!r} is not complete")
        except _Wrong as wrong:
            self._report.skip(place, str(wrong))
        else:
            self._report.skip(place, f"its geometry {kind!r} is not one of images")
        return None


class _Wrong(Exception):
    """What is wrong with a geometry."""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _hashable(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _points(values: Any, fewest: int) -> list[list[float]]:
    found = [[float(x), float(y)] for x, y in values if _is_number(x) and _is_number(y)]
    if len(found) != len(values):
        raise _Wrong("a position is not a number")
    if len(found) < fewest:
        raise _Wrong(f"it has {len(found)} points, and needs {fewest}")
    if not np.isfinite(found).all():
        raise _Wrong("a position is not a finite number")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _rectangle(entry: Row) -> dict[str, Any]:
    """A rectangle is two opposite corners; whole numbers are pixels, and the last ones belong to it."""
    given = entry["points"]
    points = np.array(_points(given["exterior"] if isinstance(given, dict) else given, 2)[:2])
    last = 1.0 if (points == np.floor(points)).all() else 0.0
    low, high = points.min(axis=0), points.max(axis=0) + last
    angle = entry.get("angle", 0)
    if not _is_number(angle):
        raise _Wrong("its angle is not a number")
    degrees = math.degrees(angle)
    return {"kind": "box", "bounding_box": [*low.tolist(), *(high - low).tolist()],
            "rotation": round(degrees, 9) if degrees % 360 else None}  # fmt: skip


def _nodes(config: Any) -> dict[str, str]:
    """The nodes of a class of graphs: id → name, in their order."""
    nodes = config.get("nodes") if isinstance(config, dict) else None
    if not isinstance(nodes, dict):
        return {}
    return {key: str(node.get("label") or key) if isinstance(node, dict) else key for key, node in nodes.items()}


def _graph(given: Any, template: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(given, list):
        given = {str(node["id"]): node for node in given}
    keys = list(dict.fromkeys([*template, *given]))
    points, seen = [], []
    for key in keys:
        node = given.get(key)
        points.append([math.nan, math.nan] if node is None else _points([node["loc"]], 1)[0])
        seen.append(0 if node is None else 1 if node.get("disabled") else 2)
    names = [template.get(key, key) for key in keys]
    more = {POINT_NAMES: names} if len(set(names)) == len(names) else {}
    return {"kind": "skeleton", "points": [points], "visibility": seen, "more": more}


def _cuboid(entry: Row) -> list[list[float]]:
    if isinstance(vertices := entry.get("vertices"), dict):
        return _points([vertices[key]["loc"] for key in _VERTICES], 8)
    given = _points(entry["points"], 7)
    # Seven corners: those of the front face, going round, the two behind its upper edge, and the one behind its third corner.
    hidden = given[7] if len(given) > 7 else [given[4][axis] + given[6][axis] - given[5][axis] for axis in (0, 1)]
    return [given[0], given[3], given[1], given[2], given[5], given[6], given[4], hidden]


def _bitmap(given: Row, size: tuple[Any, Any]) -> dict[str, Any]:
    """A mask is a PNG of the box around it, with the place of its upper left corner."""
    if size[0] is None:
        raise _Wrong("the size of its image is not known")
    left, top = (round(value) for value in _points([given["origin"]], 1)[0])
    try:
        packed = base64.b64decode(given["data"], validate=False)
    except (binascii.Error, ValueError):
        raise _Wrong("its mask is not base64") from None
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(packed, _MOST)
        if unpack.unconsumed_tail:
            raise _Wrong("its mask has more bytes than a mask needs")
    except zlib.error:
        data = packed  # a PNG as it is
    try:
        with media.open_image(io.BytesIO(data)) as image:
            if image.width > size[0] or image.height > size[1] or not (abs(left) < 1 << 31 and abs(top) < 1 << 31):
                raise _Wrong("its mask is not inside its image")
            media.decode_pixels(image)
            inside = _inside(image)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        raise _Wrong("its mask cannot be decoded") from None
    return dict(paste(inside, left, top, size))


def _inside(image: Image.Image) -> npt.NDArray[np.bool_]:
    """What of a PNG is the mask: the pixels that can be seen, or, where all can, those that are not black."""
    rgba = np.asarray(image.convert("RGBA"))
    seen: npt.NDArray[np.bool_] = rgba[..., 3] > 0
    return seen & (rgba[..., :3] > 0).any(axis=-1) if seen.all() else seen


class _Meta:
    """What ``meta.json`` says of an export, gathered while the labels are written."""

    def __init__(self, data: ExportData) -> None:
        self._shapes: dict[str, set[str]] = {name: set() for name in data.classes}
        self._nodes: dict[str, dict[str, None]] = {}
        self._tags: dict[str, set[str]] = {}
        self._classes: dict[str, None] = {}

    def add_class(self, label: str) -> None:
        """A class of whole images."""
        self._classes[label] = None

    def objects(self, row: Row, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
        """A label as one object, or several for one of several parts."""
        tags = self._object_tags(row)
        for shape in self._geometries(row, size):
            self._shapes[row["label"]].add(shape["geometryType"])
            yield {"classTitle": row["label"], "description": "", "tags": tags, **shape, "shape": shape["geometryType"]}

    def _object_tags(self, row: Row) -> list[dict[str, Any]]:
        values = {a["name"]: (a["type"], json.loads(a["value"])) for a in row["attributes"] or ()}
        values.pop(POINT_NAMES if row["kind"] in ("keypoints", "skeleton") else "", None)
        if row["confidence"] is not None:
            values["score"] = ("float", row["confidence"])
        found = []
        for name, (type_, value) in values.items():
            kind = "any_number" if type_ in ("int", "float") else "oneof_string" if type_ == "bool" else "any_string"
            self._tags.setdefault(name, set()).add(kind)
            found.append(
                {"name": name, "value": value if isinstance(value, str) or kind == "any_number" else json.dumps(value)}
            )
        return found

    def _geometries(self, row: Row, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
        kind, shape = row["kind"], _SHAPES[row["kind"]]
        if kind == "box":
            x, y, width, height = row["bounding_box"]
            left, top = round(x), round(y)
            corners = [[left, top], [max(round(x + width) - 1, left), max(round(y + height) - 1, top)]]
            if (row["rotation"] or 0) % 360:
                yield {"geometryType": "oriented_bbox", "points": corners, "angle": math.radians(row["rotation"])}
            else:
                yield {"geometryType": shape, "points": {"exterior": corners, "interior": []}}
        elif kind == "polygon":
            for exterior, interior in with_holes([np.array(ring) for ring in row["points"]]):
                yield {
                    "geometryType": shape,
                    "points": {"exterior": _whole(exterior), "interior": list(map(_whole, interior))},
                }
        elif kind == "polyline":
            for part in row["points"]:
                closed = [*part, part[0]] if row["closed"] else part
                yield {"geometryType": shape, "points": {"exterior": _whole(closed), "interior": []}}
        elif kind == "cuboid":
            yield {"geometryType": shape, "vertices": {
                key: {"loc": loc} for key, loc in zip(_VERTICES, _whole(row["points"][0]), strict=True)}}  # fmt: skip
        elif kind in ("keypoints", "skeleton"):
            yield {"geometryType": shape, "nodes": self._graph_nodes(row)}
        elif (inside := pixels(row, size)) is not None and inside.any():
            yield {"geometryType": shape, "bitmap": _packed(inside)}

    def _graph_nodes(self, row: Row) -> dict[str, Any]:
        points = row["points"][0]
        given = next((a["value"] for a in row["attributes"] or () if a["name"] == POINT_NAMES), None)
        names = point_names(given, len(points))
        self._nodes.setdefault(row["label"], {}).update(dict.fromkeys(names))
        nodes = {}
        for name, point, seen in zip(names, points, row["visibility"] or [2] * len(points), strict=True):
            if not any(map(math.isnan, point)):
                nodes[name] = {"loc": _whole([point])[0], **({"disabled": True} if seen == 1 else {})}
        return nodes

    def to_json(self) -> dict[str, Any]:
        """The content of ``meta.json``."""
        classes = []
        for number, (title, shapes) in enumerate(self._shapes.items()):
            if not shapes and title in self._classes:
                continue
            shape = next(iter(shapes)) if len(shapes) == 1 else "any"
            nodes = {
                name: {"label": name, "loc": [at, at], "color": "#0000FF"}
                for at, name in enumerate(self._nodes.get(title, ()))
            }
            config: dict[str, Any] = {"nodes": nodes, "edges": []} if nodes else {}
            if "cuboid_2d" in shapes:  # the SDK wants to know the corners
                corners = {key: {"label": key, "loc": [0, at], "color": "#0000FF"} for at, key in enumerate(_VERTICES)}
                config |= {"vertices": corners, "edges": []}
            classes.append({"title": title, "shape": "any" if shape == "cuboid_2d" else shape, "color": _colour(number),
                            "geometry_config": config, "hotkey": ""})  # fmt: skip
        tags = [_tag(name, next(iter(kinds)) if len(kinds) == 1 else "any_string", ["true", "false"])
                for name, kinds in sorted(self._tags.items())]  # fmt: skip
        if self._classes:
            tags.insert(0, _tag(_CLASS_TAG, "oneof_string", list(self._classes)))
        return {"classes": classes, "tags": tags, "projectType": "images"}


def _tag(name: str, kind: str, values: Sequence[str]) -> dict[str, Any]:
    found = {
        "name": name,
        "value_type": kind,
        "color": _colour(len(name)),
        "hotkey": "",
        "applicable_type": "all",
        "classes": [],
    }
    return found | ({"values": list(values)} if kind == "oneof_string" else {})


def _colour(number: int) -> str:
    return f"#{(number + 1) * 0x5A3C71 % 0xFFFFFF:06X}"


def _whole(points: Any) -> list[list[int]]:
    return [[round(x), round(y)] for x, y in np.asarray(points, float).tolist()]


def _packed(inside: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The box of a mask as a PNG of which the pixels outside of the mask cannot be seen."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    image = Image.fromarray(box.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0, bits=1)
    return {
        "origin": [int(columns[0]), int(rows[0])],
        "data": base64.b64encode(zlib.compress(buffer.getvalue())).decode(),
    }
