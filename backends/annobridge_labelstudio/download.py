"""Loading: the annotation of each image that counts, as labels, and what people have done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from annobridge.backend import Download, Receipt
from annobridge.core.labels import REMOTE, REVIEWED
from annobridge.exceptions import Gone
from annobridge.formats.common.items import Shapes
from annobridge.formats.common.report import ReadReport
from annobridge.formats.labelstudio import codec
from annobridge.formats.labelstudio.layout import Layout
from annobridge.formats.labelstudio.tasks import time_of

from .api import Api, Json
from .choice import Candidate, choose
from .config import LabelStudioConfig

ANNOTATED, SKIPPED, TO_DO = "annotated", "skipped", "to do"  # the states of an image


def state_of(task: Json, state: Mapping[str, Any]) -> str:
    """What people have done with a task, by its annotations, or else by its counts. A push of ours is not their work."""
    given = task.get("annotations")
    submitted = task["total_annotations"] if given is None else sum(not one["was_cancelled"] for one in given)
    skipped = task["cancelled_annotations"] if given is None else len(given) - submitted
    ours = state.get("pushed", {}).get(str(task["id"])) == task["updated_at"]
    is_new = bool(task["updated_by"]) or state.get("predictions") or state.get("adopted")
    if submitted and is_new and not ours:
        return ANNOTATED
    return SKIPPED if skipped and not submitted else TO_DO


def download(api: Api, config: LabelStudioConfig, receipt: Receipt) -> Download:
    """All labels of a task now."""
    state, baseline = receipt.state, receipt.baseline
    people, layout, shapes, report = api.users(), Layout.from_state(state), Shapes(), ReadReport()
    has_labels = set(baseline["sample_id"].to_pylist())
    only_some = config.which != "latest" or bool(config.only_annotators)  # the other images are not answered
    region_ids: dict[str, set[str]] = {}  # by sample that is answered for
    reviewed: list[Json] = []
    for task in tasks_of(api, receipt, labels=True):
        sample = state["tasks"][str(task["id"])]
        taken, results = chosen(task, sample, people, config, report)
        done = state_of(task, state)
        by, time = (taken.annotator, taken.updated) if taken and done == ANNOTATED else (None, None)
        reviewed.append({"sample_id": sample, "reviewed": done == ANNOTATED, "state": done, "by": by, "time": time})
        if results is None and (sample in has_labels or only_some):
            report.note("images have no annotation that counts; their labels stay as they are", sample in has_labels)
            continue
        codec.read(results or [], len(region_ids), f"task {task['id']}", shapes, report, by, time)
        region_ids[sample] = {str(one.get("id")) for one in results or () if isinstance(one, dict)}
    report.note("images are not in Label Studio any more; their labels stay", len(state["tasks"]) - len(reviewed))
    samples = pa.array(list(region_ids), pa.string())
    labels = codec.decode(shapes.take(), samples, layout)
    return Download(
        pa.concat_tables([labels, _unreadable(baseline, labels, region_ids)]), samples, tuple(report.notes()),
        reviewed=pa.Table.from_pylist(reviewed, schema=REVIEWED),
    )  # fmt: skip


def tasks_of(api: Api, receipt: Receipt, *, labels: bool = False) -> Iterator[Json]:
    """The tasks of a receipt that are there, each once: pages move when somebody deletes a task meanwhile. Raises ``Gone`` if none
    of them is.
    """
    state, seen = receipt.state, set[int]()
    for task in api.tasks(state["project"], None if state.get("adopted") else receipt.task, labels=labels):
        if str(task["id"]) in state["tasks"] and task["id"] not in seen:
            seen.add(task["id"])
            yield task
    if state["tasks"] and not seen:
        raise Gone(f"The tasks of the project {state['project']} are not in Label Studio any more.")


def chosen(
    task: Json, sample: str, people: Mapping[int, str], config: LabelStudioConfig, report: ReadReport
) -> tuple[Candidate | None, list[Any] | None]:
    """The annotation of a task that counts, and its results; those of a prediction where nobody has annotated anything.
    The other annotations are counted in the report.
    """
    report.note("images have drafts, which nobody submitted; they were left out", task.get("draft_exists", False))
    candidates = {}
    for one in task["annotations"]:
        candidate = candidate_of(task["id"], sample, one, people)
        if one["was_cancelled"]:
            report.skip(named(candidate), "its annotator skipped the image")
        elif config.only_annotators and candidate.annotator not in config.only_annotators:
            report.skip(named(candidate), "its annotator is not one of only_annotators")
        else:
            candidates[candidate] = one["result"]
    taken = choose(list(candidates), config.which)
    if taken is not None:
        for other in candidates.keys() - {taken}:
            which = f"of an image, the annotation that is its {config.which} counts"
            report.skip(f"{named(other)}; {named(taken)} was taken", which)
        return taken, candidates[taken]
    predictions = task["predictions"] if not task["annotations"] else []
    return None, predictions[0]["result"] if predictions else None


def candidate_of(task: int, sample: str, one: Json, people: Mapping[int, str]) -> Candidate:
    """An annotation of a task of Label Studio; ``people`` are the e-mail addresses of its users."""
    who = one["updated_by"] or one["completed_by"]
    who = who["id"] if isinstance(who, dict) else who  # as a single task has it
    annotator = people.get(who, str(who)) if who is not None else None
    created, updated = time_of(one["created_at"]), time_of(one["updated_at"])
    return Candidate(task, sample, one["id"], annotator, created, updated, one["ground_truth"])


def named(one: Candidate) -> str:
    """An annotation, in words."""
    return f"annotation {one.annotation_id} of task {one.task_id}, by {one.annotator or 'nobody'}"


def _unreadable(baseline: pa.Table, labels: pa.Table, region_ids: Mapping[str, set[str]]) -> pa.Table:
    """The labels that were sent and whose regions are there, but cannot be read: they stay as they are, and are not deleted."""
    read = set(zip(labels["sample_id"].to_pylist(), labels["remote_id"].to_pylist(), strict=True))
    sent = list(zip(baseline["sample_id"].to_pylist(), baseline["remote_id"].to_pylist(), strict=True))
    kept = [key not in read and key[1] in region_ids.get(key[0], ()) for key in sent]
    return baseline.select(REMOTE.names).filter(pa.array(kept, pa.bool_())).cast(REMOTE)
