"""The annotation tools that the demo can start, edit labels in by a script, and stop."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ..backend.values import Answer, Receipt
from ..exceptions import InvalidOption, UnknownBackend

if TYPE_CHECKING:
    from ..bridge.results import AnnotationResults

# Backend name → class, called with the folder of the demo; imported only when it is chosen.
_TOOLS = {"memory": f"{__name__}:MemoryTool", "pixano": "annobridge_pixano.demo:PixanoTool"}

Box = Sequence[float]  # relative x, y, width, height


class Annotator(Protocol):
    """Edits labels in a tool, as an annotator would. Labels and samples are named by their ids in the dataset."""

    def move(self, label_id: str, box: Box) -> None:
        """Replace the box of a label."""

    def set_class(self, label_id: str, name: str) -> None:
        """Change the class of a label."""

    def set_attribute(self, label_id: str, name: str, value: Any) -> None:
        """Change one attribute of a label."""

    def classify(self, sample_id: str, field: str, name: str) -> None:
        """Change the class of a whole image, in a field of type classification."""

    def draw(self, sample_id: str, name: str, box: Box, attributes: Mapping[str, Any]) -> None:
        """Add a box with its class and attributes to an image."""

    def delete(self, label_id: str) -> None:
        """Delete a label."""


class DemoTool(Protocol):
    """An annotation tool on this machine."""

    title: str
    has_page: bool  # whether it can be opened in a browser
    options: Mapping[str, str]  # backend options by which it is reached; complete once it has started
    note: str  # printed before it starts; empty if there is nothing to start

    def start(self) -> None:
        """Start the tool."""

    def annotator(self, receipts: Sequence[Receipt]) -> Annotator:
        """An annotator for the first task of what was sent."""

    def commands(self) -> Mapping[str, Sequence[str]]:
        """Arguments of ``annobridge`` that "start" and "stop" the tool; empty if there is nothing to start."""

    def stop(self) -> None:
        """Stop the tool."""


def find(backend: str, folder: Path) -> DemoTool:
    """The tool of a backend, which keeps its data in ``folder``. Raises ``UnknownBackend`` for one without a demo."""
    if backend not in _TOOLS:
        raise UnknownBackend(
            f"The demo cannot work with the backend {backend!r}; it can with {', '.join(sorted(_TOOLS))}."
        )
    tool: DemoTool = pkgutil.resolve_name(_TOOLS[backend])(folder)
    return tool


class MemoryTool:
    """The memory backend. It is part of this process, so there is nothing to start."""

    title = "the memory backend"
    has_page = False
    options: Mapping[str, str] = {"url": "memory://demo"}
    note = ""

    def __init__(self, folder: Path) -> None:
        """``folder`` is not used: nothing is kept on disk."""

    def start(self) -> None:
        pass

    def annotator(self, receipts: Sequence[Receipt]) -> MemoryAnnotator:
        return MemoryAnnotator(self.options["url"], [receipt.task for receipt in receipts])

    def commands(self) -> Mapping[str, Sequence[str]]:
        return {}

    def stop(self) -> None:
        """Remove all tasks, so that the next demo in this process starts empty."""
        from ..backend.memory import SERVERS

        SERVERS.pop(self.options["url"], None)


class MemoryAnnotator:
    """Edits the labels of a run in the memory backend, as a person edits them in the page of a tool.

    Labels and samples are named by their ids in the dataset. Raises ``InvalidOption`` for an id that the run does not have.
    """

    def __init__(self, url: str, tasks: Sequence[str], name: str | None = None) -> None:
        from ..backend.memory import SERVERS

        self._server, self._tasks, self._name = SERVERS[url], tasks, name
        if name is not None:
            for task in tasks:
                sent, samples = self._server.sent[task], self._server.samples[task]
                self._server.answers[task].setdefault(name, Answer(name, sent, samples))

    @classmethod
    def of(cls, results: AnnotationResults, name: str | None = None) -> MemoryAnnotator:
        """An annotator for all tasks of a run. Raises ``InvalidOption`` if it is not in the memory backend."""
        from ..backend.memory import MemoryConfig

        config = results.backend.config
        if not isinstance(config, MemoryConfig):
            raise InvalidOption(
                f"The run {results.anno_key!r} is in {results.backend.name}, where people edit its labels; only those of the "
                'memory backend are edited from here: annotate with backend="memory".'
            )
        return cls(config.url, [receipt.task for receipt in results.receipts()], name)

    def _edit(self, change: Callable[[str, list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        for task in self._tasks:
            labels = self._labels(task)
            changed = pa.Table.from_pylist(change(task, labels.to_pylist()), labels.schema)
            if self._name is None:
                self._server.labels[task] = changed
            else:
                own = self._server.answers[task]
                own[self._name] = replace(own[self._name], labels=changed)

    def _labels(self, task: str) -> pa.Table:
        answers = self._server.answers[task]
        return self._server.labels[task] if self._name is None else answers[self._name].labels

    def leave_out(self, *sample_ids: str) -> None:
        """Do not answer some images: a named annotator has not seen them."""
        for answers in (self._server.answers[task] for task in self._tasks if self._name is not None):
            own = answers[str(self._name)]
            labels, samples = (
                rows.filter(pc.invert(pc.is_in(ids, value_set=pa.array(sample_ids, pa.string()))))
                for rows, ids in ((own.labels, own.labels["sample_id"]), (own.samples, own.samples))
            )
            answers[own.annotator] = replace(own, labels=labels, samples=samples)

    def _label(self, label_id: str) -> dict[str, Any]:
        for task in self._tasks:
            for row in self._labels(task).to_pylist():
                if row["label_id"] == label_id:
                    return dict(row)
        raise InvalidOption(f"The run has no label {label_id!r} in the memory backend; give one that was sent.")

    def _update(self, label_id: str, **values: Any) -> None:
        remote_id = self._label(label_id)["remote_id"]
        self._edit(lambda _, rows: [row | values if row["remote_id"] == remote_id else row for row in rows])

    def move(self, label_id: str, box: Box) -> None:
        """Replace the box of a label: relative x, y, width, height."""
        self._update(label_id, bounding_box=list(box))

    def set_class(self, label_id: str, name: str) -> None:
        """Change the class of a label."""
        self._update(label_id, label=name)

    def set_attribute(self, label_id: str, name: str, value: Any) -> None:
        """Change one attribute of a label."""
        from ..core.rows import attribute

        others = [a for a in self._label(label_id)["attributes"] or () if a["name"] != name]
        changed = sorted([*others, attribute(name, value)], key=lambda a: str(a["name"]))
        self._update(label_id, attributes=changed)

    def classify(self, sample_id: str, field: str, name: str) -> None:
        """Change the class of a whole image, in a field of type classification; nothing, if the field was not sent."""
        of_image = {"sample_id": sample_id, "field": field}
        self._edit(lambda _, rows: [row | {"label": name} if of_image.items() <= row.items() else row for row in rows])

    def draw(self, sample_id: str, name: str, box: Box, attributes: Mapping[str, Any] | None = None) -> None:
        """Add a box with its class and attributes to an image."""
        from ..core.rows import Detection

        task = next((task for task in self._tasks if sample_id in self._server.samples[task].to_pylist()), None)
        if task is None:
            raise InvalidOption(f"The run has no image {sample_id!r} in the memory backend; give one that was sent.")
        new = Detection(name, box, attributes=dict(attributes or {})).row()
        new |= {"sample_id": sample_id, "remote_id": self._server.new_ids(1)[0].as_py()}
        self._edit(lambda name, rows: [*rows, new] if name == task else rows)

    def review(self, *sample_ids: str, by: str | None = None, state: str = "completed") -> None:
        """Say that images are finished, with labels or without, and by whom."""
        from ..core.labels import REVIEWED

        now, server = datetime.now(UTC), self._server
        for task in self._tasks:
            here = [name for name in sample_ids if name in server.samples[task].to_pylist()]
            rows = server.reviewed.get(task, REVIEWED.empty_table()).to_pylist()
            rows = [row for row in rows if row["sample_id"] not in here]
            rows += [{"sample_id": s, "reviewed": True, "state": state, "by": by, "time": now} for s in here]
            server.reviewed[task] = pa.Table.from_pylist(rows, REVIEWED)

    def delete(self, label_id: str) -> None:
        """Delete a label."""
        remote_id = self._label(label_id)["remote_id"]
        self._edit(lambda _, rows: [row for row in rows if row["remote_id"] != remote_id])
