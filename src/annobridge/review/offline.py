"""A review as one HTML file: the same page, with the data and crops of the pictures in it. It needs no server and no network.

Decisions are kept by the browser, and exported as a file for ``load_annotations(decisions=…)``.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.arrays import as_array
from ..display.progress import Progress, ProgressChoice
from ..exceptions import InvalidOption
from . import columns, crops, shapes
from .bundle import bundle
from .page_files import ENTRY, PAGE, STYLE, SUMMARY_STYLE, page_files
from .records import KnownChanges
from .reviewed import ReviewedPlan
from .summary import summary_html

MEGABYTES = 20.0
_LABELS = 0.5  # of the size: what labels may take; neighbours of changes are left out beyond it
_AT_ONCE = 64  # samples whose labels are read together
_UNCHANGED = "same"


@dataclass(frozen=True, slots=True)
class OfflineFile:
    """A review in a file.

    Attributes:
        path: the file.
        size: its bytes.
        changes, pictures: how many changes and pictures it has.
        left_out: how many pictures it does not have, to stay below the size.
        notes: what is to be told, as sentences; the page says it too.
    """

    path: Path
    size: int
    changes: int
    pictures: int
    left_out: int
    notes: tuple[str, ...]


def write(
    plan: ReviewedPlan,
    path: str | Path,
    dataset: str,
    megabytes: float = MEGABYTES,
    *,
    reviewer: str = "",
    progress: ProgressChoice = None,
) -> OfflineFile:
    """Write a review of a plan into a file.

    Args:
        plan: the plan.
        path: the file; one that is there is replaced.
        dataset: the dataset, as shown.
        megabytes: how large it may be, the page itself apart. The pictures of the riskiest changes come first.
        reviewer: the name of who decides, which the page can change.
        progress: as in ``annotate``.

    Raises:
        InvalidOption: the size is not positive, or the file cannot be written.
    """
    if not megabytes > 0:
        raise InvalidOption(f"A file of {megabytes} MB cannot be written; give a size above 0.")
    most = int(megabytes * 1e6)
    samples = columns.complete_samples(plan)
    ids = samples["sample_id"].to_pylist()
    objects = columns.sample_objects(samples)
    numbers = pc.index_in(plan.changes["sample_id"], value_set=as_array(samples["sample_id"])).to_pylist()
    changes = _json(columns.change_columns(plan.changes, pa.array(numbers, pa.int32())))
    most -= len(changes)
    labels, label_notes = _labels(plan, ids, int(_LABELS * most))
    videos = frozenset(n for n, sample in enumerate(objects) if sample["media"] == "video")
    wanted = list(crops.places(plan.changes, numbers, videos))
    left = most - sum(len(text) for text in labels.values())
    with Progress(progress, len(wanted), "cropping pictures", noun="pictures") as bar:
        cropper = crops.Cropper(plan.media(pa.array(ids, pa.string())), ids)
        images, left_out, unreadable = crops.fill(cropper, wanted, left, bar.advance)
    notes = [*plan.notes, *label_notes, *_picture_notes(left_out, len(wanted), megabytes, unreadable, objects)]
    known = KnownChanges(plan)
    data = columns.run_columns(plan.run, dataset, reviewer) | {
        "can_load": False, "can_send_back": False, "notes": notes, "samples": objects, "decisions": known.prior, "seq": 0,
    }  # fmt: skip
    members = ",".join(f'"{number}":{text}' for number, text in labels.items())
    text = f'{{"plan":{_json(data)[:-1]},"changes":{changes}}},"images":{_json(images)},"samples":{{{members}}}}}'
    summary = summary_html(plan, data["dataset"], [s["name"] for s in objects], numbers, notes)
    size = _save(Path(path), html_text(plan.run.anno_key, summary, text))
    return OfflineFile(
        Path(path), size, plan.changes.num_rows, len(wanted) - left_out - len(unreadable), left_out, tuple(notes)
    )


def html_text(title: str, summary: str, data: str) -> str:
    """The file: everything inline, and a policy that allows exactly this script and this style."""
    files = {name: content.decode() for name, content in page_files().items()}
    script = bundle({name: text for name, text in files.items() if name.endswith(".js")}, ENTRY)
    style = files[STYLE] + files[SUMMARY_STYLE]
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )
    body = _between(files[PAGE], "<body>", "<script")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{html.escape(title)} · annobridge review</title><style>{style}</style></head><body>\n{summary}\n{body}\n"
        f'<script type="application/json" id="data">{_in_script(data)}</script>\n<script type="module">{script}</script>\n'
        "</body></html>\n"
    )


def _labels(plan: ReviewedPlan, sample_ids: Sequence[str], most: int) -> tuple[dict[int, str], list[str]]:
    """The labels of each sample as JSON, by its number; where they are too many, without those that did not change."""
    changed, lines = _changed_frames(plan, sample_ids), shapes.edges(plan.run.schema)
    texts: dict[int, str] = {}
    size, bare = 0, 0
    for start in range(0, len(sample_ids), _AT_ONCE):
        part = list(sample_ids[start : start + _AT_ONCE])
        found = dict(shapes.by_sample(plan.shapes(pa.array(part, pa.string()))))
        for number, sample_id in enumerate(part, start):
            rows = shapes.to_objects(found[sample_id], lines) if sample_id in found else []
            rows = [row for row in rows if row["frame"] is None or row["frame"] in changed[number]]
            if size > most:
                rows, bare = [row for row in rows if row["side"] != _UNCHANGED], bare + 1
            texts[number] = _json({"labels": rows})
            size += len(texts[number])
    note = f"Labels that did not change are left out of {bare:,} images and videos, to keep the file small."
    return texts, [note] if bare else []


def _changed_frames(plan: ReviewedPlan, sample_ids: Sequence[str]) -> list[set[int]]:
    """The frames with changes of each sample."""
    frames: dict[str, set[int]] = {sample_id: set() for sample_id in sample_ids}
    for sample_id, frame in zip(
        plan.changes["sample_id"].to_pylist(), plan.changes["frame_number"].to_pylist(), strict=True
    ):
        frames[sample_id].add(frame)
    return [frames[sample_id] for sample_id in sample_ids]


def _picture_notes(
    left_out: int,
    total: int,
    megabytes: float,
    unreadable: Sequence[tuple[int, str]],
    samples: Sequence[dict[str, Any]],
) -> list[str]:
    notes = []
    if left_out:
        notes.append(
            f"{left_out:,} of {total:,} pictures, those of the least risky changes, are left out to keep the file below "
            f"{megabytes:g} MB; a larger one is made with --html-size MB."
        )
    if unreadable:
        number, reason = unreadable[0]
        notes.append(
            f"{len(unreadable):,} of {total:,} pictures cannot be shown. The first: {samples[number]['name']}: {reason}"
        )
    return notes


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _in_script(text: str) -> str:
    """JSON in which nothing ends the element that it is in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0].strip()


def _save(path: Path, text: str) -> int:
    data = text.encode()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InvalidOption(
            f"The file {str(path)!r} cannot be written ({error.strerror}); choose another place."
        ) from None
    return len(data)
