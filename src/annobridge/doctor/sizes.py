"""Check of sizes: width and height must be those of the image as displayed, not of the file as stored.

Earlier versions took the stored size of JPEG, PNG and WebP files whatever their EXIF orientation. Where that turns the image by
90° (orientations 5 to 8), width and height are swapped. For the labels on such an image it matters where they came from:

- Labels that a tool returned (``run`` or ``tool`` is set) were drawn on the displayed image and are correct, and so are labels that
  were given relative to it. They do not change.
- Pixel values of an import or of ``adopt_labels`` were divided by the wrong side. Nothing in the dataset says which labels these
  are, so the caller decides: ``"rescale"`` corrects all candidates, for pixels of the displayed image; ``"keep"`` changes
  nothing. If a rescaled label would leave its image, the labels of that sample cannot have been such pixels, and stay.
- A mask with the stored size must be of the stored pixels, and is turned.

Orientations 2 to 4 mirror the image or turn it by 180°, so its size is the same, and nothing was affected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha1

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..core import geometry
from ..core.arrays import Bools, as_array, as_mask, list_lengths
from ..core.checks import validate
from ..core.labels import LABELS, OURS
from ..spill.streams import Streams
from ..store import image_headers, media
from ..store.labels import ROW_KEYS
from ..store.stores import Stores
from .report import SHOWN, Check, Finding, Options

CHOICES = ("keep", "rescale")
_COLUMNS = ["sample_id", "media_type", "filepath", "width", "height"]
_FOUND = pa.schema(
    [("sample_id", pa.string()), ("width", pa.int32()), ("height", pa.int32()), ("orientation", pa.int32())]
)
_WEB = r"^https?://"
_PLACED = "bounding_box IS NOT NULL OR points IS NOT NULL OR mask IS NOT NULL"


def unchecked(stores: Stores) -> Iterator[str]:
    """A note on images whose sizes cannot be checked without downloading them."""
    counts = (
        pc.sum(pc.match_substring_regex(b["filepath"], _WEB)).as_py() for b in stores.samples.scan(None, ["filepath"])
    )
    if count := sum(n or 0 for n in counts):
        yield f"The sizes of {count} images on web servers were not checked."


def _swapped(stores: Stores) -> pa.Table:
    """The samples whose width and height are swapped, as ``_FOUND``: that wrong size, and the orientation of the file."""
    parts = [_FOUND.empty_table()]
    for batch in stores.samples.scan(None, _COLUMNS):
        given = pc.and_(
            pc.not_equal(batch["width"], batch["height"]),
            pc.fill_null(pc.not_equal(batch["media_type"], "video"), True),
        )
        near = pc.invert(pc.match_substring_regex(batch["filepath"], _WEB))
        rows = pa.Table.from_batches([batch.filter(pc.and_(given, near))])
        if not rows.num_rows:
            continue
        found = _headers(stores, rows)
        sizes = np.array([h.shown if h else (0, 0) for h in found])
        known = np.stack([rows[n].to_numpy() for n in ("width", "height")], axis=1)
        orientations = pa.array([h.orientation if h else 1 for h in found], pa.int32())
        wrong = pa.array((known == sizes[:, ::-1]).all(axis=1))
        parts.append(
            rows.select(_FOUND.names[:3]).append_column("orientation", orientations).filter(wrong).cast(_FOUND)
        )
    return pa.concat_tables(parts).combine_chunks()


def _headers(stores: Stores, rows: pa.Table) -> list[image_headers.ImageHeader | None]:
    files = stores.samples.media(rows)
    sample_ids = rows["sample_id"].to_pylist()
    paths = [files.path(i) for i in sample_ids]
    local = iter(media.known_headers([p for p in paths if p is not None]))
    return [
        next(local) if p is not None else media.read_header_of(files, i) for i, p in zip(sample_ids, paths, strict=True)
    ]


@dataclass
class _Labels:
    """A batch of labels on such samples, and boolean arrays for the three cases."""

    rows: pa.Table
    sizes: npt.NDArray[np.float64]  # the wrong [width, height] for each label
    orientations: npt.NDArray[np.int32]
    masked: Bools = field(init=False)  # with a mask of the stored size
    imported: Bools = field(init=False)  # with a position that did not come from a tool
    drawn: Bools = field(init=False)

    def __post_init__(self) -> None:
        mask = as_array(self.rows["mask"])
        size = pc.struct_field(mask, [0])
        stored = [as_mask(pc.equal(pc.list_element(size, n), pa.array(self.sizes[:, 1 - n]))) for n in (0, 1)]
        self.masked = stored[0] & stored[1] & (self.orientations > 4)
        placed = as_mask(mask.is_null())
        unknown = as_mask(self.rows["run"].is_null()) & as_mask(self.rows["tool"].is_null())
        self.imported, self.drawn = placed & unknown, placed & ~unknown


def _labels(stores: Stores, damaged: pa.Table, version: int | None = None) -> Iterator[_Labels]:
    ids = as_array(damaged["sample_id"])
    sizes = np.stack([damaged[n].to_numpy() for n in ("width", "height")], axis=1).astype(np.float64)
    for batch in stores.labels.scan_ours(_PLACED, version):
        at = pc.index_in(batch["sample_id"], value_set=ids)
        rows, at = pa.Table.from_batches([batch.filter(at.is_valid())]).combine_chunks(), at.drop_null().to_numpy()
        if rows.num_rows:
            yield _Labels(rows, sizes[at], damaged["orientation"].to_numpy()[at])


def _find(stores: Stores) -> Finding | None:
    damaged = _swapped(stores)
    if not damaged.num_rows:
        return None
    counts = {"imported": 0, "drawn": 0, "masked": 0}
    for part in _labels(stores, damaged):
        for name in counts:
            counts[name] += int(getattr(part, name).sum())
    first = tuple(damaged["sample_id"].slice(0, SHOWN).to_pylist())
    sentences = [
        f"{damaged.num_rows} samples, as {first[0]!r}, have width and height the wrong way round for the image as it is shown."
    ]
    theirs = stores.database.attachment is not None and "width" in stores.database.table("samples").schema.names
    sentences.append("They are columns of the attached table: correct them there." if theirs else "--repair sets them.")
    if counts["imported"]:
        sentences.append(
            f"{counts['imported']} labels on them came from no tool. If these came in pixels of the shown image, --pixel-labels "
            "rescale puts them in their place; keep, the default, leaves them as they are. Decide it with the repair: "
            "afterwards nothing tells these samples from others."
        )
    if counts["drawn"]:
        sentences.append(f"{counts['drawn']} labels from tools are right, and stay.")
    if counts["masked"]:
        sentences.append(f"{counts['masked']} masks of the stored pixels are turned.")
    return Finding("sizes", damaged.num_rows, " ".join(sentences), repairable=not theirs, ids=first)


def _repair(stores: Stores, options: Options) -> str:
    """Repair the labels in one commit, then the sizes.

    If the process ends in between, the next repair finds the commit by its token, and does not rescale a second time.
    """
    damaged = _swapped(stores)
    ids = damaged["sample_id"].to_pylist()
    token = f"doctor:{sha1(chr(10).join(sorted(ids)).encode()).hexdigest()}"  # noqa: S324 - a name, not a secret
    sentences = [f"{len(ids)} samples have the size of the shown image."]
    if stores.labels.find_commit(token, 0) is None:
        sentences += _repair_labels(stores, damaged, options.pixel_labels == "rescale", token)
    sizes = np.stack([damaged[n].to_numpy() for n in ("height", "width")], axis=1)
    stores.samples.set_sizes(ids, sizes)
    return " ".join(sentences)


def _repair_labels(stores: Stores, damaged: pa.Table, rescale: bool, token: str) -> Iterator[str]:
    version = stores.labels.version()
    streams = Streams({"scaled": OURS, "turned": OURS})
    leaving: set[str] = set()
    for part in _labels(stores, damaged, version):
        if rescale:
            leaving |= _scale(part, streams)
        streams.add("turned", _turned(part))
    streams.finish()
    kept = pa.array(sorted(leaving), pa.string())
    scaled = streams.table("scaled").select([*ROW_KEYS.names, "sample_id"])
    scaled = scaled.filter(pc.invert(pc.is_in(scaled["sample_id"], value_set=kept))).drop(["sample_id"])
    before = pa.concat_tables([scaled, streams.table("turned").select(scaled.column_names)])
    if before.num_rows:
        stores.labels.commit(version, before, _writes(streams, kept), token=token)
    if rescale:
        yield f"{scaled.num_rows} labels in pixels were rescaled."
        if leaving:
            yield f"The labels of {len(leaving)} samples, as {kept[0].as_py()!r}, stay: one of them would leave its image."
    if streams.rows["turned"]:
        yield f"{streams.rows['turned']} masks were turned."
    streams.close()


def _writes(streams: Streams, kept: pa.Array) -> Iterator[pa.RecordBatch]:
    for name in ("scaled", "turned"):
        for batch in streams.batches(name):
            rows = batch.filter(pc.invert(pc.is_in(batch["sample_id"], value_set=kept))) if name == "scaled" else batch
            rev = pc.add(rows["rev"], 1)
            yield pa.RecordBatch.from_arrays([rev if n == "rev" else rows[n] for n in LABELS.names], schema=LABELS)


def _scale(part: _Labels, streams: Streams) -> set[str]:
    """Add the imported labels of a part, rescaled, to the stream; returns the samples of which a label would leave its image."""
    rows, sizes = part.rows.filter(pa.array(part.imported)), part.sizes[part.imported]
    bad = np.zeros(rows.num_rows, bool)
    bad[sorted(validate.unstorable(rows))] = True  # an invalid shape cannot be rescaled
    unmoved = set(rows["sample_id"].filter(pa.array(bad)).to_pylist())
    rows, sizes = rows.filter(pa.array(~bad)).combine_chunks(), sizes[~bad]
    factors = sizes / sizes[:, ::-1]
    box = as_array(rows["bounding_box"])
    moved = box.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4) * np.tile(factors, 2)[as_mask(box.is_valid())]
    index = np.where(as_mask(box.is_valid()), np.cumsum(as_mask(box.is_valid())) - 1, 0)
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(moved.ravel()), 4)
    boxes = boxes.take(pa.array(index, mask=as_mask(box.is_null())))
    new = _with(_with(rows, "bounding_box", boxes), "points", _scaled(as_array(rows["points"]), factors))
    streams.add("scaled", new)
    return unmoved.union(new["sample_id"].take(pa.array(sorted(validate.unstorable(new)), pa.int64())).to_pylist())


def _scaled(parts: pa.ListArray, factors: npt.NDArray[np.float64]) -> pa.Array:
    rings = parts.flatten()
    owner = np.repeat(np.repeat(np.arange(len(parts)), list_lengths(parts)), list_lengths(rings))
    xy = rings.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 2) * factors[owner]
    points = pa.FixedSizeListArray.from_arrays(pa.array(xy.ravel()), 2)
    inner = pa.ListArray.from_arrays(_ends(rings), points)
    return pa.ListArray.from_arrays(_ends(parts), inner, mask=parts.is_null())


def _ends(lists: pa.Array) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(list_lengths(lists))]), pa.int32())


def _with(rows: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), OURS.field(name), column.cast(OURS.field(name).type))


def _turned(part: _Labels) -> pa.Table:
    """The labels with masks of the stored pixels, turned as the image is displayed."""
    at = np.flatnonzero(part.masked)
    rows = part.rows.take(pa.array(at))
    masks = [geometry.turn_rle(m, int(t)) for m, t in zip(rows["mask"].to_pylist(), part.orientations[at], strict=True)]
    boxes = [
        geometry.mask_box(mask) if box is not None else None
        for mask, box in zip(masks, rows["bounding_box"].to_pylist(), strict=True)
    ]
    return _with(
        _with(rows, "mask", pa.array(masks, LABELS.field("mask").type)),
        "bounding_box",
        pa.array(boxes, pa.list_(pa.float64(), 4)),
    )


SWAPPED_SIZES = Check("sizes", _find, _repair)
