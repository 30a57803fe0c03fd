"""Send back: images that were finished wait for their labelers again, with one comment of at most 128 characters each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from annobridge.backend import Receipt, SentBack

from .api import Api

Row = Mapping[str, Any]
LONGEST = 128  # characters of a review comment
COMMENTED = frozenset({"COMPLETED", "SKIPPED"})  # states in which a review takes a comment
REVIEWED = frozenset({"REVIEWED", "REVIEWED_SKIP"})
_SEPARATOR = " · "


def send_back(api: Api, receipt: Receipt, refusals: pa.Table) -> SentBack:
    """Give the images of refusals back, with as many of the refusals as a comment can hold. The others are left out.

    An image that is finished gets the comment, and is WAITING_CHANGED. One that was reviewed already is WAITING_CHANGED too, but
    its review is over, so that it takes no comment. All others are with their labelers, and stay as they are.
    """
    state = receipt.state
    tasks = {t["taskId"]: t for t in api.tasks(state["project"])}
    by_sample = {s: tasks.get(t) for s, t in zip(state["samples"], state["tasks"], strict=True)}
    placed, existing = set[str](), set[str]()
    counts: dict[str, int] = defaultdict(int)
    for sample, rows in _by_sample(refusals).items():
        task = by_sample.get(sample)
        if task is None:
            counts["lost"] += 1
        elif task["labelTaskState"] in COMMENTED:
            comment, fitting = comment_of(rows)
            api.review_failed(task["taskId"], comment)
            placed |= fitting
            counts["back"] += 1
        elif task["labelTaskState"] in REVIEWED:
            api.wait_again(task["taskId"])
            counts["reviewed"] += 1
        else:
            existing |= _said(rows, task.get("reviewComment") or "")
            counts["open"] += 1
    left_out = [i for i in refusals["change_id"].to_pylist() if i not in placed and i not in existing]
    return SentBack(len(placed), len(existing), pa.array(left_out, pa.string()), tuple(_notes(counts, len(left_out))))


def comment_of(rows: Sequence[Row]) -> tuple[str, set[str]]:
    """The comment for an image, and the ids of the refusals that are in it as a whole.

    >>> comment_of([{"change_id": "a", "message": "Refused: class car → bus."}])[0]
    'Refused: class car → bus.'
    """
    fitting: list[Row] = []
    for n, row in enumerate(rows, 1):
        text = _joined([*fitting, row], len(rows) - n)
        if len(text) > LONGEST:
            break
        fitting.append(row)
    if not fitting:
        return f"{rows[0]['message'][: LONGEST - 1]}…", set()
    return _joined(fitting, len(rows) - len(fitting)), {row["change_id"] for row in fitting}


def _said(rows: Sequence[Row], comment: str) -> set[str]:
    """The ids of the refusals that are in a comment; several may have the same words."""
    left = Counter(comment.split(_SEPARATOR))
    found = set()
    for row in rows:
        if left[row["message"]]:
            left[row["message"]] -= 1
            found.add(row["change_id"])
    return found


def _joined(rows: Sequence[Row], more: int) -> str:
    return _SEPARATOR.join([*(row["message"] for row in rows), *([f"{more} more refused"] if more else [])])


def _by_sample(refusals: pa.Table) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in refusals.to_pylist():
        found[row["sample_id"]].append(row)
    return found


def _notes(counts: Mapping[str, int], left_out: int) -> list[str]:
    notes = {
        "back": "{} images at DataGym wait for their labelers again, with a comment.",
        "reviewed": "{} images at DataGym wait for their labelers again, without a comment, as their review was over.",
        "open": "{} images at DataGym are with their labelers, and stayed as they are: only finished ones take a comment.",
        "lost": "{} images are not at DataGym any more.",
    }
    found = [text.format(counts[name]) for name, text in notes.items() if counts[name]]
    if left_out:
        found.append(
            f"{left_out} refused changes have no place at DataGym, which takes {LONGEST} characters for each finished image."
        )
    return found
