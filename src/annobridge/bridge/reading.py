"""Which answer of a tool a load reads: the one that the tool takes, that of one annotator, or the consensus of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.checked import CheckedBackend
from ..backend.values import Download, Receipt
from ..core.agreement.consensus import Consensus, agree
from ..core.agreement.given import Given
from ..core.arrays import is_rotated
from ..core.labels import REMOTE
from ..core.merge import destination
from ..core.merge.disputed import DISPUTED
from ..core.merge.fields import with_fields
from ..core.schema import LabelSchema
from ..exceptions import InvalidOption
from ..store.run import Run
from ..store.stores import Stores
from .outcome import Options


@dataclass(frozen=True)
class Read:
    """What is read of a task.

    Attributes:
        download: its labels.
        disputed: changes that are left for a decision (``DISPUTED``).
        counts: of ``core.agreement.agreed.sentences``.
        annotators: whose answers there are.
    """

    download: Download
    disputed: pa.Table = field(default_factory=DISPUTED.empty_table)
    counts: Mapping[str, int] = field(default_factory=Counter)
    annotators: tuple[str, ...] = ()


class _Tool(Protocol):
    def download(self, receipt: Receipt) -> Download: ...


Reading: TypeAlias = Callable[[Receipt], Read]


def reading(answers: _Tool, options: Options, stores: Stores, run: Run) -> Reading:
    """What reads the tasks of a run.

    Raises:
        InvalidOption: the options need several answers, and the tool has one only.
    """
    if options.annotator is None and options.consensus is None:
        return lambda receipt: Read(answers.download(receipt))
    option = "annotator" if options.consensus is None else "consensus"
    if not isinstance(answers, CheckedBackend) or not answers.capabilities.answers:
        name = answers.name if isinstance(answers, CheckedBackend) else "a file"
        raise InvalidOption(
            f"{option}= needs the answers of several annotators, and {name} has one answer for each sample. Leave it out; or load "
            "each answer into a field of its own with dest_field=, and merge these with merge_annotations."
        )
    if options.consensus is not None:
        copied = destination.resolve(options.dest_field, run.schema)
        return _OfAll(answers, options.consensus, stores, run.schema, copied)
    return _OfOne(answers, str(options.annotator))


class _OfOne:
    """Reads the answer of one annotator; the samples that they did not answer are not answered."""

    def __init__(self, tool: CheckedBackend, annotator: str) -> None:
        self._tool, self._annotator = tool, annotator

    def __call__(self, receipt: Receipt) -> Read:
        given = self._tool.answers(receipt)
        mine = [one for one in given if one.annotator == self._annotator]
        names = tuple(one.annotator for one in given)
        download = Download(REMOTE.empty_table(), pa.array([], pa.string()))
        if mine:
            download = Download(mine[0].labels, mine[0].samples, mine[0].notes)
        return Read(_with_states(download, self._tool, receipt), annotators=names)


class _OfAll:
    """Reads the consensus of all annotators."""

    def __init__(
        self, tool: CheckedBackend, consensus: Consensus, stores: Stores, schema: LabelSchema, copied: Collection[str]
    ) -> None:
        self._tool, self._consensus, self._stores = tool, consensus, stores
        self._schema, self._copied = schema, copied

    def __call__(self, receipt: Receipt) -> Read:
        answers = [one for one in self._tool.answers(receipt) if not one.is_truth]
        given = [Given(one.annotator, with_fields(one.labels, self._schema), one.samples) for one in answers]
        single = destination.single_label_fields(self._schema, {})
        sizes = sizes_of_turned(self._stores, [receipt.baseline, *(one.labels for one in given)])
        found = agree(given, receipt.baseline, single, self._consensus, sizes, self._copied)
        notes = tuple(dict.fromkeys(note for one in answers for note in one.notes))
        names = tuple(one.annotator for one in answers)
        download = _with_states(Download(found.labels, found.samples, notes), self._tool, receipt)
        return Read(download, found.disputed, found.counts, names)


def _with_states(answer: Download, tool: CheckedBackend, receipt: Receipt) -> Download:
    """With what the tool says about the samples beside the labels, which is in its own download only."""
    if not tool.capabilities.reviewed and not tool.capabilities.comments:
        return answer
    own = tool.download(receipt)
    return replace(answer, comments=own.comments, reviewed=own.reviewed)


def sizes_of_turned(stores: Stores, labels: Sequence[pa.Table]) -> pa.Table:
    """sample_id, width and height of the images with turned boxes, which are compared by their pixels."""
    turned = [rows["sample_id"].filter(pa.array(is_rotated(rows["rotation"]))) for rows in labels]
    samples = pc.unique(pa.chunked_array([chunk for ids in turned for chunk in ids.chunks], pa.string()))
    return stores.samples.rows(samples, ["sample_id", "width", "height"])
