"""Labels of a schema as results of Label Studio, and back."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core import attributes
from ...core.arrays import as_array, as_mask, choose, equal, map_distinct, replace_values, set_columns
from ...core.checks.problems import rows_problem, value_problem
from ...core.checks.repeats import repeated
from ...core.geometry import Mask, decode_rle, encode_rle, mask_box
from ...core.json_values import same
from ...core.labels import ATTRIBUTE, MASK, REMOTE, conform
from ...core.rows import VALUE_TYPES
from ...core.schema import Attribute
from ..common.items import Shapes
from ..common.paint import attributes_of
from ..common.report import ReadReport
from . import answers, results
from .encode import (
    Region,
    answer,
    answers_of,
    as_vector,
    region_id,
    result,
    size_of,
    values_of,
    with_own,
)  # fmt: skip
from .label_config import Controls
from .layout import SHAPED, Layout, typed

_ONE = {"classification", "scalar"}  # the types with one label for each image, known by their control
_AS = {
    ("polylines", "polygon"): "polyline",
    ("segmentation", "mask"): "segmentation",
    ("scalar", "classification"): "scalar",
}
_OURS = {"meta", "group", "score"}  # what the reader of results makes attributes of, and no control asks for
_LARGEST = 1 << 53
_BETWEEN = "\n"  # of a control and a class in a remote id


Row = dict[str, Any]


class Encoded(NamedTuple):
    """The labels of an image: their results, and the id of each label by the id that it is known by when it comes back."""

    results: list[Region]
    label_ids: dict[str, str]


def encode(rows: Iterable[dict[str, Any]], layout: Layout, found: Controls, size: Mapping[str, Any]) -> Encoded:
    """The labels of one image.

    Args:
        rows: of ``LABELS``.
        layout: of the run.
        found: the controls of the project.
        size: of the image, as ``size_of`` has it.
    """
    made = Encoded([], {})
    chosen: dict[str, Region] = {}  # by the control of classes of the image
    image = next(iter(found.images))
    for number, row in enumerate(rows):
        spec, control, id_ = layout.schema.fields[row["field"]], layout.control(row["field"]), region_id(row, number)
        if spec.type in SHAPED:
            made.results.extend(_regions(row, id_, layout, found, size, image))
        elif spec.type == "scalar":
            tag = found.tags[control]
            value = answer(tag, json.loads(row["value"]))
            made.results.append(result(row, id_, control, tag, image) | {"value": value})
            id_ = control
        else:
            if control not in chosen:
                chosen[control] = result(row, id_, control, "choices", image) | {"value": {"choices": []}}
                made.results.append(chosen[control])
            chosen[control]["value"]["choices"].append(row["label"])
            id_ = control if spec.type in _ONE else f"{control}{_BETWEEN}{row['label']}"
        made.label_ids.setdefault(id_, row["label_id"])
    return made


def _regions(
    row: dict[str, Any], id_: str, layout: Layout, found: Controls, size: Mapping[str, Any], image: str
) -> Iterator[Region]:
    control = layout.control(row["field"])
    type_ = found.tags[control]
    asked = {}
    for name, value in attributes_of(row).items():
        asking = layout.control(row["field"], name)
        if value != [] and asking in found.tags:  # Label Studio does not know an empty list from none
            asked[asking] = found.tags[asking], value
    for at, (value, own) in enumerate(values_of(row, size, id_, lambda row: row["points"], joined=True)):
        part = id_ if at == 0 else f"{id_}-{at + 1}"
        if type_ == "vectorlabels":  # people can close it
            value, own = as_vector(value, bool(row["closed"])), {key: own[key] for key in own if key != "closed"}
        region = {**result(row, part, control, type_, image), **size}
        region["value"] = {**value, type_: [row["label"]] if row["label"] else []}
        yield with_own(region, own)
        yield from answers_of(region, asked if at == 0 else {})


def encode_all(labels: pa.Table, samples: pa.Table, layout: Layout, found: Controls) -> dict[str, Encoded]:
    """The labels of each sample that has any; see ``encode``."""
    sizes = sizes_of(samples)
    return {sample: encode(rows, layout, found, sizes[sample]) for sample, rows in by_sample(labels).items()}


def by_sample(labels: pa.Table) -> dict[str, list[Row]]:
    """The rows of each sample."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in labels.to_pylist():
        found[row["sample_id"]].append(row)
    return found


def read(
    given: Sequence[Any],
    item: int,
    place: str,
    shapes: Shapes,
    report: ReadReport,
    who: str | None = None,
    time: datetime | None = None,
) -> None:
    """Read the results of one annotation into ``SHAPES``, whose roles are controls, as labels of the image with a number."""
    one = results.Annotation(list(given), place, annotator=who, time=time, by_control=True, seen=set())
    results.add(one, [item], shapes, report)


def decode_all(given: Mapping[str, Sequence[Any]], layout: Layout) -> pa.Table:
    """The labels (``REMOTE``) of the results of each sample."""
    shapes = Shapes()
    for number, (sample, found) in enumerate(given.items()):
        read(found, number, sample, shapes, ReadReport())
    return decode(shapes.take(), pa.array(list(given), pa.string()), layout)


def as_returned(made: Mapping[str, Encoded], layout: Layout) -> pa.Table:
    """What was encoded (``REMOTE``), as it comes back while nobody touches it, with the ids that the labels have here."""
    found = decode_all({sample: one.results for sample, one in made.items()}, layout)
    keys = zip(found["sample_id"].to_pylist(), found["remote_id"].to_pylist(), strict=True)
    return set_columns(found, label_id=pa.array([made[sample].label_ids.get(id_) for sample, id_ in keys], pa.string()))


def replace_all(
    given: Mapping[str, Sequence[Any]],
    new: pa.Table,
    deleted: pa.Table,
    samples: pa.Table,
    layout: Layout,
    found: Controls,
) -> dict[str, Encoded]:
    """The results of each sample after some labels were written or deleted; see ``replaced``.

    Args:
        given: the results of the samples until now.
        new: labels to write (``REMOTE``, in any order of columns).
        deleted: labels to delete (``REMOTE``).
        samples: their samples.
        layout: of the run.
        found: the controls of the project.
    """
    sizes, rows, gone = sizes_of(samples), by_sample(new), by_sample(deleted)
    there = by_sample(decode_all(given, layout))
    return {
        sample: replaced(
            results, there.get(sample, ()), rows.get(sample, ()), {row["remote_id"] for row in gone.get(sample, ())},
            layout, found, sizes[sample],
        )
        for sample, results in given.items()
    }  # fmt: skip


def sizes_of(samples: pa.Table) -> dict[str, dict[str, Any]]:
    """The size of each sample, as ``size_of`` has it."""
    columns = (samples[name].to_pylist() for name in ("sample_id", "width", "height"))
    return {sample: size_of(width, height) for sample, width, height in zip(*columns, strict=True)}


def replaced(
    results: Sequence[Any],
    there: Sequence[Row],
    new: Sequence[Row],
    deleted: set[str],
    layout: Layout,
    found: Controls,
    size: Mapping[str, Any],
) -> Encoded:
    """The results of an image after some labels were written or deleted; all others stay as they are.

    Args:
        results: until now.
        there: its labels (``REMOTE``), which are in ``results``.
        new: labels to write (``REMOTE``); one that has a ``remote_id`` takes the place of that label.
        deleted: the ``remote_id`` of each label to delete.
        layout: as ``encode`` takes it.
        found: likewise.
        size: likewise.
    """
    replaced_ids = deleted | {row["remote_id"] for row in new if row["remote_id"] is not None}
    of_image = [
        row
        for row in there
        if row["field"] in layout.schema.fields and layout.schema.fields[row["field"]].type not in SHAPED
    ]
    concerned = {row["field"] for row in of_image if row["remote_id"] in replaced_ids} | {row["field"] for row in new}
    # The classes of a field of the image are one result, so all of them are written again.
    others = [row for row in of_image if row["field"] in concerned and row["remote_id"] not in replaced_ids]
    rows = [*others, *new]
    made = encode((row | {"label_id": row["remote_id"] or row["label_id"]} for row in rows), layout, found, size)
    controls = {layout.control(name) for name in concerned if layout.schema.fields[name].type not in SHAPED}
    kept = [
        r for r in results if r.get("from_name") not in controls and whole_id(str(r.get("id")), replaced_ids) is None
    ]
    own = {row["remote_id"] or row["label_id"]: row["label_id"] for row in new}
    return Encoded([*kept, *made.results], {id_: own[label] for id_, label in made.label_ids.items() if label in own})


def whole_id(id_: str, wholes: Container[str]) -> str | None:
    """Which of the ids of labels a region belongs to: its own, or the one that it is a numbered part of."""
    return next((one for one in (id_, id_.rpartition("-")[0]) if one in wholes), None)


def decode(shapes: pa.Table, sample_ids: pa.Array, layout: Layout) -> pa.Table:
    """``SHAPES``, whose roles are controls, as ``REMOTE``. Labels of controls that are not ours are in a field called as these."""
    rows = shapes.combine_chunks()
    control, kind = as_array(rows["role"]), as_array(rows["kind"])
    types = map_distinct(control, lambda c: layout.fields[c].type if c in layout.fields else "", pa.string())
    field = map_distinct(control, lambda c: layout.fields[c].name if c in layout.fields else c, pa.string())
    for (type_, before), after in _AS.items():
        kind = pc.if_else(pa.array(equal(types, type_) & equal(kind, before)), after, kind)
    label, line = as_array(rows["label"]), equal(kind, "polyline")
    value = _scalars(field, label, as_array(rows["value"]), equal(kind, "scalar"), layout)
    whole = as_mask(pc.is_in(kind, pa.array(["classification", "scalar"])))
    one = as_mask(pc.is_in(types, pa.array(sorted(_ONE))))
    of_class = pc.binary_join_element_wise(control, pc.fill_null(label, ""), _BETWEEN)
    of_region = pc.coalesce(
        rows["label_id"], pc.binary_join_element_wise(rows["place"], pc.fill_null(label, ""), _BETWEEN)
    )
    columns = {
        "sample_id": sample_ids.take(rows["item"]), "field": field, "kind": kind, "value": value,
        "remote_id": pc.if_else(pa.array(whole & one), control, pc.if_else(pa.array(whole), of_class, as_array(of_region))),
        "label": pc.if_else(equal(kind, "scalar"), None, label),
        "filled": pc.if_else(line, False, as_array(rows["filled"])),
        "bounding_box": _boxes(rows, equal(kind, "mask")),
        "attributes": _attributes(rows["attributes"], layout), "label_id": pa.nulls(len(rows), pa.string()),
    }  # fmt: skip
    rest = {name: rows[name] for name in rows.column_names if name in REMOTE.names}
    return _joined(conform(pa.table(rest | columns), REMOTE))


def _joined(labels: pa.Table) -> pa.Table:
    """Regions of one class, in a field that has one mask for each class of an image, as one label: the first, with all pixels."""
    of_maps, key = equal(labels["kind"], "segmentation"), ["sample_id", "field", "label", "kind"]
    again = repeated(labels, ["sample_id"], key) & of_maps
    if not again.any():
        return labels
    pixels: dict[tuple[str, ...], Mask] = {}
    names = [tuple(row.values()) for row in labels.select(key).to_pylist()]
    for name, rle in zip(names, labels["mask"].to_pylist(), strict=True):
        if name[-1] == "segmentation":
            found = decode_rle(rle)
            before = pixels.get(name, found)
            pixels[name] = before | found if before.shape == found.shape else before
    masks = pa.array([encode_rle(pixels[name]) if name in pixels else None for name in names], MASK)
    return set_columns(labels, mask=choose(of_maps, masks, labels["mask"])).filter(pa.array(~again))


def _boxes(rows: pa.Table, of_masks: np.ndarray) -> pa.Array:
    """The boxes of labels; those of masks are around their pixels."""
    boxes, at = as_array(rows["bounding_box"]), np.flatnonzero(of_masks)
    if not len(at):
        return boxes
    around = dict(zip(at.tolist(), (mask_box(rle) for rle in rows["mask"].take(pa.array(at)).to_pylist()), strict=True))
    return choose(of_masks, pa.array([around.get(n) for n in range(len(rows))], boxes.type), boxes)


def _scalars(field: pa.Array, label: pa.Array, value: pa.Array, where: np.ndarray, layout: Layout) -> pa.Array:
    """The values of scalars, in the types of their fields; a choice is the label of its row."""
    at = np.flatnonzero(where)
    columns = (column.take(pa.array(at)).to_pylist() for column in (field, label, value))
    texts = [
        typed(layout.scalar(name), choice if text is None else json.loads(text))
        if name in layout.schema.fields
        else text
        for name, choice, text in zip(*columns, strict=True)
    ]
    return replace_values(value, at, pa.array(texts, pa.string()))


def _attributes(column: pa.ChunkedArray, layout: Layout) -> pa.ListArray:
    """Attributes that are called after controls, with the names and types of the schema."""
    rows, flat = attributes.flattened(column)
    kept = as_mask(pc.invert(pc.is_in(flat.field("name"), pa.array(sorted(_OURS - layout.attributes.keys())))))
    rows, flat = rows[kept], flat.filter(pa.array(kept))
    names, values = flat.field("name"), flat.field("value")

    def as_typed(both: str) -> str:
        name, _, text = both.partition(_BETWEEN)
        return typed(layout.attributes[name], json.loads(text)) if name in layout.attributes else text

    texts = map_distinct(pc.binary_join_element_wise(names, values, _BETWEEN), as_typed, pa.string())
    types = map_distinct(texts, lambda text: VALUE_TYPES.get(type(json.loads(text)), "json"), pa.string())
    known = map_distinct(names, lambda n: layout.attributes[n].name if n in layout.attributes else n, pa.string())
    made = pa.StructArray.from_arrays([known, types, texts], fields=list(ATTRIBUTE))
    return attributes.build(rows, made, len(column))


def misfits(labels: pa.Table, samples: pa.Table, layout: Layout, found: Controls) -> Iterator[str]:
    """Values of labels that would come back as others, and labels without a place, a sentence each."""
    labels = labels.combine_chunks()
    for spec in layout.schema.fields.values():
        rows = labels.filter(pa.array(equal(labels["field"], spec.name)))
        if spec.type == "scalar":
            yield from value_problem(
                spec.name, None, rows["value"], _misfit(found.tags[layout.control(spec.name)], layout.scalar(spec.name))
            )
        for one in spec.definitions() if spec.type in SHAPED else ():
            texts = attributes.values(rows["attributes"], one.name)
            control = layout.control(spec.name, one.name)
            yield from value_problem(spec.name, one.name, texts, _misfit(found.tags[control], one))
    sizes = samples.filter(pc.or_(pc.is_null(samples["width"]), pc.is_null(samples["height"])))
    unknown = as_mask(pc.is_in(labels["sample_id"], value_set=as_array(sizes["sample_id"])))
    yield from rows_problem(
        labels, unknown, "on images of unknown size, which Label Studio needs; set their width and height."
    )


def _misfit(tag: str, attribute: Attribute) -> Callable[[str], str | None]:
    """Says of a JSON text why it would not come back from a control; ``None`` if it would."""

    def misfit(text: str) -> str | None:
        value = json.loads(text)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if tag in ("number", "rating") and not is_number:
            return "is no number"
        if is_number and abs(value) > _LARGEST:
            return "is larger than the page of Label Studio can hold"
        back = answers.attribute(tag, answer(tag, value))
        survives = value == [] or (back is not None and same(json.loads(typed(attribute, back)), value))
        return None if survives else "would come back as another"

    return misfit
