"""The labels of some samples: their rows in Pixano's tables, put in the form that ``decode`` takes, and what it leaves open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.core import attributes
from annobridge.core.labels import REMOTE, conform

from .. import columns, values, wire
from ..arrays import Bools, bools, choose, each, find, first_rows, lengths, one, setting
from ..decode import decode
from . import shapes
from .rules import Rules
from .samples import STAND_IN

SPATIAL = {"bboxes": "bboxes", "masks": "masks", "multi_paths": "multi-paths", "keypoints": "keypoints"}
NEITHER = ("rev", "run", "tool", "annotator", "time", "remote_id")
_SEPARATOR = "\x1f"
_OURS = "annobridge"  # the template and the user that are written where there is none


@dataclass
class Told:
    """What was left out so far: counts by table, and a few ids."""

    orphans: Counter[str] = field(default_factory=Counter)
    corrupt: list[str] = field(default_factory=list)
    repeated: int = 0


def notes(told: Told) -> Iterator[str]:
    """A sentence for each kind of what was left out."""
    for table, rows in sorted(told.orphans.items()):
        if rows:
            yield f"{rows} of Pixano's {table} belong to no object or no image (it was deleted), and were left out."
    if told.corrupt:
        names = ", ".join(told.corrupt[:3]) + (" …" if len(told.corrupt) > 3 else "")
        yield f"{len(told.corrupt)} masks cannot be read ({names}), and were left out; draw them again in Pixano."
    if told.repeated:
        yield f"{told.repeated} annotations have the id of another one, and were given new ids."


@dataclass(frozen=True)
class Frame:
    """The samples of a part: their ids, records and sizes; ``single`` as in ``Samples``, ``pixels`` for keypoints."""

    first: int  # number of the first
    ids: pa.Array
    records: pa.Table
    sizes: shapes.Sizes
    single: bool
    pixels: bool


def labels(frame: Frame, given: Mapping[str, pa.Table], reference: pa.Table, rules: Rules, told: Told) -> pa.Table:
    """Rows with columns of ``LABELS``. ``given`` has the part's rows of each table, with the number of their ``sample``."""
    layout = replace(rules.layout, samples=_renamed(frame))
    owners = given["entities"]
    raw = {name: _owned(name, _sound(name, given[name], frame, told), owners, told) for name in SPATIAL}
    entities = _entities(frame, raw, owners, given["entity_dynamic_states"], rules)
    tables = {
        SPATIAL[name]: _pointed(rows, frame).select(wire.TABLES[SPATIAL[name]].names) for name, rows in raw.items()
    }
    tables |= {"entities": entities, "records": _records(frame, rules)}
    if layout.messages:
        said = _pointed(given["messages"], frame).select(wire.MESSAGES.names)
        tables["messages"] = said if len(reference) else _unsigned(said)
    found = decode(tables, layout, reference).labels.combine_chunks()
    found = _with_extras(found, raw, rules)
    found = _named(found, _places(frame, raw, owners), entities, tables, rules, told)
    return pa.concat_tables([found.drop_columns(list(NEITHER)), _classified(given["classifications"], frame)])


def _renamed(frame: Frame) -> dict[str, str]:
    """Record -> sample, where a sample is a record and has another id."""
    if not frame.single:
        return {}
    differ = pc.not_equal(frame.records["id"], frame.ids)
    ours, theirs = (one(x).filter(one(differ)).to_pylist() for x in (frame.ids, frame.records["id"]))
    return dict(zip(theirs, ours, strict=True))


def _sound(name: str, rows: pa.Table, frame: Frame, told: Told) -> pa.Table:
    """Rows in relative coordinates, without those that cannot be read."""
    if not len(rows):
        return rows
    sizes = frame.sizes[rows["sample"].to_numpy() - frame.first]
    if name == "bboxes":
        return shapes.relative_boxes(rows, sizes)
    if name == "keypoints" and frame.pixels:
        return shapes.relative_points(rows, sizes)
    if name == "masks" and (bad := shapes.corrupt(rows)).any():
        told.corrupt += rows["id"].filter(pa.array(bad)).to_pylist()
        return rows.filter(pa.array(~bad)).combine_chunks()
    return rows


def _owned(name: str, rows: pa.Table, owners: pa.Table, told: Told) -> pa.Table:
    """Rows whose entity exists."""
    kept = pc.is_in(rows["entity_id"], value_set=one(owners["id"]))
    if pc.all(kept, min_count=0).as_py():
        return rows
    told.orphans[name] += len(rows) - int(pc.sum(kept).as_py() or 0)
    return rows.filter(kept).combine_chunks()


def _pointed(rows: pa.Table, frame: Frame) -> pa.Table:
    """Rows of several samples per record name their sample as their record, and the entity as it is there."""
    if frame.single:
        return rows
    sample = frame.ids.take(pa.array(rows["sample"].to_numpy() - frame.first))
    if "entity_id" in rows.column_names:
        rows = setting(rows, entity_id=_here(rows))
    return setting(rows, record_id=sample)


def _here(rows: pa.Table) -> pa.Array:
    """Each row's entity in its sample."""
    return pc.binary_join_element_wise(one(rows["entity_id"]), one(rows["sample"]).cast(pa.string()), _SEPARATOR)


def _unsigned(messages: pa.Table) -> pa.Table:
    """Messages without the user that stands where there is none."""
    return setting(messages, user=pc.replace_substring_regex(one(messages["user"]), f"^{_OURS}$", ""))


def _records(frame: Frame, rules: Rules) -> pa.Table:
    held = {c.name: columns.held(frame.records[c.name], c.type) for c in rules.layout.records.values()}
    return pa.table({"id": frame.records["id"] if frame.single else frame.ids, **held})


def _entities(frame: Frame, raw: Mapping[str, pa.Table], owners: pa.Table, states: pa.Table, rules: Rules) -> pa.Table:
    """The entities; where records have several samples, each once for every sample that it is seen in."""
    ids, seen = owners["id"], owners
    if not frame.single:
        rows = pa.concat_tables([r.select(["entity_id", "sample"]) for r in raw.values()])
        rows = rows.group_by(["entity_id", "sample"]).aggregate([]).combine_chunks()
        ids, seen = _here(rows), owners.take(find(one(rows["entity_id"]), owners["id"]))
    held = {
        c.name: columns.held(seen[c.name], c.type)
        for c in rules.layout.attributes.values()
        if c.name in seen.column_names
    }
    for label_field, name in rules.unset:
        theirs = pc.equal(seen["label_field"], label_field)
        held[name] = pc.if_else(one(theirs), pa.scalar(None, held[name].type), held[name])
    at = find(one(ids), _here(states))
    for c in rules.states.values():  # what is so in this frame goes before what is always so
        now = columns.held(states[c.name], c.type).take(at)
        held[c.name] = choose(bools(at.is_valid()), now, held[c.name]) if c.name in held else now
    classes = one(seen[rules.classes]) if rules.classes else pa.repeat(pa.scalar(""), len(seen))
    ours = {n: one(seen[n]) for n in ("label_id", "label_field")} if rules.ours else {}
    return pa.table({**held, **ours, "id": one(ids), "category": classes})


# --- what decode leaves open ----------------------------------------------------------------------------------------


def _places(frame: Frame, raw: Mapping[str, pa.Table], owners: pa.Table) -> pa.Table:
    """Of each annotation: its entity, that entity in its sample, and for frames of a sequence the number of its track."""
    rows = pa.concat_tables(
        [r.select(["id", "entity_id", "sample", "frame_index"]) for r in raw.values()]
    ).combine_chunks()
    here = rows["entity_id"] if frame.single else _here(rows)
    framed = pc.greater_equal(rows["frame_index"], 0)
    track = _ordinals(owners).take(find(one(rows["entity_id"]), owners["id"]))
    track = pc.if_else(framed, track, pa.scalar(None, pa.int32()))
    return pa.table({"id": rows["id"], "entity": rows["entity_id"], "here": here, "track": track})


def _ordinals(owners: pa.Table) -> pa.Array:
    """The number of each entity within its record, from 1, in the order of the table."""
    codes = one(owners["record_id"]).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    out = np.empty(len(order), np.int32)
    out[order] = np.arange(len(order)) - np.repeat(starts, sizes) + 1
    return pa.array(out)


def _named(
    found: pa.Table, places: pa.Table, entities: pa.Table, tables: wire.Wire, rules: Rules, told: Told
) -> pa.Table:
    """New labels with their ids, fields, tracks, and the confidence of masks."""
    new = bools(found["label_id"].is_null())
    at = find(one(found["remote_id"]), places["id"])
    entity, track = (one(places[n]).take(at) for n in ("entity", "track"))
    here = one(places["here"]).take(at)
    owner = find(here, entities["id"])
    message = bools(pc.equal(found["kind"], "message"))
    ids = choose(message, one(found["remote_id"]), _label_ids(found, entity, track))
    default = each(one(found["kind"]), lambda kind: rules.fields.get(kind, rules.default_field), pa.string())
    if rules.ours:
        said, given = (one(entities[n]).take(owner) for n in ("label_field", "label_id"))
        default = choose(bools(pc.not_equal(said, "")), said, default)
        ids = choose(bools(pc.match_substring_regex(ids, STAND_IN)) & bools(pc.not_equal(given, "")), given, ids)
    masked = new & bools(pc.equal(found["kind"], rules.layout.mask_kind))
    return setting(
        found,
        label_id=_unrepeated(choose(new, ids, one(found["label_id"])), told),
        field=pc.coalesce(one(found["field"]), default),
        index=choose(new & ~message, track, one(found["index"])),
        confidence=_of_boxes(here, tables["bboxes"], one(found["confidence"]), masked),
    )


def _of_boxes(here: pa.Array, boxes: pa.Table, known: pa.Array, masked: Bools) -> pa.Array:
    """Confidences, those of masks from the boxes around them."""
    if not masked.any():
        return known
    sure = one(boxes["confidence"]).take(find(here, boxes["entity_id"]))
    return choose(masked, pc.if_else(pc.less(sure, 0.0), None, sure), known)


def _label_ids(found: pa.Table, entity: pa.Array, track: pa.Array) -> pa.Array:
    """The id of an entity that is one label, else that of the annotation; none for labels of the whole image."""
    counts = pc.value_counts(entity.drop_null())
    times = counts.field("counts").take(find(entity, counts.field("values")))
    alone = bools(pc.equal(times, 1)) & bools(track.is_null())
    return choose(alone, entity, pc.if_else(entity.is_valid(), one(found["remote_id"]), pa.scalar(None, pa.string())))


def _unrepeated(ids: pa.Array, told: Told) -> pa.Array:
    """The ids, each once: annotations of two tables may have the same one; those that come later get new ones."""
    known = ids.drop_null()
    if pc.count_distinct(known).as_py() == len(known):
        return ids
    first = np.zeros(len(ids), bool)
    first[np.flatnonzero(bools(ids.is_valid()))[first_rows(known).to_numpy()]] = True
    told.repeated += len(known) - int(first.sum())
    return pc.if_else(pa.array(first), ids, pa.scalar(None, pa.string()))


def _with_extras(found: pa.Table, raw: Mapping[str, pa.Table], rules: Rules) -> pa.Table:
    """New labels with the attributes of their annotations."""
    new = bools(found["label_id"].is_null())
    for table, extras in rules.extras.items():
        rows = raw[table]
        at = find(one(found["remote_id"]), rows["id"])
        where = new & bools(at.is_valid())
        if not where.any():
            continue
        changes = {}
        for name, c in extras.items():
            now = columns.held(rows[c.name], c.type)
            texts = values.decode(now, c.type)
            if c.type in ("str", "json", "list"):
                nothing = values.is_empty(now, c.type) | (
                    bools(pc.equal(now, _OURS)) if c.name == "template_id" else False
                )
                texts = pc.if_else(pa.array(nothing), None, texts)
            changes[name] = (where, values.structs(name, texts.take(at)))
        found = setting(found, attributes=attributes.replace(found["attributes"], changes))
    return found


def _classified(rows: pa.Table, frame: Frame) -> pa.Table:
    """Pixano's classifications: a label for each class."""
    size = lengths(one(rows["labels"]))
    at = pa.array(np.repeat(np.arange(len(rows)), size))
    nth = pa.array(np.arange(len(at)) - np.repeat(np.cumsum(size) - size, size))
    ids = one(rows["id"]).take(at)
    several = pa.array(size[at.to_numpy()] > 1)
    ids = pc.if_else(several, pc.binary_join_element_wise(ids, nth.cast(pa.string()), ":"), ids)
    sure = pc.list_flatten(one(rows["confidences"]))
    sure = sure if len(sure) == len(at) else pa.nulls(len(at), pa.float64())
    found = pa.table(
        {
            "label_id": ids,
            "sample_id": frame.ids.take(pa.array(rows["sample"].to_numpy()[at.to_numpy()] - frame.first)),
            "label": pc.list_flatten(one(rows["labels"])),
            "confidence": pc.if_else(pc.less(sure, 0.0), None, sure),
        }
    )
    whole = conform(found, REMOTE, field="classifications", kind="classification", remote_id="")
    return whole.drop_columns(list(NEITHER))
