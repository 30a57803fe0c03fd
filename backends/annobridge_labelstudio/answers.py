"""Answers: the annotations of each person, where several have annotated the same images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from annobridge.backend import Answer, Receipt
from annobridge.formats.common.items import Shapes
from annobridge.formats.common.report import ReadReport
from annobridge.formats.labelstudio import codec
from annobridge.formats.labelstudio.layout import Layout

from .api import Api, Json
from .choice import Candidate, choose
from .config import LabelStudioConfig
from .download import candidate_of, named, tasks_of

TRUTH = "ground truth"  # whose answer the annotations are that are marked as it


@dataclass
class _Work:
    """What one person has made."""

    shapes: Shapes = field(default_factory=Shapes)
    samples: list[str] = field(default_factory=list)
    report: ReadReport = field(default_factory=ReadReport)


def read_answers(api: Api, config: LabelStudioConfig, receipt: Receipt) -> Iterator[Answer]:
    """The answer of each person; annotations that are marked as ground truth are one of their own.

    An annotation that was imported, and that nobody has saved since, is no answer: it is what was sent.
    """
    people, layout = api.users(), Layout.from_state(receipt.state)
    work: defaultdict[str, _Work] = defaultdict(_Work)
    for task in tasks_of(api, receipt, labels=True):
        sample = receipt.state["tasks"][str(task["id"])]
        for name, given in _by_person(task, sample, people, config, bool(receipt.state.get("adopted"))).items():
            _add(work[name], given, f"task {task['id']}", name)
    for name, own in sorted(work.items()):
        samples = pa.array(own.samples, pa.string())
        labels = codec.decode(own.shapes.take(), samples, layout)
        yield Answer(name, labels, samples, name == TRUTH, tuple(f"{name}: {note}" for note in own.report.notes()))


def _by_person(
    task: Json, sample: str, people: dict[int, str], config: LabelStudioConfig, adopted: bool
) -> dict[str, dict[Candidate, list[Any]]]:
    """The annotations of each person, with their results, without those that were skipped."""
    found: dict[str, dict[Candidate, list[Any]]] = defaultdict(dict)
    for one in task["annotations"]:
        candidate = candidate_of(task["id"], sample, one, people)
        is_work = (one["updated_by"] is not None or adopted) and not one["was_cancelled"]
        wanted = not config.only_annotators or candidate.annotator in config.only_annotators
        if is_work and wanted and candidate.annotator is not None:
            found[TRUTH if candidate.ground_truth else candidate.annotator][candidate] = one["result"]
    return found


def _add(work: _Work, given: dict[Candidate, list[Any]], where: str, name: str) -> None:
    """Add the latest annotation of a person; the others are counted in the report."""
    taken = choose(list(given), "latest")
    assert taken is not None  # noqa: S101 - nobody is here without an annotation
    for other in given.keys() - {taken}:
        work.report.skip(
            f"{named(other)}; {named(taken)} was taken",
            "of several by one person, the one that was changed last counts",
        )
    by = taken.annotator if name == TRUTH else name
    codec.read(given[taken], len(work.samples), where, work.shapes, work.report, by, taken.updated)
    work.samples.append(taken.sample_id)
