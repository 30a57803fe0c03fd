"""Plans without a dataset, for the tests of the review page: the same ones each time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw
from tests.review.fake_plan import FakePlan

from annobridge.core import geometry
from annobridge.core.rows import attributes
from annobridge.core.schema import LabelSchema
from annobridge.demo.scenes import scenes

HOSTILE = "<img src=x onerror=alert(1)>"
AT = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
HERE = datetime(2026, 11, 28, 14, 5, tzinfo=UTC)
SCHEMA = LabelSchema.from_dict(
    {
        "objects": {
            "type": "detections",
            "classes": ["bus", "car", "pick-up", "truck", "van"],
            "attributes": {"colour": {"type": "text"}, "parked": {"type": "checkbox"}, "doors": {"type": "int"}},
        },
        "cyclists": {
            "type": "skeletons",
            "classes": ["cyclist"],
            "skeleton": {"labels": ["head", "seat", "wheel"], "edges": [[0, 1], [1, 2]]},
        },
        "weather": {"type": "classification", "classes": ["sunny", "cloudy", "night"]},
    }
)
RISKS = {"label": "class change", "spatial": "small move"}  # of edits by component; others are attribute changes
Label = dict[str, Any]


class Plans:
    """Collects samples, labels and changes, and makes a plan of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changes: list[dict[str, Any]] = []
        self.labels: list[Label] = []
        self.samples: list[dict[str, Any]] = []

    def image(self, picture: Image.Image, name: str) -> str:
        """Add an image; returns its sample_id."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
        return self._sample(path, "image", picture.size)

    def video(self, frames: Sequence[Image.Image], name: str, fps: int = 8) -> str:
        """Add a video."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=fps)
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *frames[0].size, "yuv420p", 2_000_000
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            container.mux(stream.encode())
        return self._sample(path, "video", frames[0].size, frames=len(frames), fps=float(fps))

    def _sample(self, path: Path, media_type: str, size: tuple[int, int], **more: Any) -> str:
        sample_id = f"s{len(self.samples)}"
        row = {
            "sample_id": sample_id,
            "media_type": media_type,
            "filepath": str(path),
            "width": size[0],
            "height": size[1],
        }
        self.samples.append(row | more)
        return sample_id

    def same(self, sample_id: str, label: Label) -> None:
        """A label that the plan leaves alone."""
        self._side(sample_id, label, "same", f"same{len(self.labels)}")

    def add(self, sample_id: str, label: Label, by: str = "ann") -> None:
        self._change(sample_id, "existence", "add", "addition", None, None, label, by)

    def delete(self, sample_id: str, label: Label, by: str = "ann") -> None:
        self._change(sample_id, "existence", "delete", "deletion", label, label, None, by)

    def edit(self, sample_id: str, component: str, before: Label, after: Label, by: str = "ann", **more: Any) -> None:
        group = RISKS.get(component, "attribute change")
        if component == "spatial" and more.get("iou", 1) < 0.8:
            group = "large move"
        self._change(sample_id, component, "edit", group, before, before, after, by, **more)

    def conflict(
        self,
        sample_id: str,
        component: str,
        kind: str,
        sides: Sequence[Label | None],
        choices: Sequence[str],
        **more: Any,
    ) -> None:
        """A conflict; ``sides`` are base, ours and theirs."""
        more = {
            "our_by": "lea",
            "our_at": HERE,
            "proposal": "theirs",
            "why": "conflicts='theirs': the tool wins",
        } | more
        self._change(sample_id, component, kind, "conflict", *sides, "ann", choices=list(choices), **more)

    def _change(
        self, sample_id: str, component: str, kind: str, group: str, base: Label | None, ours: Label | None,
        theirs: Label | None, by: str, **more: Any,
    ) -> None:  # fmt: skip
        number = len(self.changes)
        sides = {"base": base, "ours": ours, "theirs": theirs}
        some = theirs or ours or base or {}
        label_id = more.pop("label_id", f"label{number:05}")
        choices = ["accept", "refuse", "value"] if component == "label" or "." in component else ["accept", "refuse"]
        row: dict[str, Any] = {
            "change_id": f"change{number:05}", "task": "1", "sample_id": sample_id, "field": some.get("field", "objects"),
            "label_id": label_id, "shape": some["kind"], "component": component, "kind": kind, "group": group,
            "label": some.get("label"), "class_from": (ours or base or {}).get("label"), "class_to": (theirs or {}).get("label"),
            "their_by": by, "their_at": AT, "our_by": None, "our_at": None, "frame_number": some.get("frame_number"),
            "index": some.get("index"), "proposal": "accept", "why": "", "choices": choices, "bound_to": f"bound{number}",
        }  # fmt: skip
        for side, label in sides.items():
            row[side] = None if label is None else _text(label, component)
            row[f"{side}_box"] = None if label is None else _extent(label)
            if label is not None:
                self._side(sample_id, label, side, label_id)
        self.changes.append({"iou": None, "shift": None} | row | more)

    def _side(self, sample_id: str, label: Label, side: str, label_id: str) -> None:
        row = {"field": "objects", "rev": 1} | label | {"sample_id": sample_id, "side": side, "label_id": label_id}
        row["attributes"] = attributes(label.get("attributes", {}))
        self.labels.append(row)

    def plan(self, **more: Any) -> FakePlan:
        made = FakePlan(self.changes, self.samples, self.labels, **more)
        made.run.schema = SCHEMA
        return made


def _text(label: Label, component: str) -> str | None:
    if component in ("label", "index"):
        return json.dumps(label[component])
    if component.startswith("attributes."):
        value = label.get("attributes", {}).get(component.partition(".")[2])
        return None if value is None else json.dumps(value)
    hidden = {"field"} if component == "existence" else {"field", "label", "attributes", "index"}
    plain = {name: value for name, value in label.items() if name not in hidden}
    if "mask" in plain:
        plain["mask"] = {**plain["mask"], "counts": plain["mask"]["counts"].decode()}
    return json.dumps(_without_nan(plain))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(v) for name, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if value != value else value


def _extent(label: Label) -> list[float] | None:
    if label.get("bounding_box"):
        return list(label["bounding_box"])
    points = [p for part in label.get("points") or () for p in part if p[0] == p[0]]
    if not points:
        return None
    low, high = np.min(points, 0), np.max(points, 0)
    return [*low.tolist(), *(high - low).tolist()]


def box(label: str, place: Sequence[float], **more: Any) -> Label:
    return {"kind": "box", "label": label, "bounding_box": [round(v, 4) for v in place]} | more


def points(kind: str, label: str, parts: Any, **more: Any) -> Label:
    shape = {"polygon": {"closed": True, "filled": True}, "polyline": {"closed": False, "filled": False}}.get(kind, {})
    return {"kind": kind, "label": label, "points": parts} | shape | more


def mask(kind: str, label: str, pixels: Any) -> Label:
    rle = geometry.encode_rle(pixels)
    return {"kind": kind, "label": label, "mask": rle, "bounding_box": geometry.mask_box(rle)}


def moved(place: Sequence[float], across: float = 0.0, down: float = 0.0, grown: float = 0.0) -> list[float]:
    x, y, width, height = place
    return [x + across, y + down, width * (1 + grown), height * (1 + grown)]


def street(folder: Path) -> Plans:
    """Parts of a plan with every group of changes and every kind of label, a video, conflicts, and names that are markup."""
    made = Plans(folder)
    drawn = scenes(8)
    ids = [made.image(scene.image, f"day/{scene.name}.png") for scene in drawn]
    cars: list[tuple[str, Mapping[str, Any]]] = []
    for sample_id, scene in zip(ids, drawn, strict=True):
        for thing in scene.things:
            if thing.label == "car":
                cars.append((sample_id, {"place": thing.box, "colour": thing.colour}))
            else:
                made.same(sample_id, box(thing.label, thing.box))
    supply = iter(cars)
    _conflicts(made, supply)
    _edits(made, supply)
    _kinds(made, ids)
    _frames(made)
    _hostile(made, folder)
    for sample_id, car in supply:
        made.same(sample_id, box("car", car["place"]))
    return made


def _conflicts(made: Plans, cars: Iterator[tuple[str, Mapping[str, Any]]]) -> None:
    three = ("base", "ours", "theirs", "value")
    for theirs in ("van", "van", "truck"):
        sample_id, car = next(cars)
        sides = [box(name, car["place"], attributes={"colour": "red"}) for name in ("car", "bus", theirs)]
        made.conflict(sample_id, "label", "edit/edit", sides, three)
    sample_id, car = next(cars)
    sides = [box("car", p) for p in (car["place"], moved(car["place"], -0.02), moved(car["place"], 0.03, 0.01, 0.15))]
    made.conflict(sample_id, "spatial", "edit/edit", sides, three[:3], iou=0.61, shift=31.5)
    sample_id, car = next(cars)
    before = box("car", car["place"])
    made.conflict(
        sample_id, "existence", "delete/edit", (before, box("van", car["place"]), None), three[:3], proposal="ours"
    )
    sample_id, car = next(cars)
    twins = (None, box("car", car["place"]), box("car", moved(car["place"], 0.01)))
    made.conflict(sample_id, "existence", "add/add", twins, ("ours", "theirs", "both"), proposal="both")


def _edits(made: Plans, cars: Iterator[tuple[str, Mapping[str, Any]]]) -> None:
    for by in ("ann", "bob", "ann"):
        sample_id, car = next(cars)
        made.delete(sample_id, box("car", car["place"], attributes={"colour": car["colour"]}), by)
    for to, by in (("truck", "ann"), ("truck", "bob"), ("van", "bob")):
        sample_id, car = next(cars)
        made.edit(sample_id, "label", box("car", car["place"]), box(to, car["place"]), by)
    for number in range(2):
        sample_id, car = next(cars)
        after = box("car", moved(car["place"], 0.04, -0.02, 0.3))
        made.edit(sample_id, "spatial", box("car", car["place"]), after, iou=0.42 + 0.2 * number, shift=41.0)
    sample_id, car = next(cars)
    sides = [box("car", car["place"], attributes={"colour": c, "parked": False}) for c in ("red", "dark red")]
    made.edit(sample_id, "attributes.colour", *sides, label_id="two")
    sides = [
        box("car", car["place"], attributes={"colour": "red", "parked": p, "doors": d})
        for p, d in ((False, 3), (True, 5))
    ]
    made.edit(sample_id, "attributes.parked", *sides, label_id="two")
    made.edit(sample_id, "attributes.doors", *sides, label_id="two")
    sample_id, car = next(cars)
    made.add(sample_id, box("car", car["place"], attributes={"colour": "blue"}))
    for number in range(3):
        sample_id, car = next(cars)
        after = box("car", moved(car["place"], 0.004 * (number + 1)))
        made.edit(
            sample_id, "spatial", box("car", car["place"]), after, iou=0.97 - number / 20, shift=2.6 * (number + 1)
        )


def _kinds(made: Plans, ids: Sequence[str]) -> None:
    square = [[0.3, 0.3], [0.6, 0.3], [0.6, 0.7], [0.3, 0.7]]
    hole = [[0.4, 0.4], [0.5, 0.4], [0.5, 0.5]]
    made.edit(
        ids[0],
        "spatial",
        points("polygon", "house", [square]),
        points("polygon", "house", [square, hole]),
        iou=0.95,
        shift=1.0,
    )
    line = [[0.05, 0.8], [0.4, 0.78], [0.9, 0.83]]
    made.edit(
        ids[1],
        "spatial",
        points("polyline", "lane", [line]),
        points("polyline", "lane", [[*line, [0.97, 0.9]]]),
        iou=0.9,
        shift=12.0,
    )
    turned = [box("sign", [0.4, 0.4, 0.2, 0.1], rotation=r) for r in (0.0, 30.0)]
    made.edit(ids[2], "spatial", *turned, iou=0.55, shift=0.0)
    round_ = [{**box("wheel", [0.2, 0.5, 0.2, 0.2], rotation=r), "kind": "ellipse"} for r in (10.0, 55.0)]
    made.edit(ids[3], "spatial", *round_, iou=0.85, shift=0.0)
    nose, eye, gone = [0.5, 0.4], [0.52, 0.36], [float("nan"), float("nan")]
    before = points("keypoints", "person", [[nose, eye, gone]], visibility=[2, 1, 0])
    after = points("skeleton", "person", [[[0.49, 0.41], eye, [0.46, 0.36]]], visibility=[2, 2, 1])
    made.edit(ids[4], "spatial", before, {**after, "kind": "keypoints"}, iou=0.82, shift=7.5)
    made.add(
        ids[4],
        points("skeleton", "cyclist", [[[0.7, 0.5], [0.72, 0.6], [0.69, 0.7]]], visibility=[2, 2, 1], field="cyclists"),
        "bob",
    )
    front = [[0.2, 0.5], [0.2, 0.7], [0.4, 0.5], [0.4, 0.7], [0.5, 0.45], [0.5, 0.6], [0.3, 0.45], [0.3, 0.6]]
    made.add(ids[5], points("cuboid", "truck", [front]), "bob")
    rows, columns = np.mgrid[0:400, 0:640]
    discs = [((columns - x) ** 2 / 3 + (rows - 260) ** 2) < 70**2 for x in (300, 330)]
    made.edit(ids[5], "spatial", mask("mask", "car", discs[0]), mask("mask", "car", discs[1]), iou=0.76, shift=30.0)
    roads = [rows > 270 + columns // d for d in (40, 12)]
    made.edit(
        ids[6],
        "spatial",
        mask("segmentation", "road", roads[0]),
        mask("segmentation", "road", roads[1]),
        iou=0.81,
        shift=14.0,
    )
    scene = {"kind": "classification", "field": "weather"}
    made.edit(ids[6], "label", {**scene, "label": "sunny"}, {**scene, "label": "cloudy"}, "bob")
    made.add(ids[7], {"kind": "scalar", "field": "quality", "value": "0.5"}, "bob")


def _frames(made: Plans) -> None:
    frames = []
    for number in range(24):
        frame = Image.new("RGB", (320, 200), (70, 110, 90))
        draw = ImageDraw.Draw(frame)
        draw.rectangle((0, 130, 320, 200), (80, 84, 92))
        draw.rectangle((20 + 8 * number, 110, 80 + 8 * number, 150), (200, 60, 60))
        draw.text((6, 6), f"frame {number + 1}", (255, 255, 255))
        frames.append(frame)
    sample_id = made.video(frames, "videos/crossing.mp4")
    for number in range(1, 25):
        place = [(20 + 8 * (number - 1)) / 320, 0.55, 60 / 320, 0.2]
        label = {"field": "frames.objects", "frame_number": number, "index": 7, "keyframe": number % 6 == 1}
        if number in (6, 12, 18):
            after = box("car", moved(place, 0.0, 0.0, 0.2), **label)
            made.edit(
                sample_id, "spatial", box("car", place, **label), after, iou=0.7, shift=9.0, label_id=f"track7-{number}"
            )
        else:
            made.same(sample_id, box("car", place, **label))


def _hostile(made: Plans, folder: Path) -> None:
    sample_id = made.image(Image.new("RGB", (320, 240), (90, 90, 120)), "hostile.png")
    target = folder / "img src=x onerror=alert(2).png"
    (folder / "hostile.png").rename(target)
    made.samples[-1]["filepath"] = str(target)
    before, after = box("sign", [0.3, 0.3, 0.2, 0.2]), box(HOSTILE, [0.3, 0.3, 0.2, 0.2], attributes={"note": HOSTILE})
    made.edit(sample_id, "label", before, after, "</script><script>alert(3)</script>")
    lost = made.image(Image.new("RGB", (64, 48)), "lost.png")
    (folder / "lost.png").unlink()
    made.edit(lost, "label", before, box("lamp", [0.3, 0.3, 0.2, 0.2]))


def many(folder: Path, changes: int, images: int) -> Plans:
    """Many changes over many images, which are copies of a few."""
    made = Plans(folder)
    drawn = [scene.image for scene in scenes(4)]
    for number in range(images):
        made.image(drawn[number % 4], f"{number % 10}/{number:05}.jpg")
    for number in range(changes):
        sample_id = f"s{number % images}"
        place = [0.05 + number % 7 / 10, 0.1 + number % 5 / 10, 0.12, 0.15]
        name = f"class {number % 12}"
        match number % 5:
            case 0:
                made.delete(sample_id, box(name, place), f"annotator {number % 6}")
            case 1:
                made.edit(sample_id, "label", box(name, place), box("car", place), f"annotator {number % 6}")
            case 2:
                made.edit(sample_id, "spatial", box(name, place), box(name, moved(place, 0.03)), iou=0.6, shift=19.0)
            case 3:
                made.add(sample_id, box(name, place), f"annotator {number % 6}")
            case _:
                made.edit(sample_id, "spatial", box(name, place), box(name, moved(place, 0.003)), iou=0.95, shift=2.0)
    return made
