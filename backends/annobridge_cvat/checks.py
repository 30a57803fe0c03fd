"""Checks before anything is sent: what CVAT cannot store, as sentences that say how to correct it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Task
from annobridge.backend.kit import FlatPoints, rows_problem, value_problem
from annobridge.core import attributes as lists
from annobridge.core.arrays import Bools, any_of, as_array, as_mask, list_lengths, not_null, points_known
from annobridge.core.schema import Attribute, FieldSchema, LabelSchema

from . import media, values
from .config import CvatConfig
from .connect import Version
from .vocabulary import MAX_NAME, VALUE, Vocabulary

_TYPES = {"occluded": ("checkbox",), "group": ("int",), "z_order": ("int",), "source": ("text", "select", "radio")}
REPLICAS_SINCE: Version = (2, 27, 0)
SOURCES = ("manual", "auto", "semi-auto", "file", "consensus")


def schema_problems(schema: LabelSchema, samples: pa.Table, config: CvatConfig) -> Iterator[str]:
    """Problems of the schema and the options."""
    yield from _options(schema, config)
    kinds = set(pc.unique(samples["media_type"]).to_pylist())
    yield from _files(samples, config, kinds)
    for spec in schema.fields.values():
        if "video" in kinds and not spec.in_video:
            yield f"{spec.name}: CVAT labels the frames of videos; name the field 'frames.{spec.name}', or leave videos out."
        if spec.in_video and kinds != {"video"}:
            yield f"{spec.name}: is a field of frames, and not all samples are videos; leave the images out of the view."
        yield from _field(spec)
    for entry in Vocabulary.of(schema, config.builtin()).entries:
        if entry.name != entry.name.strip():
            yield f"The label {entry.name!r} begins or ends with a space, which CVAT does not keep; leave it out."
        if len(entry.name) > MAX_NAME:
            yield f"The label {entry.name!r} has {len(entry.name)} characters, and CVAT takes {MAX_NAME}; shorten it."


def server_problems(version: Version, config: CvatConfig) -> Iterator[str]:
    """Options that a server of this version does not have, and would ignore without a word."""
    if config.consensus_replicas and version < REPLICAS_SINCE:
        yield (
            f"consensus_replicas: the server is CVAT {version[0]}.{version[1]}, and replicas came with "
            f"{REPLICAS_SINCE[0]}.{REPLICAS_SINCE[1]}; upgrade it, or send a run to each person."
        )


def _files(samples: pa.Table, config: CvatConfig, kinds: set[str]) -> Iterator[str]:
    if config.media == "upload" or (config.media != "archive" and config.media_root is None):
        return
    if config.media == "archive" and "video" in kinds:
        yield "media='archive' is for images; send videos with media='upload'."
    counts = pc.value_counts(samples["filepath"]).to_pylist()
    if twice := [c["values"] for c in counts if c["counts"] > 1]:
        yield f"The file {twice[0]!r} is that of several samples; with media={config.media!r}, give each its own."
    if bad := media.outside(samples, config):
        yield (
            f"The file {bad[0]!r} is not below media_root={config.media_root!r}, so the server cannot find it; correct "
            "media_root, or send the files with media='upload'."
        )


def _options(schema: LabelSchema, config: CvatConfig) -> Iterator[str]:
    names = {a for spec in schema.fields.values() for a in spec.all_attributes()}
    for name, key in config.builtin().items():
        option = f"{'group_id' if key == 'group' else key}_attr"
        if name not in names:
            yield f"{option} names {name!r}, which is an attribute of no field; add it to the attributes of a field."
            continue
        types = {a.type for spec in schema.fields.values() for a in spec.definitions() if a.name == name}
        if not types <= set(_TYPES[key]):
            yield f"{option}: {name!r} is {', '.join(sorted(types))}; make it {' or '.join(_TYPES[key])}."
    if config.job_reviewers:
        yield "job_reviewers: CVAT 2 has no reviewers; give the jobs to them with job_assignees, or set the stage there."
    replicas, people = config.consensus_replicas or 0, len(set(config.job_assignees))
    if 0 < people < replicas:
        yield (
            f"job_assignees has {people} users, and consensus_replicas={replicas} needs at least {replicas}, so that nobody gets "
            "an image twice; name more, or none."
        )
    if config.media in ("share", "cloud") and config.media_root is None:
        yield f"media={config.media!r} needs media_root, the folder of the dataset's files that is the server's storage."
    if config.media == "cloud" and config.cloud_storage_id is None:
        yield "media='cloud' needs cloud_storage_id, the number of the cloud storage in CVAT."
    if config.project_id is not None and config.project_name is not None:
        yield "project_id and project_name are both given; give one of them."


def _field(spec: FieldSchema) -> Iterator[str]:
    if spec.type == "skeletons" and spec.skeleton is None:
        yield (
            f"{spec.name}: CVAT needs the names of a skeleton's points; add 'skeleton': {{'labels': ['head', 'foot'], "
            "'edges': [[0, 1]]}}."
        )
    for a in spec.definitions():
        where = f"{spec.name}.attributes.{a.name}"
        if a.name != a.name.strip():
            yield f"{where}: begins or ends with a space, which CVAT does not keep; leave it out."
        if len(a.name) > values.MAX_NAME:
            yield f"{where}: has {len(a.name)} characters, and CVAT takes {values.MAX_NAME}; shorten the name."
        if len("\n".join(values.definition(a)["values"])) > values.MAX_VALUE:
            yield f"{where}: its choices are together longer than CVAT's {values.MAX_VALUE} characters; make it a text."
        choices = [values.encode(a, None, v) for v in a.values] if values.input_type(a) in ("select", "radio") else []
        if any("\n" in choice for choice in choices) or len(set(choices)) < len(choices):
            yield f"{where}: has choices of several lines, or that only spaces tell apart, which CVAT does not keep; rename them."
        if len(values.encode(a, None, a.default)) > values.MAX_DEFAULT:
            yield f"{where}: its default is longer than CVAT's {values.MAX_DEFAULT} characters; shorten it."


def task_problems(task: Task, config: CvatConfig) -> Iterator[str]:
    """Problems of the labels of a task: values, shapes and tracks."""
    labels = task.labels.combine_chunks()
    yield from _values(task.schema, labels, config)
    yield from _shapes(labels)
    yield from _skeletons(task.schema, labels)
    yield from _tracks(task.schema, labels)


def _values(schema: LabelSchema, labels: pa.Table, config: CvatConfig) -> Iterator[str]:
    for spec in schema.fields.values():
        rows = labels.filter(pc.equal(labels["field"], spec.name))
        if spec.type == "scalar":
            yield from _lengths(spec.name, rows["value"])
            if spec.classes:
                yield from value_problem(spec.name, None, rows["value"], partial(values.misfit, spec.value))
        for name in spec.all_attributes():
            column = lists.values(rows["attributes"], name)
            texts = pc.unique(column.drop_null()).to_pylist()
            found = [
                problem
                for a, holders in lists.definitions(spec, name, rows["label"])
                for problem in value_problem(
                    spec.name, name, column.filter(pa.array(holders)), partial(values.misfit, a)
                )
            ]
            yield from found[:1]
            if name == config.source_attr and (bad := [t for t in texts if json.loads(t) not in SOURCES]):
                yield f"{spec.name}: some labels have {name} = {bad[0]}; CVAT knows {', '.join(SOURCES)}."


def _lengths(field: str, texts: pa.ChunkedArray) -> Iterator[str]:
    plain = Attribute(VALUE, "text")
    longest = max((len(values.encode(plain, t)) for t in pc.unique(texts).drop_null().to_pylist()), default=0)
    if longest > values.MAX_VALUE:
        yield f"{field}: a {VALUE} has {longest} characters, and CVAT keeps {values.MAX_VALUE}; shorten it."


def _shapes(labels: pa.Table) -> Iterator[str]:
    points, is_tracked = as_array(labels["points"]), not_null(labels["index"])
    has_none, has_several = points_known(points) == 0, list_lengths(points) > 1

    def is_kind(*kinds: str) -> Bools:
        return as_mask(pc.is_in(labels["kind"], pa.array(kinds)))

    yield from rows_problem(
        labels, is_kind("keypoints") & has_none, "keypoints of which none is there; delete them, or give a point."
    )
    yield from rows_problem(
        labels,
        is_kind("skeleton") & is_tracked & has_none,
        "tracked skeletons of which no point is there; delete them, or give a point.",
    )
    yield from rows_problem(
        labels,
        is_kind("keypoints", "skeleton", "cuboid") & has_several,
        "several parts, which CVAT has for polygons and polylines only; split them.",
    )
    yield from rows_problem(
        labels,
        is_kind("cuboid") & not_null(points) & (FlatPoints.of(points).counts() != 8),
        "cuboids without eight corners; give eight points.",
    )
    yield from rows_problem(
        labels,
        is_kind("classification", "scalar", "segmentation") & is_tracked,
        "an index, and CVAT has no tracks of tags or segmentations; clear the index.",
    )
    yield from rows_problem(
        labels,
        is_kind("polygon", "polyline") & is_tracked & has_several,
        "tracked shapes of several parts, which CVAT cannot follow; send each part as a label of its own.",
    )


def _skeletons(schema: LabelSchema, labels: pa.Table) -> Iterator[str]:
    for spec in schema.fields.values():
        if spec.skeleton is not None:
            size, counts = len(spec.skeleton.labels), FlatPoints.of(labels["points"]).counts()
            wrong = as_mask(pc.equal(labels["field"], spec.name)) & (counts != size)
            yield from rows_problem(
                labels, wrong, f"skeletons that do not have the {size} points of the schema; correct them."
            )


def _tracks(schema: LabelSchema, labels: pa.Table) -> Iterator[str]:
    rows = labels.filter(pc.is_valid(labels["index"]))
    if not rows.num_rows:
        return
    key = ["field", "label", "index", "sample_id", "frame_number"]
    counted = rows.group_by(key).aggregate([([], "count_all")])
    twice = counted.filter(pc.greater(counted["count_all"], 1))
    if twice.num_rows:
        first = twice.slice(0, 1).to_pylist()[0]
        where = f"frame {first['frame_number']} of " if first["frame_number"] else ""
        yield (
            f"{first['field']}: the track {first['index']} has two {first['label']!r} in {where}sample {first['sample_id']!r}; "
            "give each object an index of its own."
        )
    # In a video, a track is within one sample; without frame numbers, it is over the images.
    track = ["field", "label", "index"] + (["sample_id"] if not_null(rows["frame_number"]).any() else [])
    for spec in schema.fields.values():
        own = rows.filter(pc.equal(rows["field"], spec.name))
        for name in spec.all_attributes():
            column = pa.chunked_array([lists.values(own["attributes"], name)])
            fixed = any_of(
                (held for a, held in lists.definitions(spec, name, own["label"]) if not a.mutable), own.num_rows
            )
            by_track = own.select(track).append_column("value", column).filter(pa.array(fixed)).group_by(track)
            counts = by_track.aggregate([("value", "count_distinct", pc.CountOptions(mode="all"))])
            if pc.any(pc.greater(counts["value_count_distinct"], 1)).as_py():
                yield f"{spec.name}.attributes.{name}: changes within a track; give the attribute 'mutable': True."
