"""What the state of a run, and who made its tasks, allows to do with it."""

from __future__ import annotations

from ..core import tasks
from ..exceptions import RunIncomplete
from ..store.run import ADOPTED_OPTION, ADOPTING, SENT, Run
from ..store.stores import Stores


def require_sent(stores: Stores, run: Run) -> None:
    """Raise ``RunIncomplete`` for a run of which not all tasks were sent."""
    if run.state == ADOPTING:
        raise RunIncomplete(
            f"The adoption of the run {run.anno_key!r} stopped half-way; adopt its tasks again under this key, or forget it with "
            f"delete_annotation_run({run.anno_key!r})."
        )
    if run.state != SENT:
        done, total = len(stores.runs.receipts(run)), stores.runs.tasks(run).num_rows
        removes = "takes the extension back" if run.extension else "removes it"
        raise RunIncomplete(
            f"Sending of the run {run.anno_key!r} stopped after {done} of {total} tasks; "
            f"finish it with resume_annotation({run.anno_key!r}), or abort_annotation({run.anno_key!r}) {removes}."
        )


def is_adopted(run: Run, task: str) -> bool:
    """Whether a task of a run was made by others, so that it is theirs to remove."""
    return tasks.number(task) < int(run.options.get(ADOPTED_OPTION, 0))


def nothing_loaded(anno_key: str) -> str:
    """What an error of a load ends with."""
    return f"Nothing was loaded; load_annotations({anno_key!r}) tries again."
