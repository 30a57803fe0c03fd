"""Simulated annotators of known noise, to measure what becomes of their answers together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..agreement.rates import of_pairs
from ..core.agreement.agreed import Agreed
from ..core.agreement.compare import compare
from ..core.agreement.given import Given
from ..core.arrays import row_keys
from ..core.labels import REMOTE, SAMPLES, TOOL_KEY, conform


@dataclass(frozen=True)
class Noise:
    """What an annotator does wrong.

    Attributes:
        miss: the share of objects that are not drawn.
        double: the share of those drawn that are drawn twice.
        jitter: the standard deviation of each edge, as a share of the size of the box.
        wrong: the share of labels that get another class.
    """

    miss: float = 0.05
    double: float = 0.03
    jitter: float = 0.03
    wrong: float = 0.05


SETTINGS: Mapping[str, Noise] = MappingProxyType(
    {
        "usual": Noise(),
        "many missed": Noise(miss=0.2),
        "many doubled": Noise(double=0.2),
        "inexact": Noise(jitter=0.08),
        "wrong classes": Noise(wrong=0.25),
        "all of it": Noise(0.15, 0.1, 0.06, 0.15),
    }
)


@dataclass(frozen=True)
class Scene:
    """Boxes of classes on images: the truth.

    Attributes:
        images: of each box, the number of its image.
        classes: of each box, the number of its class.
        boxes: x, y, width and height of each, relative to the image; shape (n, 4).
        class_count: how many classes there are.
    """

    images: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray
    class_count: int = 5

    @classmethod
    def random(cls, images: int, per_image: int, rng: np.random.Generator) -> Scene:
        """Boxes at random places, which may overlap."""
        count = images * per_image
        size = rng.uniform(0.05, 0.2, (count, 2))
        return cls(
            np.repeat(np.arange(images), per_image),
            rng.integers(0, 5, count),
            np.hstack([rng.uniform(0, 0.8, (count, 2)), size]),
        )

    def seen_by(self, noise: Noise, rng: np.random.Generator) -> Scene:
        """What an annotator makes of it."""
        kept = np.flatnonzero(rng.random(len(self.images)) >= noise.miss)
        rows = np.concatenate([kept, kept[rng.random(len(kept)) < noise.double]])
        boxes, classes = self.boxes[rows], self.classes[rows].copy()
        edges = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        edges = np.clip(edges + rng.normal(0, noise.jitter, edges.shape) * np.tile(boxes[:, 2:], 2), 0, 1)
        size = np.maximum(edges[:, 2:] - edges[:, :2], 1e-4)
        wrong = rng.random(len(rows)) < noise.wrong
        classes[wrong] = (classes[wrong] + rng.integers(1, self.class_count, int(wrong.sum()))) % self.class_count
        return Scene(self.images[rows], classes, np.hstack([edges[:, :2], size]), self.class_count)

    def given(self, annotator: str, images: int, field: str = "objects") -> Given:
        """The boxes as the answer of an annotator to all images."""
        names = pa.array([f"image_{number:06d}" for number in range(images)])
        columns = {
            "sample_id": names.take(pa.array(self.images)),
            "label": pa.array([f"class_{number}" for number in range(self.class_count)]).take(pa.array(self.classes)),
            "bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(self.boxes.ravel()), 4),
            "remote_id": pa.array(np.arange(len(self.images))).cast(pa.string()),
        }
        return Given(annotator, conform(pa.table(columns), REMOTE, field=field, kind="box"), names)


def decided(found: Agreed, annotator: str = "consensus") -> Given:
    """The labels of a consensus that are not left for a decision, as one answer."""
    waits = pc.is_in(row_keys(found.labels, TOOL_KEY), value_set=row_keys(found.disputed, TOOL_KEY))
    return Given(annotator, found.labels.filter(pc.invert(waits)), found.samples)


class Score(NamedTuple):
    """F1, and the mean intersection over union of the labels that agree; 0 without any."""

    f1: float
    mean_iou: float


def score(one: Given, truth: Given) -> Score:
    """How good an answer is: labels of the right class with an intersection over union of 0.5 at least are right."""
    (row,) = of_pairs(compare([one, truth], 0.5, (), SAMPLES.empty_table(), truth.annotator).matches).to_pylist()
    return Score(row["f1"], row["mean_iou"] or 0.0)
