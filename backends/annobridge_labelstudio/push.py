"""Push labels into annotations. Label Studio saves the results of an annotation as a whole, so those of each image are read and
saved at once, and what somebody saves between the two is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from annobridge.backend import Edits, Pushed, Receipt
from annobridge.core.arrays import as_array, equal, filter_rows, index_of, not_null, row_keys, take_rows
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
from .download import ANNOTATED, chosen, name_of, state_of


def push(api: Api, config: LabelStudioConfig, receipt: Receipt, edits: Edits, found: Controls) -> Pushed:
    """Change labels; see ``AnnotationBackend.push``. ``found`` are the controls of the project."""
    layout = Layout.from_state(receipt.state)
    tasks = _tasks(api, receipt, edits)
    answers = {sample: chosen(task, sample, {}, config, ReadReport()) for sample, task in tasks.items()}
    results = {sample: given or [] for sample, (_, given) in answers.items()}
    there = codec.decode_all(results, layout)
    wanted = _wanted(edits, receipt.baseline, there, tasks)
    new, gone, known = (_by_sample(table) for table in (wanted, edits.deleted, there))
    sizes = codec.sizes_of(edits.task.samples)
    label_ids: dict[tuple[str, str], str] = {}
    for sample, task in tasks.items():
        deleted = {row["remote_id"] for row in gone[sample]}
        made = codec.replaced(results[sample], known[sample], new[sample], deleted, layout, found, sizes[sample])
        _save(api, receipt, task, answers[sample][0], made.results)
        results[sample] = made.results
        label_ids |= {(sample, id_): label for id_, label in made.label_ids.items()}
    now = codec.with_label_ids(codec.decode_all(results, layout), label_ids)
    baseline = filter_rows(now, pc.is_in(now["label_id"], value_set=as_array(wanted["label_id"])))
    given = as_array(edits.task.labels["label_id"])
    left_out = given.filter(pc.invert(pc.is_in(given, value_set=as_array(baseline["label_id"]))))
    return Pushed(baseline, left_out, _state(api, receipt, tasks))


def _tasks(api: Api, receipt: Receipt, edits: Edits) -> dict[str, Json]:
    """The task of each sample with a change, of those that are there."""
    numbers = {sample: int(number) for number, sample in receipt.state["tasks"].items()}
    concerned = pa.concat_arrays([as_array(table["sample_id"]) for table in (edits.task.labels, edits.deleted)])
    found = {}
    for sample in pc.unique(concerned).to_pylist():
        try:
            found[sample] = api.task(numbers[sample])
        except Gone:
            api.project(receipt.state["project"])  # if that is gone too, so is the run
    return found


def _wanted(edits: Edits, baseline: pa.Table, there: pa.Table, tasks: Mapping[str, Json]) -> pa.Table:
    """The labels to write, with their ids in Label Studio, and with what people changed meanwhile. Those that are gone are not
    among them.
    """
    labels = edits.task.labels.combine_chunks().append_column("remote_id", edits.remote_ids)
    at = index_of(row_keys(labels, TOOL_KEY), row_keys(there, TOOL_KEY)).fill_null(-1).to_numpy()
    now, before = take_rows(there, at), rows_by(baseline, labels["label_id"])
    known = (at >= 0) & not_null(before["label_id"]) & equal(labels["kind"], as_array(now["kind"]))
    is_there = pc.is_in(labels["sample_id"], value_set=pa.array(list(tasks), pa.string())).to_numpy()
    return unchanged_as_in(now, labels, before, known).filter(
        pa.array(is_there & ((at >= 0) | ~not_null(edits.remote_ids)))
    )


def _by_sample(labels: pa.Table) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = defaultdict(list)
    for row in labels.to_pylist():
        found[row["sample_id"]].append(row)
    return found


def _save(api: Api, receipt: Receipt, task: Json, annotation: Candidate | None, results: list[Json]) -> None:
    """Save results in the annotation that was read, in the prediction if there is none, or in a new annotation."""
    if annotation is not None:
        api.set_results("annotations", annotation.annotation_id, results)
    elif task["predictions"] and not task["annotations"]:
        api.set_results("predictions", task["predictions"][0]["id"], results)
    else:
        api.add_annotation(receipt.state["project"], task["id"], results)


def _state(api: Api, receipt: Receipt, tasks: Mapping[str, Json]) -> dict[str, object]:
    """The state, with the time of the push for tasks on which nobody had worked: it is no work of people either."""
    state = receipt.state
    ours = {task["id"] for task in tasks.values() if state_of(task, state) != ANNOTATED}
    times = {str(t["id"]): t["updated_at"] for t in api.tasks(state["project"], name_of(receipt)) if t["id"] in ours}
    return {**state, "pushed": {**state.get("pushed", {}), **times}}
