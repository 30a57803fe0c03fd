"""The values that pass between the bridge and a backend.

Terms: a **task** is a part of a run, of limited size, that is uploaded at once; a **receipt** is what the backend returns for it;
the **baseline** is the labels of the task exactly as the tool returns them while nobody has edited anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..core.labels import COMMENTS, REMOTE, REVIEWED
from ..core.media import Media
from ..core.schema import LabelSchema


@dataclass(frozen=True, slots=True)
class Task:
    """What one ``upload`` sends: some samples, and their labels that the schema selects.

    ``name`` is unique for all runs (use it to find what an earlier, unanswered call left behind). ``samples`` has the
    columns of ``SAMPLES``, in the order of the view; ``labels`` has those of ``LABELS``, attributes narrowed to the schema.
    With the capability ``sample_columns``, ``samples`` has the dataset's own plain columns too. ``title`` names the run and
    the dataset, for people.
    """

    name: str
    schema: LabelSchema
    samples: pa.Table
    labels: pa.Table
    media: Media
    title: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the backend remembers of a task. ``state`` is private to it: a JSON object, without NaN and without secrets.

    ``baseline`` has exactly the columns and types of ``REMOTE``, and one row for each label of the task, with the
    ``label_id``, ``sample_id``, ``field`` and ``kind`` that it was sent with. Its ``remote_id`` is the tool's own: any
    text that does not begin with a line break, and not that of another label on the same sample; labels of other tasks
    or samples may have it too. ``upload`` must return it; ``download`` is given the baseline as it stands now; the other
    methods get an empty one.

    ``unsent`` are the ids of labels that are not sent to the tool, as those on frames that are left out: they are not in the
    baseline, and do not change. The bridge refuses any other receipt.

    ``notes`` are sentences about what people will not find in the tool (columns left out, shapes that are not drawn, …); they
    are shown once, when the run is sent, and kept with it.
    """

    task: str
    state: Mapping[str, Any] = field(default_factory=dict)
    baseline: pa.Table = field(default_factory=REMOTE.empty_table)
    unsent: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Download:
    """What the tool has now: every label (``REMOTE``), expected or not, and the samples for which the download is complete.

    A label is known by its ``remote_id`` together with its ``sample_id``; neither may be null, nor may its ``kind``. Of
    two labels with the same ids, the one that differs from the baseline is a copy that a person made, and so a new label; rows that
    are equal in everything count once, with a note. ``label_id`` and ``rev`` are ignored. ``field`` is null
    where the tool does not know it. Only labels of videos have a ``frame_number``.

    A sample that is not in ``samples`` (a string array) contributes nothing: its absent labels are not deletions.
    ``notes`` are sentences for the report (orphans dropped, frames removed, …).

    ``comments`` (``COMMENTS``) are what people wrote beside the labels, of a tool with the capability ``comments``.

    ``reviewed`` (``REVIEWED``) is what the tool says about the progress of each sample, of one with the capability ``reviewed``. It
    may have samples that are not in ``samples``, and lack some of them: then the tool says nothing.
    """

    labels: pa.Table
    samples: pa.Array
    notes: tuple[str, ...] = ()
    comments: pa.Table = field(default_factory=COMMENTS.empty_table)
    reviewed: pa.Table = field(default_factory=REVIEWED.empty_table)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person has made of some samples of a task, in a tool in which several people label the same samples.

    Attributes:
        annotator: who, as a user name or e-mail address; unlike those of the other answers of the task.
        labels: as in a download (``REMOTE``). A label that was sent has the ``remote_id`` of the baseline, wherever the tool keeps
            it; those of other labels may occur in other answers too.
        samples: the ids of the samples that this person has answered (a string array), with labels or without.
        is_truth: whether the tool takes this answer for the truth, as that of a ground-truth job.
        notes: sentences for the report.
    """

    annotator: str
    labels: pa.Table
    samples: pa.Array
    is_truth: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SentBack:
    """What ``send_back`` did with the refusals that it was given.

    Attributes:
        placed: how many the tool has now, and had not before.
        existing: how many it had already, from an earlier call.
        left_out: the ``change_id`` of each of the others, which the tool has no place for (a string array); the bridge writes
            them into a file.
        notes: sentences about what else was done, and why some were left out.
    """

    placed: int
    existing: int = 0
    left_out: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edits:
    """What a push changes in a task.

    Attributes:
        task: the task as it was sent, with all its samples. Its ``labels`` are only those to add or to edit: each whole, as it
            is to be in the tool afterwards, and of samples of the task.
        remote_ids: of each label of ``task``, the tool's id; null for one that is to be added (a string array).
        deleted: the labels to delete, as the tool has them (``REMOTE``).
    """

    task: Task
    remote_ids: pa.Array
    deleted: pa.Table


@dataclass(frozen=True, slots=True)
class Pushed:
    """What ``push`` did.

    Attributes:
        baseline: the labels that were added or edited, as the tool returns them now (``REMOTE``), each with the ``label_id``,
            ``sample_id``, ``field`` and ``kind`` that it was given with. As in a receipt.
        left_out: the ids of the other labels, which were not changed in the tool, as it has no place for them, or as
            somebody deleted them there meanwhile (a string array). Labels to delete may be among them; one that is gone
            already counts as deleted.
        state: the new state of the receipt; ``None`` if it stays as it is.
        notes: sentences about what people will not find in the tool.
    """

    baseline: pa.Table
    left_out: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))
    state: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task in the tool that annobridge has not made, and that ``adopt`` can make part of a run.

    Attributes:
        key: the tool's own id of the task, unlike that of any other task on this server; letters, digits, ``_`` and ``-``.
        title: its name, for people.
        media: its images and videos, in order (``FOUND_MEDIA``).
        label_schema: the fields that its labels would fill, in the form of the argument ``label_schema`` of ``annotate``.
        state: what ``adopt`` and ``read_media`` need to know of it; private to the backend.
    """

    key: str
    title: str
    media: pa.Table
    label_schema: Mapping[str, Any]
    state: Mapping[str, Any] = field(default_factory=dict)


GONE = "gone"  # the state of a task that is not on the server any more


@dataclass(frozen=True, slots=True)
class Status:
    """The progress of the work: the number of samples by state, in the tool's words, and the state of the task (or ``GONE``).

    ``jobs`` are the units that a tool assigns to people, if it has any: ``name``, ``state``, ``assignee`` and ``url`` of each; and
    where they are known, the numbers of its ``samples`` and of those that are ``reviewed``.

    ``reviewed`` is the number of samples that the tool says are reviewed; ``None`` if it does not say so. ``mark`` is a text that
    is another one whenever people may have changed something in the task since, as a date; ``None`` if there is nothing as cheap.
    """

    state: str = "unknown"
    samples: Mapping[str, int] = field(default_factory=dict)
    jobs: tuple[Mapping[str, str | int | None], ...] = ()
    reviewed: int | None = None
    mark: str | None = None
