"""The annotations of a task, merged from its jobs: objects on shared frames are matched by geometry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from PIL import Image, ImageDraw

from .errors import crash
from .tracks import interpolated
from .versions import Version

Json = Any
Objects = dict[str, list[Json]]
Likeness = Callable[[Json, Json], float]
Point = tuple[float, float]
CANVAS = 512


class Joined:
    """Jobs are added in the order of their ids."""

    def __init__(self, overlap: int, version: Version) -> None:
        self.overlap, self.version = overlap, version
        self.flat = {"tags": FlatObjects(overlap, like_tags), "shapes": FlatObjects(overlap, like_shapes)}
        self.tracks: list[Json] = []
        self.intervals: list[Json] = []

    def add(self, objects: Objects, start: int) -> None:
        for kind, flat in self.flat.items():
            flat.add(objects[kind], start)
        self.add_tracks(deepcopy(objects["tracks"]), start)
        self.intervals += objects["intervals"]

    def result(self) -> Objects:
        found = {kind: flat.result() for kind, flat in self.flat.items()}
        return {**found, "tracks": self.tracks, "intervals": self.intervals}

    def add_tracks(self, tracks: list[Json], start: int) -> None:
        """Tracks that go on are stitched; a track that ends with its job gets a closing keyframe on the next one's frame."""
        end = start + self.overlap
        shared = [track for track in tracks if track["frame"] < end]
        running = [track for track in self.tracks if reaches(track, start)]
        self.tracks += [track for track in tracks if track["frame"] >= end]
        candidates = [track for track in shared if reaches(track, start)]
        matched = match(candidates, running, 0.5, lambda new, old: self.like_tracks(new, old, start))
        taken = {id(new) for new, _ in matched}
        if not running or not candidates:
            self.tracks += shared
        else:
            self.tracks += [track for track in candidates if id(track) not in taken]
        for new, old in matched:
            unite(new, old)
        joined = {id(old) for _, old in matched}
        for track in running:
            if id(track) not in joined:
                close(track, end, self.version)

    def like_tracks(self, new: Json, old: Json, start: int) -> float:
        if new["label_id"] != old["label_id"]:
            return 0
        end = start + self.overlap
        left, right = (
            {shape["frame"]: shape for shape in interpolated(track, end, self.version) if shape["frame"] >= start}
            for track in (new, old)
        )
        frames = set(left) | set(right)
        if not left or not right:
            return 0
        alike = 0.0
        for frame in set(left) & set(right):
            if left[frame]["outside"] == right[frame]["outside"]:
                alike += like_shapes(left[frame], right[frame])
        return alike / len(frames)


class FlatObjects:
    """Tags or shapes by frame."""

    def __init__(self, overlap: int, like: Likeness) -> None:
        self.overlap, self.like = overlap, like
        self.by_frame: dict[int, list[Json]] = defaultdict(list)

    def result(self) -> list[Json]:
        return [item for frame in sorted(self.by_frame) for item in self.by_frame[frame]]

    def add(self, items: list[Json], start: int) -> None:
        end = start + self.overlap
        shared: dict[int, list[Json]] = defaultdict(list)
        for item in items:
            if start <= item["frame"] < end:
                shared[item["frame"]].append(item)
        for frame, new in shared.items():
            old = self.by_frame[frame]
            taken = {id(item) for item, _ in match(new, old, 0.75, self.like)}
            old += [item for item in new if id(item) not in taken]
        for item in items:
            if not start <= item["frame"] < end:
                self.by_frame[item["frame"]].append(item)


def match(new: list[Json], old: list[Json], least: float, like: Likeness) -> list[tuple[Json, Json]]:
    """Pairs, the most similar first, with each object once."""
    scores = [(like(a, b), i, j) for i, a in enumerate(new) for j, b in enumerate(old)]
    pairs, left, right = [], set(), set()
    for score, i, j in sorted(scores, key=lambda entry: -entry[0]):
        if score >= least and i not in left and j not in right:
            pairs.append((new[i], old[j]))
            left.add(i)
            right.add(j)
    return pairs


def like_tags(a: Json, b: Json) -> float:
    return float(a["label_id"] == b["label_id"])


def like_shapes(a: Json, b: Json) -> float:
    """Shared area over whole area; figures without an area are never alike."""
    if a["type"] != b["type"] or a.get("label_id") != b.get("label_id"):
        return 0
    if a["type"] == "rectangle" and len(a["points"]) == len(b["points"]) == 4:
        return boxes_alike(a["points"], b["points"])
    if a["type"] == "polygon":
        return polygons_alike(a["points"], b["points"])
    return 0


def boxes_alike(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    areas = [abs((p[2] - p[0]) * (p[3] - p[1])) for p in (a, b)]
    if width <= 0 or height <= 0 or not all(areas):
        return 0
    return width * height / (sum(areas) - width * height)


def polygons_alike(a: list[float], b: list[float]) -> float:
    """On a canvas fitted to both: near enough for a threshold. A line that crosses itself is like nothing."""
    if crosses_itself(a) or crosses_itself(b):
        return 0
    xs, ys = a[::2] + b[::2], a[1::2] + b[1::2]
    left, top, size = min(xs), min(ys), max(max(xs) - min(xs), max(ys) - min(ys)) or 1

    def drawn(points: list[float]) -> int:
        image = Image.new("1", (CANVAS + 1, CANVAS + 1))
        scaled = zip(points[::2], points[1::2], strict=False)
        ImageDraw.Draw(image).polygon(
            [((x - left) / size * CANVAS, (y - top) / size * CANVAS) for x, y in scaled], fill=1
        )
        return int.from_bytes(image.tobytes())

    first, second = drawn(a), drawn(b)
    return (first & second).bit_count() / ((first | second).bit_count() or 1)


def crosses_itself(flat: list[float]) -> bool:
    points = list(zip(flat[::2], flat[1::2], strict=False))
    sides = list(zip(points, [*points[1:], points[0]], strict=True))
    pairs = ((a, b) for at, a in enumerate(sides) for b in sides[at + 2 :])
    return any(cross(*a, *b) for a, b in pairs)


def cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def reaches(track: Json, start: int) -> bool:
    return bool(track["shapes"]) and (track["shapes"][-1]["frame"] >= start or not track["shapes"][-1]["outside"])


def unite(new: Json, old: Json) -> None:
    """One track with the keyframes of both; on a shared frame the older keyframe stays."""
    shapes = {shape["frame"]: shape for shape in new["shapes"]} | {shape["frame"]: shape for shape in old["shapes"]}
    old["frame"] = min(old["frame"], new["frame"])
    old["shapes"] = [shapes[frame] for frame in sorted(shapes)]


def close(track: Json, frame: int, version: Version) -> None:
    if not track["shapes"]:
        if version.since(2, 16):
            return
        raise crash()
    if track["shapes"][-1]["outside"]:
        return
    track["shapes"].append({**deepcopy(track["shapes"][-1]), "frame": frame, "outside": True})
    for element in track.get("elements", ()):
        close(element, frame, version)
