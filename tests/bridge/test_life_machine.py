"""The life of a run against a model of dictionaries: it is extended, pushed, loaded and undone while both sides are worked on, with
snapshots in between, and processes that end in the middle of a push.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.bridge import life_model as model
from tests.bridge.life_model import Event, Label, Side
from tests.generated import examples

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.core.rows import attribute

CLASSES = ["car", "person", "dog"]
SAMPLES = ["s0", "s1", "s2", "s3"]
VALUES = {"label": st.sampled_from(CLASSES), "spatial": st.integers(0, 8)}
SCHEMA = {"f": {"type": "detections", "classes": CLASSES, "attributes": {"name": {"type": "text"}}}}
POLICIES = st.sampled_from(["theirs", "ours"])


def box(n: object) -> list[float]:
    assert isinstance(n, int)
    return [n / 10, 0.1, 0.1, 0.1]


def label_of(row: dict[str, Any]) -> tuple[str, Label]:
    """A row as a label of the model, and its name there."""
    name = next(a["value"] for a in row["attributes"] if a["name"] == "name").strip('"')
    spatial = next(n for n in range(9) if box(n) == row["bounding_box"])
    return name, {"sample": row["sample_id"], "label": row["label"], "spatial": spatial}


class Killed(BaseException):
    """The process ends here."""


# Where a push ends: before and after each of its writes, and each request to the tool
STEPS = [
    ("annobridge.store.pushes.Pushes.add", "before"),
    ("annobridge.store.pushes.Pushes.add", "after"),
    ("annobridge.backend.memory.MemoryBackend.push", "before"),
    ("annobridge.backend.memory.MemoryBackend.push", "after"),
    ("annobridge.store.written_rows.WrittenRows.append", "before"),
    ("annobridge.store.written_rows.WrittenRows.append", "after"),
    ("annobridge.store.runs.Runs.end_push", "before"),
    ("annobridge.store.pushes.Pushes.forget", "before"),
]


class Life(RuleBasedStateMachine):
    @initialize(start=st.lists(st.tuples(st.sampled_from(SAMPLES), *VALUES.values()), min_size=2, max_size=6))
    def begin(self, start: list[tuple[str, str, int]]) -> None:
        self.folder, self.url = Path(tempfile.mkdtemp()), f"memory://{uuid.uuid4()}"
        self.ds = ab.create_dataset(self.folder / "d")
        self.ds.add_samples([ab.Sample(f"{s}.jpg", sample_id=s) for s in SAMPLES])
        self.here: Side = {}
        self.ids: dict[str, str] = {}
        self.made = 0
        for values in start:
            self.add_here(*values)
        self.ds.select(["s0", "s1"]).annotate(
            "run", label_schema=SCHEMA, backend="memory", url=self.url, task_size=1, progress=False
        )
        self.in_run = ["s0", "s1"]
        self.there = {n: dict(label) for n, label in self.here.items() if label["sample"] in self.in_run}
        self.events = [Event({n: dict(label) for n, label in self.there.items()})]
        self.snapshots: dict[str, Side] = {}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
            SERVERS.pop(self.url, None)

    def _name(self) -> str:
        self.made += 1
        return f"label{self.made}"

    # Work on both sides

    @rule(sample=st.sampled_from(SAMPLES), label=VALUES["label"], spatial=VALUES["spatial"])
    def add_here(self, sample: str, label: str, spatial: int) -> None:
        name = self._name()
        self.ds.add_labels("f", {sample: [ab.Detection(label, box(spatial), name=name, label_id=name)]})
        self.here[name], self.ids[name] = {"sample": sample, "label": label, "spatial": spatial}, name

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def work_here(self, data: st.DataObject) -> None:
        """Change or delete several labels."""
        for name in list(self.here):
            part = data.draw(st.sampled_from(["label", "spatial", "delete", "nothing", "nothing"]))
            if part == "delete":
                self.ds.delete_labels([self.ids[name]])
                del self.here[name]
            elif part != "nothing":
                self.here[name] = self.here[name] | {part: data.draw(VALUES[part])}
                label = self.here[name]
                self.ds.set_labels(
                    [{"label_id": self.ids[name], "label": label["label"], "bounding_box": box(label["spatial"])}]
                )

    @rule(data=st.data())
    def work_there(self, data: st.DataObject) -> None:
        """Change or delete several labels in the tool."""
        for name in list(self.there):
            part = data.draw(st.sampled_from(["label", "spatial", "delete", "nothing", "nothing"]))
            if part == "delete":
                del self.there[name]
            elif part != "nothing":
                self.there[name] = self.there[name] | {part: data.draw(VALUES[part])}
        self._put()

    @rule(data=st.data(), label=VALUES["label"], spatial=VALUES["spatial"])
    def add_there(self, data: st.DataObject, label: str, spatial: int) -> None:
        sample = data.draw(st.sampled_from(self.in_run))
        self.there[self._name()] = {"sample": sample, "label": label, "spatial": spatial}
        self._put()

    def _put(self) -> None:
        """Write what the model has into the server: rows that are there are changed, the others made."""
        server = SERVERS[self.url]
        for task, samples in server.samples.items():
            rows = {label_of(row)[0]: row for row in server.labels[task].to_pylist()}
            new = []
            for name, label in self.there.items():
                if label["sample"] in samples.to_pylist():
                    made = {
                        "sample_id": label["sample"], "field": "f", "kind": "box", "remote_id": f"drawn-{name}",
                        "attributes": [attribute("name", name)],
                    }  # fmt: skip
                    new.append(rows.get(name, made) | {"label": label["label"], "bounding_box": box(label["spatial"])})
            server.labels[task] = pa.Table.from_pylist(new, server.labels[task].schema)

    # The verbs

    @rule(policy=POLICIES)
    def load(self, policy: str) -> None:
        report = self.ds.load_annotations("run", conflicts=policy, force=True, unexpected="keep", progress=False)
        before = self.here
        self.here, event = model.transfer(model.base_of(self.events), self.there, self.here, policy == "theirs")
        if event.rows or event.before:
            self.events.append(event)
        assert report.total == len(event.before or {}), (report, event, before)
        for row in self.ds.labels("f").to_pylist():
            self.ids[label_of(row)[0]] = row["label_id"]

    @rule(policy=POLICIES)
    def push(self, policy: str) -> None:
        report = self.ds.push_annotations("run", conflicts=policy, force=True, progress=False)
        assert report.total == len(self._pushed(policy).before or {})
        again = self.ds.push_annotations("run", conflicts=policy, force=True, progress=False)
        assert again.total == 0

    def _pushed(self, policy: str) -> Event:
        """The same push in the model."""
        giver = {n: label for n, label in self.here.items() if label["sample"] in self.in_run}
        self.there, event = model.transfer(model.base_of(self.events), giver, self.there, policy == "ours")
        if event.rows:
            self.events.append(Event(event.rows))
        return event

    @rule(policy=POLICIES, step=st.sampled_from(STEPS), nth=st.integers(1, 2))
    def push_that_is_killed(self, policy: str, step: tuple[str, str], nth: int) -> None:
        """A push ends in the middle; the next one, and nothing else, ends it."""
        with pytest.MonkeyPatch.context() as patch:
            self._kill(patch, *step, nth)
            with suppress(Killed):
                self.ds.push_annotations("run", conflicts=policy, force=True, progress=False)
        self.ds = ab.load_dataset(self.folder / "d")
        self.ds.push_annotations("run", conflicts=policy, force=True, progress=False)
        self._pushed(policy)

    @staticmethod
    def _kill(patch: pytest.MonkeyPatch, target: str, when: str, nth: int) -> None:
        module, kind, method = target.rsplit(".", 2)
        holder = getattr(__import__(module, fromlist=[kind]), kind)
        real, calls = getattr(holder, method), 0

        def killed(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth and when == "before":
                raise Killed
            result = real(*args, **kwargs)
            if calls == nth:
                raise Killed
            return result

        patch.setattr(holder, method, killed)

    @precondition(lambda self: any(event.before is not None and event.counts for event in self.events))
    @rule()
    def undo(self) -> None:
        event = next(e for e in reversed(self.events) if e.before is not None and e.counts)
        self.ds.undo_annotations("run")
        self.here = model.undo(event, self.here)

    @precondition(lambda self: len(self.in_run) < len(SAMPLES))
    @rule()
    def extend(self) -> None:
        sample = SAMPLES[len(self.in_run)]
        self.ds.extend_annotation("run", [sample], progress=False)
        self.in_run.append(sample)
        new = {n: dict(label) for n, label in self.here.items() if label["sample"] == sample}
        self.there |= {n: dict(label) for n, label in new.items()}
        self.events.append(Event(new))

    @precondition(lambda self: len(self.snapshots) < 3)
    @rule()
    def snapshot(self) -> None:
        name = f"v{len(self.snapshots)}"
        self.ds.snapshot(name)
        self.snapshots[name] = {n: dict(label) for n, label in self.here.items()}

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        """A snapshot is as it was, and the difference to now has each label that differs."""
        name = data.draw(st.sampled_from(sorted(self.snapshots)))
        then = self.snapshots[name]
        assert dict(label_of(row) for row in self.ds.at(name).labels("f").to_pylist()) == then
        difference = self.ds.diff(name, "now")
        edited = sum(n in then and then[n] != label for n, label in self.here.items())
        assert (difference.added, difference.edited, difference.deleted) == (
            len(self.here.keys() - then.keys()), edited, len(then.keys() - self.here.keys()),
        )  # fmt: skip

    # What holds after every step

    @invariant()
    def the_dataset_is_as_in_the_model(self) -> None:
        if hasattr(self, "here"):
            assert dict(label_of(row) for row in self.ds.labels("f").to_pylist()) == self.here

    @invariant()
    def the_tool_is_as_in_the_model(self) -> None:
        if hasattr(self, "there"):
            found = [label_of(row) for table in SERVERS[self.url].labels.values() for row in table.to_pylist()]
            assert len(found) == len(dict(found))
            assert dict(found) == self.there


TestLife = Life.TestCase
TestLife.settings = examples(8, stateful_step_count=12, suppress_health_check=list(HealthCheck), print_blob=True)
