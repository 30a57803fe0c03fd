"""The parts of pictures around changes, small enough to be sent in a file."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from PIL import Image

from ..core.media import Media
from .columns import boxes
from .frames import Frames
from .images import WIDEST, NotShown, sample_image
from .shapes import data_uri

MARGIN = 0.25  # of the width and height of what changed, on each side
_LEAST = 0.06  # of the picture: the margin around something small
_LONGEST = 448  # pixels of a crop
_QUALITY = 72  # of WebP
_SHARED = 1.5  # two crops become one if that is not larger than both by more than this
Box = tuple[float, float, float, float]  # left, top, right, bottom, relative


class Place(NamedTuple):
    """A picture, and the part of it that is shown."""

    sample: int
    frame: int | None
    box: Box


def places(
    changes: pa.Table, samples: Sequence[int], videos: frozenset[int]
) -> Iterator[tuple[int, int | None, list[Box]]]:
    """What to crop: the number of a sample, the frame of a video, and the boxes; those of the riskiest changes first.

    Args:
        changes: ``CHANGES``, the riskiest first.
        samples: the number of each change's sample.
        videos: the numbers of samples that are videos.
    """
    sides = [boxes(changes[f"{side}_box"]) for side in ("base", "ours", "theirs")]
    frames = changes["frame_number"].to_pylist()
    found: defaultdict[tuple[int, int | None], list[Box]] = defaultdict(list)
    for row, sample in enumerate(samples):
        frame = (frames[row] or 1) if sample in videos else None
        found[sample, frame].append(_around([side[row] for side in sides]))
    for (sample, frame), parts in found.items():
        yield sample, frame, merged(parts)


def _around(sides: Sequence[list[float] | None]) -> Box:
    """The union of boxes with a margin; the whole picture without any."""
    known = [box for box in sides if box is not None]
    if not known:
        return (0.0, 0.0, 1.0, 1.0)
    left, top = (min(box[n] for box in known) for n in (0, 1))
    right, bottom = (max(box[n] + box[n + 2] for box in known) for n in (0, 1))
    across, down = (max(MARGIN * size, _LEAST) for size in (right - left, bottom - top))
    return (max(0.0, left - across), max(0.0, top - down), min(1.0, right + across), min(1.0, bottom + down))


def merged(parts: Sequence[Box]) -> list[Box]:
    """Boxes, those that lie together joined.

    >>> merged([(0.0, 0.0, 0.2, 0.2), (0.1, 0.1, 0.3, 0.3), (0.8, 0.8, 1.0, 1.0)])
    [(0.0, 0.0, 0.3, 0.3), (0.8, 0.8, 1.0, 1.0)]
    """
    found: list[Box] = []
    for part in parts:
        box = part
        while (other := next((o for o in found if _belong_together(o, box)), None)) is not None:
            found.remove(other)
            box = _union(other, box)
        found.append(box)
    return found


def _belong_together(a: Box, b: Box) -> bool:
    return _area(_union(a, b)) <= _SHARED * (_area(a) + _area(b))


def _union(a: Box, b: Box) -> Box:
    return (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


class Cropper:
    """Makes crops of samples."""

    def __init__(self, media: Media, sample_ids: Sequence[str]) -> None:
        self._media, self._sample_ids, self._frames = media, sample_ids, Frames()

    def crops(self, sample: int, frame: int | None, parts: Sequence[Box]) -> list[dict[str, Any]]:
        """Crops of a picture, as the page has them: sample, frame, box, src. Raises ``NotShown``."""
        sample_id = self._sample_ids[sample]
        if frame is None:
            image = sample_image(self._media, sample_id, WIDEST)
        else:
            image = self._frames.image(self._media, sample_id, frame, WIDEST)
        return [self._crop(image, Place(sample, frame, part)) for part in parts]

    def _crop(self, image: Image.Image, place: Place) -> dict[str, Any]:
        width, height = image.size
        left, top = int(place.box[0] * width), int(place.box[1] * height)
        right, bottom = max(left + 1, round(place.box[2] * width)), max(top + 1, round(place.box[3] * height))
        part = image.crop((left, top, right, bottom))
        if max(part.size) > _LONGEST:
            part.thumbnail((_LONGEST, _LONGEST))
        out = io.BytesIO()
        part.save(out, "WEBP", quality=_QUALITY)
        box = [round(v, 6) for v in (left / width, top / height, (right - left) / width, (bottom - top) / height)]
        return {
            "sample": place.sample, "frame": place.frame, "box": box, "src": data_uri(out.getvalue(), "image/webp"),
        }  # fmt: skip


def fill(
    cropper: Cropper,
    wanted: Sequence[tuple[int, int | None, list[Box]]],
    most: int,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[list[dict[str, Any]], int, list[tuple[int, str]]]:
    """Crops in the order of ``places``, up to ``most`` bytes.

    Returns:
        The crops, how many pictures were left out for their size, and the samples that cannot be shown, each with the reason.
    """
    crops: list[dict[str, Any]] = []
    unreadable: list[tuple[int, str]] = []
    size = 0
    for at, (sample, frame, parts) in enumerate(wanted):
        try:
            new = cropper.crops(sample, frame, parts)
        except NotShown as error:
            unreadable.append((sample, str(error)))
            advance(1)
            continue
        size += sum(len(crop["src"]) for crop in new)
        if size > most:
            return crops, len(wanted) - at, unreadable
        crops += new
        advance(1)
    return crops, 0, unreadable
