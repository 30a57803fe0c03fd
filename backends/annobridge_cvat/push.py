"""Push: labels that were added, edited or deleted in the dataset are changed in one CVAT task, through the jobs that they are in.

Each object is read first, and written whole, with its id, and with what people changed in it meanwhile. A push that was killed
can be repeated: what has arrived is found, and not made again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Edits, Pushed, Receipt, Task
from annobridge.backend.kit import attribute_type, value_types
from annobridge.core import attributes as lists
from annobridge.core.arrays import Bools, as_array, choose, filter_rows, index_of, not_null, set_columns
from annobridge.core.labels import COMPONENTS, REMOTE
from annobridge.exceptions import Broken, Gone, Rejected

from . import decode, jobs, remote_ids
from .api import Api
from .download import CurrentTask, decoded, read_task
from .encode import TRACKS
from .push_plan import DELETED_THERE, Plan, Server, Write, without_private
from .push_tracks import plan_tracks
from .wanted import NO_FRAME, Request, Wanted

Json = dict[str, Any]
DROPPED = "are not in CVAT although it took them; look at the log of the server"


def problems(api: Api, receipt: Receipt) -> Iterator[str]:
    """Why nothing can be pushed to the CVAT tasks of a receipt, each a sentence. Those that were deleted count if all were."""
    gone = []
    for stored in receipt.state["tasks"]:
        try:
            yield from _problems(api, stored)
        except Gone:
            gone.append(str(stored["task"]))
    if len(gone) == len(receipt.state["tasks"]):
        yield (
            f"The CVAT task {', '.join(gone)} is not on the server any more, or not for you; load what you have of it as a "
            "file, or abort the run, and annotate again."
        )


def _problems(api: Api, stored: Json) -> Iterator[str]:
    """Why nothing can be pushed to a CVAT task. Raises ``Gone`` when it was deleted."""
    task = stored["task"]
    names = [f["name"] for f in api.meta(task)["frames"]]
    if len(names) != len(stored["samples"]) or names != stored.get("names", names):
        yield (
            f"The CVAT task {task} has other files now than when the run began, so that its frames cannot be told apart; undo that "
            "in CVAT, or abort the run, and annotate again."
        )
        return
    if not api.may_annotate(task):
        yield (
            f"You may read the CVAT task {task}, and not change its annotations; use a token that is not read-only, or ask its "
            "owner to assign it to you."
        )


def push_all(api: Api, receipt: Receipt, edits: Edits) -> Pushed:
    """Change labels in all CVAT tasks of a receipt. Those of a CVAT task that was deleted are left out.

    Raises:
        Gone: all CVAT tasks that the edits are for were deleted.
        Rejected: the server refuses the first of the changes.
    """
    receipt = replace(receipt, state={**receipt.state, "scalars": _scalar_types(receipt, edits.task)})
    done: list[Pushed] = []
    gone: list[Gone] = []
    rest = edits
    for stored in receipt.state["tasks"]:
        own, rest = _split(rest, stored["samples"])
        if not own.task.labels.num_rows and not own.deleted.num_rows:
            continue
        try:
            done.append(push_task(api, stored, receipt, own))
        except Rejected as e:
            if len(done) == len(gone):
                raise
            raise _partly(stored["task"], e) from e
        except Gone as e:
            gone.append(e)
            done.append(_nothing(own, f"are in the CVAT task {stored['task']}, which is not on the server any more"))
    if gone and len(gone) == len(done):
        raise gone[0]
    done.append(_nothing(rest, NO_FRAME))
    return Pushed(
        pa.concat_tables([part.baseline for part in done]), pa.concat_arrays([part.left_out for part in done]),
        receipt.state, tuple(note for part in done for note in part.notes),
    )  # fmt: skip


def _scalar_types(receipt: Receipt, task: Task) -> dict[str, str]:
    """The attribute types of scalar fields; that of a field without values is learned from those that are pushed."""
    valued = pc.unique(receipt.baseline.filter(pc.is_valid(receipt.baseline["value"]))["field"]).to_pylist()
    found = {name: attribute_type(types) for name, types in value_types(task).items() if types and name not in valued}
    return {**receipt.state["scalars"], **found}


def _split(edits: Edits, samples: Sequence[str | None]) -> tuple[Edits, Edits]:
    """The edits of labels on some samples, and the others."""
    own = pa.array([s for s in samples if s is not None], pa.string())
    labels, deleted = edits.task.labels, edits.deleted
    here, gone = (pc.is_in(as_array(rows["sample_id"]), value_set=own) for rows in (labels, deleted))
    first, second = (
        Edits(replace(edits.task, labels=filter_rows(labels, a)), edits.remote_ids.filter(a), filter_rows(deleted, b))
        for a, b in ((here, gone), (pc.invert(here), pc.invert(gone)))
    )
    return first, second


def _nothing(edits: Edits, reason: str) -> Pushed:
    """That none of the labels was pushed. Those to delete count as deleted if their task is gone."""
    ids = as_array(edits.task.labels["label_id"])
    notes = [f"{len(ids)} label{'s' * (len(ids) != 1)} were not pushed, as they {reason}."] if len(ids) else []
    return Pushed(REMOTE.empty_table(), ids, None, tuple(notes))


def push_task(api: Api, stored: Json, receipt: Receipt, edits: Edits) -> Pushed:
    """Change labels of one of the CVAT tasks of a receipt.

    Args:
        api: the server.
        stored: what the receipt keeps of the CVAT task.
        receipt: of the task.
        edits: the changes of labels on samples of the CVAT task.

    Raises:
        Gone: the CVAT task was deleted.
        Rejected: the server refuses the first of the changes.
    """
    task = read_task(api, stored)
    baseline = task.own(receipt.baseline)
    request = Request.of(edits, baseline, task)
    read = [job for job in task.regular if job["id"] in request.jobs()]
    in_jobs = jobs.frames_of(read, len(task.frames)) & not_null(task.frames.samples)
    baseline = baseline.filter(pa.array(in_jobs[task.frames.index_of(baseline)]))
    plan = plan_push(request, Server(jobs.read_annotations(api, read), baseline, task), task)
    _send(api, task.number, plan)

    labels = edits.task.labels.combine_chunks()
    left_out = request.left_out | {labels["label_id"][row].as_py(): reason for row, reason in plan.left_out.items()}
    rows = remote_ids.with_remote_ids(labels, plan.remote_ids())
    replaced = pa.concat_arrays(
        [edits.remote_ids.drop_null(), as_array(edits.deleted["remote_id"]), as_array(rows["remote_id"])]
    )
    rest = filter_rows(baseline, pc.invert(pc.is_in(baseline["remote_id"], value_set=replaced)))
    expected = replace(receipt, baseline=pa.concat_tables([rest.cast(REMOTE), rows]))
    found = decode.read_labels(jobs.read_annotations(api, read), in_jobs, task.frames.deleted)
    now = decoded(list(found), task, jobs.work(read), expected)
    at = index_of(rows["remote_id"], now["remote_id"])
    left_out |= dict.fromkeys(filter_rows(rows, pc.is_null(at))["label_id"].to_pylist(), DROPPED)
    done = [plan.done[row] for row in sorted(plan.done)]
    is_there = not_null(at)
    rows = _as_stored(
        filter_rows(rows, pa.array(is_there)),
        now.take(at.drop_null()),
        [w for w, ok in zip(done, is_there, strict=True) if ok],
    )
    return Pushed(rows, pa.array([*left_out], pa.string()), None, tuple(_notes(task.number, left_out.values())))


def plan_push(request: Request, server: Server, task: CurrentTask) -> Plan:
    """The plan of a push."""
    plan = Plan(server, task)
    edited = [w for w in request.wanted if w.remote_id and not w.is_moved]
    moved = [w for w in request.wanted if w.remote_id and w.is_moved and plan.has(w)]
    plan.leave_out((w for w in request.wanted if w.remote_id and w.is_moved and not plan.has(w)), DELETED_THERE)
    new = [w for w in request.wanted if not w.remote_id] + moved
    on_tracks = [u for u in request.unwanted if u.remote_id in server.places]
    for u in request.unwanted:
        if u.remote_id not in server.places:
            plan.delete(u)
    for w in edited:
        if w.shape.track is None:
            plan.edit(w)
    plan.add([w for w in new if w.shape.track is None])
    # Where a label was is emptied only if it has its new place.
    left = [w.origin for w in moved if w.shape.track is None and w.row not in plan.left_out and w.origin is not None]
    on_tracks += [u for u in left if u.remote_id in server.places]
    plan_tracks(
        plan, [w for w in edited if w.shape.track is not None], [w for w in new if w.shape.track is not None], on_tracks
    )
    for w in moved:
        if w.row not in plan.left_out and w.origin is not None and w.origin.remote_id not in server.places:
            plan.delete(w.origin)
    return plan


def _send(api: Api, task: int, plan: Plan) -> None:
    """Send what is planned, and note the ids of what was made."""
    is_first = True
    for job, write in plan.writes.items():
        try:
            for action in ("update", "create", "delete"):
                objects = getattr(write, action)
                answers: dict[str, list[Json]] = {kind: [] for kind in objects}
                for body in api.bodies({kind: [*map(without_private, items)] for kind, items in objects.items()}):
                    answer = api.patch_job(job, action, body)
                    is_first = False
                    for kind, stored in answers.items():
                        stored += answer[kind]
                if action == "create":
                    _note(plan, write, answers)
        except Rejected as e:
            if is_first:
                raise
            raise _partly(task, e) from e


def _partly(task: int, error: Rejected) -> Broken:
    """The error for a refusal after other changes were made."""
    return Broken(
        f"cvat: a part of the changes was made, and then the task {task} refused one: {error} Correct that label, and push again; "
        "what was made is not made again.",
        error.status,
    )


def _note(plan: Plan, write: Write, answers: dict[str, list[Json]]) -> None:
    """Note the ids of what was made."""
    for kind, items in write.create.items():
        numbers = remote_ids.stored_ids(items, answers[kind], kind)
        for number, of in zip(numbers, write.rows[kind], strict=True):
            if kind == TRACKS:
                plan.names |= {row: f"track:{number}:{frame}" for frame, row in of}
            else:
                plan.parts[of].append(f"{kind[:-1]}:{number}")


def _as_stored(rows: pa.Table, now: pa.Table, done: Sequence[Wanted]) -> pa.Table:
    """The labels as the server has them, in what was changed; the rest, in which people may have changed something meanwhile, as it
    was: the next load finds that.
    """
    label = np.array([w.changes.label for w in done], bool)
    spatial = np.array([w.changes.spatial for w in done], bool)
    changed = [w.changes.names(w.shape) for w in done]
    columns = {name: choose(label, now[name].cast(rows[name].type), rows[name]) for name in ("label",)}
    for name in COMPONENTS["spatial"]:
        if name not in ("kind", "frame_number"):
            columns[name] = choose(spatial, now[name].cast(rows[name].type), rows[name])
    value = np.array([bool(names) for names in changed], bool)
    columns["value"] = choose(value, now["value"], rows["value"])
    where: dict[str, tuple[Bools, Any]] = {
        name: (np.array([name in names for names in changed], bool), lists.column(now["attributes"], name))
        for name in {n for names in changed for n in names}
    }
    columns["attributes"] = lists.replace(rows["attributes"], where)
    return set_columns(rows, **columns)


def _notes(task: int, reasons: Iterable[str]) -> Iterable[str]:
    for reason, number in Counter(reasons).items():
        yield f"{number} label{'s' * (number != 1)} of the CVAT task {task} were not pushed, as they {reason}."
