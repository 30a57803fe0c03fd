"""Push labels into annotations. Label Studio saves the results of an annotation as a whole, so those of each image are read and
saved at once, and what somebody saves between the two is lost.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Edits, Pushed, Receipt
from annobridge.core.arrays import as_array, equal, index_of, not_null, row_keys, take_rows
from annobridge.core.labels import TOOL_KEY
from annobridge.core.merge.diff import rows_by
from annobridge.core.merge.patch import unchanged_as_in
from annobridge.exceptions import Gone
from annobridge.formats.common.report import ReadReport
from annobridge.formats.labelstudio import codec
from annobridge.formats.labelstudio.label_config import Controls
from annobridge.formats.labelstudio.layout import Layout

from .api import Api, Json
from .choice import Candidate
from .config import LabelStudioConfig
from .download import ANNOTATED, chosen, state_of, tasks_of


def push(api: Api, config: LabelStudioConfig, receipt: Receipt, edits: Edits, found: Controls) -> Pushed:
    """Change labels; see ``AnnotationBackend.push``. ``found`` are the controls of the project."""
    layout, people = Layout.from_state(receipt.state), api.users()
    labels = edits.task.labels.combine_chunks().append_column("remote_id", edits.remote_ids)
    numbers = {sample: int(number) for number, sample in receipt.state["tasks"].items()}
    made: dict[str, codec.Encoded] = {}
    untouched = []
    for sample in pc.unique(
        pa.concat_arrays([as_array(table["sample_id"]) for table in (labels, edits.deleted)])
    ).to_pylist():
        try:
            task = api.task(numbers[sample])
        except Gone:
            api.project(receipt.state["project"])  # if that is gone too, so is the run
            continue
        taken, given = chosen(task, sample, people, config, ReadReport())
        results = {sample: given or []}
        of_sample, samples, deleted = (_of(table, sample) for table in (labels, edits.task.samples, edits.deleted))
        new = _with_work_of_people(of_sample, receipt.baseline, codec.decode_all(results, layout))
        made |= codec.replace_all(results, new, deleted, samples, layout, found)
        _save(api, receipt, task, taken, made[sample].results)
        untouched += [task["id"]] * (state_of(task, receipt.state) != ANNOTATED)
    now = codec.as_returned(made, layout)
    baseline = now.filter(pc.is_valid(now["label_id"]))
    left_out = labels.filter(pc.invert(pc.is_in(labels["label_id"], value_set=as_array(baseline["label_id"]))))
    # A push is no work of people on a task on which nobody had worked.
    times = {str(t["id"]): t["updated_at"] for t in tasks_of(api, receipt) if t["id"] in untouched}
    state = {**receipt.state, "pushed": {**receipt.state.get("pushed", {}), **times}}
    return Pushed(baseline, as_array(left_out["label_id"]), state)


def _of(table: pa.Table, sample: str) -> pa.Table:
    return table.filter(pc.equal(table["sample_id"], sample)).combine_chunks()


def _with_work_of_people(labels: pa.Table, baseline: pa.Table, there: pa.Table) -> pa.Table:
    """The labels to write, with what people changed meanwhile; without those that are gone."""
    at = index_of(row_keys(labels, TOOL_KEY), row_keys(there, TOOL_KEY)).fill_null(-1).to_numpy()
    now, before = take_rows(there, at), rows_by(baseline, labels["label_id"])
    known = (at >= 0) & not_null(before["label_id"]) & equal(labels["kind"], as_array(now["kind"]))
    return unchanged_as_in(now, labels, before, known).filter(pa.array((at >= 0) | ~not_null(labels["remote_id"])))


def _save(api: Api, receipt: Receipt, task: Json, annotation: Candidate | None, results: list[Json]) -> None:
    """Save results in the annotation that was read, in the prediction if there is none, or in a new annotation."""
    if annotation is not None:
        api.set_results("annotations", annotation.annotation_id, results)
    elif task["predictions"] and not task["annotations"]:
        api.set_results("predictions", task["predictions"][0]["id"], results)
    else:
        api.add_annotation(receipt.state["project"], task["id"], results)
