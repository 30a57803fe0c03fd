"""Reading: the annotation of an image as labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ...exceptions import InvalidSource
from ..common.archive import Archive
from ..common.items import Items, Shapes
from ..common.report import ReadReport
from ..common.shard_names import plain_name
from .geometry import Wrong, as_list, bitmap, cuboid, graph, hashable, nodes, positions, rectangle

CLASS_TAG = "class"  # the tag that an export gives to images
# Keys of our own exports, which others pass over: the attributes of an object whose types its tags do not keep, and the name of
# an image that was renamed.
ATTRIBUTES, NAME = "attributes", "originalName"
Row = Mapping[str, Any]


def _decoded(archive: Archive, name: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(archive.read(name))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidSource(f"{archive.where(name)} is not JSON ({error}); export the project again.") from None
    if not isinstance(found, dict):
        raise InvalidSource(f"{archive.where(name)} is no JSON object; export the project again.")
    return found


class Reader:
    """Reads the files of one project."""

    def __init__(self, archive: Archive, meta: str, report: ReadReport) -> None:
        self._archive, self._report = archive, report
        found = _decoded(archive, meta)
        classes = [c for c in as_list(found.get("classes")) if isinstance(c, dict) and isinstance(c.get("title"), str)]
        tags = [t for t in as_list(found.get("tags")) if isinstance(t, dict) and isinstance(t.get("name"), str)]
        self._titles = {c["id"]: c["title"] for c in classes if isinstance(c.get("id"), int)}
        self._nodes = {c["title"]: nodes(c.get("geometry_config")) for c in classes}
        self._tag_names = {t["id"]: t["name"] for t in tags if isinstance(t.get("id"), int)}
        self._flags = {
            t["name"]
            for t in tags
            if t["name"] != CLASS_TAG and set(map(str, as_list(t.get("values")))) == {"true", "false"}
        }

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
        given = plain_name(found[NAME]) if isinstance(found.get(NAME), str) else None
        item = items.add(given or image[0], image[1], width, height, file=image[2])
        for tag, value in self._tags(found.get("tags"), where):
            label = tag if value is True else value if isinstance(value, str) else json.dumps(value)
            more = {} if value is True or tag == CLASS_TAG else {"tag": tag}
            if label:
                shapes.add(item, "classification", label, more, place=f"{where} tag {tag!r}")
        for at, entry in enumerate(as_list(found.get("objects"))):
            place = f"{where} object {at}"
            if not isinstance(entry, dict):
                self._report.skip(place, "it is no JSON object")
                continue
            title: Any = entry.get("classTitle") or self._titles.get(hashable(entry.get("classId")))
            if not isinstance(title, str):
                self._report.skip(place, "it has no class")
                continue
            geometry = self._geometry(entry, title, (width, height), place)
            if geometry is not None:
                self._add(shapes, item, title, entry, geometry, place)

    def _add(self, shapes: Shapes, item: int, label: str, entry: Row, geometry: dict[str, Any], place: str) -> None:
        attributes = dict(self._tags(entry.get("tags"), place))
        score = attributes.get("score")
        if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1:
            geometry["confidence"] = float(attributes.pop("score"))
        own = entry.get(ATTRIBUTES)
        attributes |= own if isinstance(own, dict) else {}
        track = attributes.get("track_id")
        if type(track) is int and abs(track) < 1 << 31:
            geometry["index"] = attributes.pop("track_id")
        if entry.get("description"):
            attributes["description"] = str(entry["description"])
        if isinstance(entry.get("labelerLogin"), str):
            geometry["annotator"] = entry["labelerLogin"]
        attributes |= geometry.pop("more", {})
        shapes.add(item, geometry.pop("kind"), label, attributes, place=place, **geometry)

    def _tags(self, tags: Any, place: str) -> Iterator[tuple[str, Any]]:
        """Name and value of each tag; a tag without a value is true."""
        for tag in as_list(tags):
            name = tag.get("name", self._tag_names.get(hashable(tag.get("tagId")))) if isinstance(tag, dict) else None
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
                return rectangle(entry)
            if kind == "polygon":
                points = entry["points"]
                rings = [positions(ring, 3) for ring in (points["exterior"], *as_list(points.get("interior"))) if ring]
                return {"kind": "polygon", "points": rings, "closed": True, "filled": True}
            if kind in ("line", "polyline"):
                ring = positions(entry["points"]["exterior"], 2)
                return {"kind": "polyline", "points": [ring], "closed": False, "filled": False}
            if kind == "point":
                return {
                    "kind": "keypoints",
                    "points": [positions(entry["points"]["exterior"], 1)[:1]],
                    "visibility": [2],
                }
            if kind == "graph":
                return graph(entry["nodes"], self._nodes.get(label) or {})
            if kind in ("bitmap", "alpha_mask"):
                return {"kind": "mask", "mask": bitmap(entry["bitmap"], size)}
            if kind in ("cuboid", "cuboid_2d"):
                return {"kind": "cuboid", "points": [cuboid(entry)]}
        except (LookupError, TypeError, ValueError, AttributeError):
            self._report.skip(place, f"its geometry {kind!r} is not complete")
        except Wrong as wrong:
            self._report.skip(place, str(wrong))
        else:
            self._report.skip(place, f"its geometry {kind!r} is not one of images")
        return None
