"""Small images and labels on them, for the laws of formats: what they are made of is chosen for what formats often get wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from PIL import Image

from ...core import rows
from ...core.geometry import encode_rle
from ...core.labels import LABELS, SAMPLES
from ...formats.base import Part
from .. import strategies

Row = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

# Split, name and size of each image; no two files are equal. Names repeat between splits, and differ in their suffix only.
IMAGES = (
    ("train", "a.png", (32, 24)),
    ("train", "night/b c.png", (24, 32)),
    ("val", "a.png", (40, 20)),
    ("val", "été/日本 1.png", (33, 25)),
    ("val", "night/b c.bmp", (20, 20)),
)
_WHOLE = {"train": "north", "val": "south 1"}
CLASSES = ("car", "traffic light", "Fußgänger")
FIGURE = "figure"  # the class of skeletons
JOINTS = 3  # points of a skeleton
MASKS = 4  # on one image, side by side
_FIELDS = {"skeleton": "figures"}
_FLAGS = ("occluded", "truncated", "difficult", "iscrowd")
_PART_FIELDS = (*SAMPLES.names, "split")


@dataclass(frozen=True)
class Scene:
    """Labels on some of the images. Rows have the columns of ``LABELS``, ``image`` (its number), and attributes by name."""

    rows: tuple[Row, ...]
    split: bool
    images: tuple[int, ...]

    def __repr__(self) -> str:
        shown = [{k: v for k, v in row.items() if v not in (None, [], {}) and k != "label_id"} for row in self.rows]
        return f"Scene(split={self.split}, images={self.images}, rows={shown})"

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(repr(self))  # as Hypothesis shows it

    def only(self, rows_: Sequence[Row]) -> Scene:
        """The same images with other labels."""
        return Scene(tuple(rows_), self.split, self.images)


def make_images(folder: Path) -> None:
    """Write all images below a folder."""
    for number, (_, _, size) in enumerate(IMAGES):
        for is_split in (True, False):
            path = place(folder, number, is_split)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, (40 * number, 90, 120)).save(path)


@cache
def digests(folder: Path) -> dict[str, int]:
    """The number of each image by the digest of its bytes."""
    return {digest(place(folder, number, True)): number for number in range(len(IMAGES))}


def place(folder: Path, number: int, is_split: bool) -> Path:
    """Where an image is: in the folder of its split; or, for a dataset without splits, in one of another name."""
    split, name, _ = IMAGES[number]
    return folder / "split" / split / name if is_split else folder / "whole" / _WHOLE[split] / name


def digest(path: Path) -> str:
    """What tells the files of two images apart."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def parts(scene: Scene, folder: Path, size: int = 5_000) -> Iterator[Part]:
    """The scene as a dataset gives it: parts of so many samples."""
    for start in range(0, max(len(scene.images), 1), size):
        numbers = scene.images[start : start + size]
        samples = []
        for number in numbers:
            split, _, (width, height) = IMAGES[number]
            path = str(place(folder, number, scene.split))
            samples.append(
                {"sample_id": f"s{number}", "media_type": "image", "filepath": path, "width": width, "height": height}
                | ({"split": split} if scene.split else {})
            )
        names = _PART_FIELDS if scene.split else SAMPLES.names
        schema = pa.schema([SAMPLES.field(n) if n in SAMPLES.names else pa.field(n, pa.string()) for n in names])
        labels = [_stored(row) for row in scene.rows if row["image"] in numbers]
        yield Part(pa.Table.from_pylist(samples, schema=schema), pa.Table.from_pylist(labels, schema=LABELS))


def _stored(row: Row) -> Row:
    stored = {name: value for name, value in row.items() if name not in ("image", "attributes")}
    stored["attributes"] = rows.attributes(row["attributes"])
    return stored | {"sample_id": f"s{row['image']}", "rev": 1}


@st.composite
def scenes(draw: Draw, kinds: Sequence[str], most: int = 8, images: Sequence[int] = range(len(IMAGES))) -> Scene:
    """Scenes with labels of some kinds. Masks lie side by side on an image; classes of images do not repeat on it, and a track has
    one label there.
    """
    found: list[Row] = []
    taken: set[tuple[Any, ...]] = set()
    for _ in range(draw(st.integers(1, most))):
        row = draw(label(draw(st.sampled_from(tuple(kinds))), tuple(images)))
        masks = sum(r["mask"] is not None and r["image"] == row["image"] for r in found)
        key = (row["image"], row["kind"], row["label"])
        if row["kind"] in ("classification", "segmentation", "scalar", "message") and key in taken:
            continue
        if row["mask"] is not None and masks == MASKS:
            continue
        taken.add(key)
        track = (row["image"], row["label"], row["index"])
        if row["kind"] != "message" and track in taken:
            row["index"] = None
        taken.add(track)
        if row["mask"] is not None:
            row["mask"] = mask(IMAGES[row["image"]][2], masks, row["mask"])
        found.append(row | {"label_id": f"{len(found):032x}"})
    return Scene(tuple(found), draw(st.booleans()), tuple(images))


@st.composite
def label(draw: Draw, kind: str, images: Sequence[int] = (0,)) -> Row:
    """A label of a kind, with all that it can have. The mask of one is a number here, of which ``scenes`` makes pixels."""
    row: Row = dict.fromkeys(LABELS.names)
    row |= {"image": draw(st.sampled_from(tuple(images))), "kind": kind, "field": _FIELDS.get(kind, f"a_{kind}")}
    row |= {"label": FIGURE if kind == "skeleton" else draw(st.sampled_from(CLASSES))}
    row["attributes"] = draw(_attributes)
    if draw(st.booleans()):
        row |= {"confidence": draw(st.floats(0, 1)), "tags": draw(st.lists(strategies.texts, max_size=2))}
    if draw(st.booleans()) and kind != "message":
        row["index"] = draw(st.integers(0, 5))
    return row | _geometry(draw, kind)


def _geometry(draw: Draw, kind: str) -> Row:
    if kind in ("box", "ellipse"):
        turned = draw(st.booleans())
        return {"bounding_box": draw(_frames(turned)), "rotation": draw(_degrees) if turned else None}
    if kind == "polygon":
        return {"points": draw(_rings()), "closed": True, "filled": True}
    if kind == "polyline":
        lines = st.lists(strategies.points(2, 4), min_size=1, max_size=2)
        return {"points": draw(lines), "closed": draw(st.booleans()), "filled": False}
    if kind in ("keypoints", "skeleton"):
        count = JOINTS if kind == "skeleton" else draw(st.integers(1, JOINTS))
        seen = draw(st.lists(st.sampled_from((2, 2, 1, 0)), min_size=count, max_size=count))
        seen[0] = seen[0] or 2
        xy = draw(st.lists(_point, min_size=count, max_size=count))
        return {"points": [[p if s else [np.nan] * 2 for p, s in zip(xy, seen, strict=True)]], "visibility": seen}
    if kind in ("mask", "segmentation"):
        return {"mask": draw(st.integers(0, 2**16))}
    if kind == "cuboid":
        return {"points": [draw(st.lists(_point, min_size=8, max_size=8))]}
    if kind == "scalar":
        return {"value": "7", "label": None}
    if kind == "message":
        return {"value": '"how many?"', "label": "question", "index": 0}
    return {}


@st.composite
def _frames(draw: Draw, turned: bool) -> list[float]:
    """Boxes; one that is turned is small and in the middle, so that it stays inside its image."""
    if turned:
        centre = [draw(st.floats(0.45, 0.55)), draw(st.floats(0.45, 0.55))]
        width, height = draw(st.floats(0.1, 0.3)), draw(st.floats(0.1, 0.3))
        return [centre[0] - width / 2, centre[1] - height / 2, width, height]
    x, y = draw(st.floats(0, 0.7)), draw(st.floats(0, 0.7))
    return [x, y, draw(st.floats(0.125, 1 - x)), draw(st.floats(0.125, 1 - y))]


@st.composite
def _rings(draw: Draw) -> list[list[list[float]]]:
    """A polygon: one part; two parts side by side; or one with a hole."""
    form = draw(st.sampled_from(("one", "one", "two", "hole")))
    centre = (0.3, 0.5) if form == "two" else (0.5, 0.5)
    reach = 0.2 if form == "two" else 0.45
    radii = np.array(draw(st.lists(st.floats(0.5, 1), min_size=3, max_size=6)))
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False) + draw(st.floats(0, 1))
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] * reach
    rings = [around + centre]
    if form == "two":
        rings.append(around + np.array([0.75, 0.5]))
    if form == "hole":
        rings.append(around * 0.25 + centre)
    return [ring.tolist() for ring in rings]


def mask(size: tuple[int, int], place: int, seed: int) -> Any:
    """Some pixels of the band of an image that is for one of its masks."""
    width, height = size
    pixels = np.zeros((height, width), bool)
    start, end = place * width // MASKS, (place + 1) * width // MASKS
    band = np.random.default_rng(seed).random((height, end - start)) < 0.4
    band[height // 2, 0] = True
    pixels[:, start:end] = band
    return encode_rle(pixels)


_point = st.lists(st.floats(0.0625, 1), min_size=2, max_size=2)
_degrees = st.floats(-179, 180).filter(lambda d: abs(d) >= 1)
_free = st.dictionaries(st.sampled_from(("colour", "größe", "note", "Id")), strategies.values, max_size=2)
_own = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(_FLAGS, st.booleans()), "z_order": st.integers(-3, 3), "group": st.integers(1, 3)}
)
_attributes = st.builds(lambda free, own: {**free, **own}, _free, st.just({}) | _own)


def block(size: tuple[int, int], left: int, right: int) -> Any:
    """The mask of some columns of an image."""
    pixels = np.zeros((size[1], size[0]), bool)
    pixels[2:10, left:right] = True
    return encode_rle(pixels)


def no_pixels(size: tuple[int, int]) -> Any:
    """A mask without a pixel."""
    return encode_rle(np.zeros((size[1], size[0]), bool))
