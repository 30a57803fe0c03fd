"""The schemas of the tables of a dataset."""

from __future__ import annotations

import pyarrow as pa

from ..core.labels import BASELINE, LABELS, REVIEWED, SAMPLES, TIME
from ..core.merge.output import WRITES
from ..core.review.decisions import DECISIONS

RUNS = pa.schema(
    [
        pa.field("anno_key", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),  # sending | sent
        pa.field("backend", pa.string(), nullable=False),
        pa.field("label_schema", pa.string(), nullable=False),  # JSON, resolved
        pa.field("options", pa.string(), nullable=False),  # JSON, never a credential
        pa.field("view", pa.string(), nullable=False),  # JSON, the stages of the view
        pa.field("labels_version", pa.int64(), nullable=False),  # of ``labels``, when the run was sent
        pa.field("loads", pa.string(), nullable=False),  # JSON, the history of loads
        pa.field("created", TIME, nullable=False),
        pa.field("updated", TIME, nullable=False),
        pa.field("rev", pa.int64(), nullable=False),
    ]
)
TASKS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("sample_ids", pa.list_(pa.string()), nullable=False),
    ]
)
RECEIPTS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),  # JSON, private to the backend
    ]
)
CHANGES = pa.schema(
    [
        *(f.with_nullable(True) for f in WRITES),  # of a label that was added, only what tells which it is
        pa.field("run_id", pa.string()),
        pa.field("load", pa.int32()),
    ]
)
SAMPLE_STATES = pa.schema(
    [
        *REVIEWED,
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("seen", TIME, nullable=False),  # when a load was told so
    ]
)
MARKS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("mark", pa.string(), nullable=False),  # ``Status.mark`` when the task was loaded
        pa.field("time", TIME, nullable=False),
    ]
)
ANSWERED = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),  # that an annotator's answer went to
        pa.field("sample_id", pa.string(), nullable=False),
    ]
)
PUSHES = BASELINE  # what a push is about to change in the tool; ``load`` is the number of the push
RECORDED = pa.schema([*DECISIONS, pa.field("load", pa.int32(), nullable=False)])
LEASES = "annotation_leases"  # a table without rows: leases are entries in its configuration, see ``lease``
FILES = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("size", pa.int64()),  # bytes
        pa.field("fingerprint", pa.int64()),  # see ``fingerprints``; null for files of other places
    ]
)
SIZES = pa.schema([SAMPLES.field(n) for n in ("sample_id", "width", "height")])
SCHEMAS = {
    "samples": SAMPLES,
    "labels": LABELS,
    "annotation_runs": RUNS,
    "annotation_tasks": TASKS,
    "annotation_receipts": RECEIPTS,
    "annotation_baseline": BASELINE,
    "annotation_changes": CHANGES,
    "annotation_decisions": RECORDED,
    "annotation_files": FILES,
    "annotation_sample_states": SAMPLE_STATES,
    "annotation_marks": MARKS,
    "annotation_pushes": PUSHES,
    "annotation_answered": ANSWERED,
    LEASES: pa.schema([pa.field("name", pa.string())]),
}
# Tables that datasets of earlier versions lack; made when they are needed
LATER = (
    "annotation_decisions", "annotation_files", "annotation_sample_states", "annotation_marks", "annotation_pushes",
    "annotation_answered", LEASES,
)  # fmt: skip
