"""The bridge against a model of plain dictionaries: edit here, edit there, crash, load with any policy, undo.

``merge_model.py`` says what a load promises. The machine does the same to a dataset and to the model, and checks after every
step that the dataset holds what the model says, and that the report lists what was not taken. Two runs have the same
labels; each may load into its field or into a field of its own beside it.
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.bridge import merge_model as model
from tests.bridge.merge_model import ASKED, Allowed, Label, Labels, Outcome, Write
from tests.generated import examples

import annobridge as ab
from annobridge.backend.memory import SERVERS
from annobridge.core.rows import attributes
from annobridge.core.schema import FLAGS
from annobridge.store import runs as ledger

CLASSES = ["car", "person", "dog"]
SAMPLES = ["s0", "s1", "s2"]
TASKS = {"s0": 0, "s1": 0, "s2": 1}
RUNS = ["first", "second"]
ELSEWHERE = "elsewhere"  # a field that no run knows
boxes = st.tuples(st.just("box"), st.integers(0, 8))
VALUES = {
    "label": st.sampled_from(CLASSES),
    "spatial": boxes,
    "attributes.free": st.sampled_from([None, 1, 2, 3]),
    "attributes.fixed": st.sampled_from([None, "x", "y"]),
    "attributes.own": st.sampled_from([None, "mine"]),  # outside the schema
    "tags": st.sampled_from([(), ("checked",)]),
    "confidence": st.sampled_from([None, 0.25, 0.5]),
}
HERE = VALUES | {
    "spatial": boxes | st.tuples(st.just("polygon"), st.integers(0, 8)),
    "sample": st.sampled_from(SAMPLES),
}
ATTRIBUTES = ("attributes.free", "attributes.fixed", "attributes.own")
SHAPE = ("kind", "bounding_box", "points", "closed", "filled")


def shape(kind: str, n: int) -> dict[str, Any]:
    """The columns of a box or a polygon."""
    x = n / 10
    values = ("box", [x, 0.1, 0.1, 0.1], None, None, None)
    if kind == "polygon":
        values = ("polygon", None, [[[x, 0.1], [x + 0.1, 0.1], [x, 0.3]]], True, True)
    return dict(zip(SHAPE, values, strict=True))


SHAPES = {(kind, n): shape(kind, n) for kind in ("box", "polygon") for n in range(9)}


def row_of(label: Label) -> dict[str, Any]:
    given = {n.removeprefix("attributes."): label[n] for n in ATTRIBUTES if label[n] is not None}
    return {
        "sample_id": label["sample"], "field": label["field"], "label": label["label"], **SHAPES[label["spatial"]],
        "attributes": attributes(given | {"origin": label["origin"]}),
        "tags": list(label["tags"]), "confidence": label["confidence"],
    }  # fmt: skip


def label_of(row: dict[str, Any]) -> Label:
    found = {f"attributes.{a['name']}": json.loads(a["value"]) for a in row["attributes"] or []}
    here = {name: row[name] for name in SHAPE}
    return {
        "sample": row["sample_id"], "field": row["field"], "label": row["label"],
        "spatial": next((name for name, columns in SHAPES.items() if columns == here), here),
        **dict.fromkeys(ATTRIBUTES), **{n: value for n, value in found.items() if n != "attributes.origin"},
        "origin": found["attributes.origin"], "column": row["column"],
        "tags": tuple(row["tags"] or ()), "confidence": row["confidence"],
    }  # fmt: skip


def one_of(data: st.DataObject, things: Iterable[Any]) -> Any:
    """One by its place: ids differ from one try to the next, and the same draw has to find the same label again."""
    found = list(things)
    return found[data.draw(st.integers(0, len(found) - 1))]


class Killed(BaseException):
    """The process ends here."""


STEPS = [
    ("annobridge.store.written_rows.WrittenRows.append", "before"),
    ("annobridge.store.written_rows.WrittenRows.append", "after"),
    ("annobridge.store.labels.Labels.commit_written", "before"),
    ("annobridge.store.labels.Labels.commit_written", "after"),
    ("annobridge.store.runs.Runs.end_load", "before"),
]


@dataclass
class Past:
    """A load that was done, what it compared with, and when it was done and undone."""

    writes: list[Write]
    base: Labels
    copies: Labels
    made: int
    undone: int | None = None


@dataclass
class Run:
    """The sides of one run. ``copies`` is the base of what was carried into the field beside."""

    key: str
    base: Labels
    theirs: Labels
    copies: Labels = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)  # samples that the tool does not return
    drawn: Counter[str] = field(default_factory=Counter)  # how many labels were drawn on each sample
    loads: list[Past] = field(default_factory=list)

    @property
    def beside(self) -> str:
        return f"beside_{self.key}"

    @property
    def answered(self) -> list[str]:
        return [s for s in SAMPLES if s not in self.hidden]


class Sync(RuleBasedStateMachine):
    restricted = False  # whether the run may forbid something
    runs_at_most = 1
    kills = False
    besides: tuple[bool, ...] = (False,)  # whether loads go into the field beside

    @initialize(data=st.data(), start=st.lists(st.fixed_dictionaries({"sample": st.sampled_from(SAMPLES), **VALUES}),
                                               min_size=2, max_size=6))  # fmt: skip
    def begin(self, data: st.DataObject, start: list[Label]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.url = f"memory://{uuid.uuid4()}"
        forbidden = st.fixed_dictionaries({flag: st.booleans() for flag in FLAGS})
        flags = data.draw(forbidden) if self.restricted else dict.fromkeys(FLAGS, True)
        self.allowed = Allowed(flags, self.restricted and data.draw(st.booleans()))
        self.ds = ab.create_dataset(self.folder / "d")
        self.ds.add_samples([ab.Sample(f"{s}.jpg", sample_id=s) for s in SAMPLES])
        self.ours: Labels = {}
        self.ids: dict[str, str] = {}  # by the names of the model
        self.made = self.time = 0
        self.runs: dict[str, Run] = {}
        self.create_here(start)
        self._table().add_columns({"column": "concat('of ', label_id)"})
        self.ds = ab.load_dataset(self.folder / "d")
        self.ours = {name: label | {"column": f"of {name}"} for name, label in self.ours.items()}
        self.send()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)
            SERVERS.pop(self.url, None)

    def _table(self) -> lance.LanceDataset:
        return lance.dataset(str(self.folder / "d" / "labels.lance"))

    @precondition(lambda self: len(self.runs) < self.runs_at_most)
    @rule()
    def send(self) -> None:
        key = RUNS[len(self.runs)]
        spec = {"type": "detections", "classes": CLASSES, **self.allowed.flags, "attributes": {
            "free": {"type": "int"}, "fixed": {"type": "text", "read_only": self.allowed.fixed},
            "origin": {"type": "text"},
        }}  # fmt: skip
        options = {"backend": "memory", "url": self.url, "task_size": 2, "progress": False, "label_schema": {"f": spec}}
        if {label["spatial"][0] for label in self.ours.values() if label["field"] == "f"} == {"polygon"}:
            with pytest.raises(ab.exceptions.InvalidSchema, match="the field holds polygons"):
                self.ds.annotate(key, **options)
            return
        self.ds.annotate(key, **options)
        sent = {n: label for n, label in self.ours.items() if label["field"] == "f" and label["spatial"][0] == "box"}
        self.runs[key] = Run(key, copy.deepcopy(sent), copy.deepcopy(sent))

    def _run(self, data: st.DataObject) -> Run:
        return self.runs[one_of(data, self.runs)]

    # What people do, here and in the tool

    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        """For a while, people change many labels on both sides, and often the same."""
        changed, gone = {}, []
        for name, label in self.ours.items():
            part = data.draw(st.sampled_from([*HERE, *["field"] * 2, *["nothing"] * 3, *["delete"] * 2]))
            if part == "delete":
                gone.append(name)
            elif part != "nothing":
                changed[name] = label | {part: data.draw(self._values(name, part))}
        if changed:
            self.ds.set_labels([row_of(label) | {"label_id": self.ids[name]} for name, label in changed.items()])
        if gone:
            self.ds.delete_labels([self.ids[name] for name in gone])
        self.ours = {n: changed.get(n, label) for n, label in self.ours.items() if n not in gone}
        for run in self.runs.values():
            self._work_there(data, run)

    def _values(self, name: str, part: str) -> st.SearchStrategy[Any]:
        home = name.partition("/")[0] if "/" in name else "f"
        other = ELSEWHERE if self.ours[name]["field"] == home else home
        return st.just(other) if part == "field" else HERE[part]

    def _work_there(self, data: st.DataObject, run: Run) -> None:
        after: Labels = {}
        for name, label in run.theirs.items():
            part = data.draw(st.sampled_from([*ASKED, "tags", "confidence", *["nothing"] * 3, *["delete"] * 2]))
            if part != "delete":
                after[name] = label | ({part: data.draw(VALUES[part])} if part != "nothing" else {})
        server, run.theirs = SERVERS[self.url], after
        for task in self._tasks(run):
            rows = {label_of(row | {"column": None})["origin"]: row for row in server.labels[task].to_pylist()}
            rows = {name: row | row_of(bare(after[name])) for name, row in rows.items() if name in after}
            server.labels[task] = pa.Table.from_pylist([*rows.values()], server.labels[task].schema)

    def _tasks(self, run: Run) -> list[str]:
        return sorted(task for task in SERVERS[self.url].labels if task.startswith(f"{run.key}-"))

    @precondition(lambda self: self.ours)
    @rule(data=st.data(), part=st.sampled_from(["label", "confidence"]))
    def edit_by_another_program(self, data: st.DataObject, part: str) -> None:
        """It writes to the table itself, and knows nothing of revisions."""
        names = [name for name in self.ours if data.draw(st.booleans())]
        value = data.draw(VALUES[part])
        if names:
            listed = ", ".join(f"'{self.ids[name]}'" for name in names)
            self._table().update({part: "NULL" if value is None else repr(value)}, where=f"label_id IN ({listed})")
            self.ours |= {name: self.ours[name] | {part: value} for name in names}

    @rule(labels=st.lists(st.fixed_dictionaries(HERE), min_size=1, max_size=3))
    def create_here(self, labels: list[Label]) -> None:
        new = {}
        for label in labels:
            self.made += 1
            name = f"l{self.made}"
            new[name] = label | {"field": "f", "origin": name, "column": None}
        self.ids |= {name: name for name in new}
        self.ours |= new
        self.ds.add_labels("f", [row_of(label) | {"label_id": name} for name, label in new.items()])

    @rule(data=st.data(), labels=st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=3))
    def create_there(self, data: st.DataObject, labels: list[Label]) -> None:
        """The tool numbers its new labels anew on each image."""
        run, server = self.runs[one_of(data, self.runs)], SERVERS[self.url]
        for label in labels:
            self.made += 1
            name, sample = f"t{self.made}", data.draw(st.sampled_from(SAMPLES))
            run.drawn[sample] += 1
            run.theirs[name] = bare(label) | {"sample": sample, "field": "f", "origin": name}
            row = row_of(run.theirs[name]) | {"remote_id": f"new {run.drawn[sample]}"}
            task = self._tasks(run)[TASKS[sample]]
            rows = [*server.labels[task].to_pylist(), row]
            server.labels[task] = pa.Table.from_pylist(rows, server.labels[task].schema)

    @rule(data=st.data(), sample=st.sampled_from(SAMPLES))
    def hide_or_show(self, data: st.DataObject, sample: str) -> None:
        """The tool does not answer for a sample: its page failed, or its frame was removed."""
        run, server = self._run(data), SERVERS[self.url]
        run.hidden ^= {sample}
        for number, task in enumerate(self._tasks(run)):
            left = [s for s in run.answered if TASKS[s] == number]
            server.samples[task] = pa.array(left, pa.string())

    # Loads

    def _expected(self, run: Run, policy: str, beside: bool) -> tuple[Outcome, Outcome]:
        """What a load does to the run's labels, and to those of the field beside it."""
        here = model.merge(run.base, run.theirs, self.ours, run.answered, self.allowed, policy)
        if not beside:
            return here, Outcome(run.copies)
        theirs = model.copies(here, self.ours, run.base, run.theirs, run.answered, TASKS, run.beside)
        there = model.merge(run.copies, theirs, self.ours, run.answered, model.EVERYTHING, policy, model.CARRIED)
        # The field itself stays as it is; a label that was moved here to another field is edited there.
        moved = [w for w in here.writes if w.old is not None and w.old["field"] != "f"]
        away = {name for name, label in self.ours.items() if label["field"] != "f"}
        base = {n: label for n, label in run.base.items() if n not in away}
        base |= {n: label for n, label in here.base.items() if n in away}
        return Outcome(base, moved, here.refused, here.conflicts), there

    def _load(self, run: Run, policy: str, beside: bool) -> ab.LoadReport:
        dest = {"dest_field": run.beside} if beside else {}
        return self.ds.load_annotations(run.key, conflicts=policy, force=True, progress=False, **dest)

    def _refused_beside(self, run: Run, beside: bool) -> bool:
        """A field beside that holds a polygon takes no boxes."""
        held = [label["spatial"][0] for label in self.ours.values() if label["field"] == run.beside]
        if not beside or "polygon" not in held:
            return False
        with pytest.raises(ab.SchemaError, match="holds labels of another type"):
            self._load(run, "theirs", beside)
        return True

    @rule(data=st.data(), policy=st.sampled_from(["theirs", "ours", "fail"]))
    def load(self, data: st.DataObject, policy: str) -> None:
        run, beside = self._run(data), one_of(data, self.besides)
        if self._refused_beside(run, beside):
            return
        taken = "theirs" if policy == "fail" else policy
        want = self._expected(run, taken, beside)
        before = self.ds.stores.labels.version()
        conflicts, refused = ([f for w in want for f in getattr(w, name)] for name in ("conflicts", "refused"))
        changes = sum(len(w.writes) for w in want)
        if policy == "fail" and conflicts:
            with pytest.raises(ab.Conflict):
                self._load(run, "fail", beside)
            assert self.ds.stores.labels.version() == before
            return
        report = self._load(run, policy, beside)
        assert listed(report.refused) == Counter(refused)
        assert listed(report.conflicts) == Counter(conflicts)
        assert report.total == changes
        assert self.ds.stores.labels.version() == before + bool(changes)
        self._loaded(run, want)
        again = self._load(run, taken, beside) if not self._refused_beside(run, beside) else report
        assert again is report or (again.total, again.version) == (0, None)

    @rule(data=st.data(), policy=st.sampled_from(["theirs", "ours", "fail"]))
    def work_and_load(self, data: st.DataObject, policy: str) -> None:
        self.work(data)
        self.load(data, policy)

    def _loaded(self, run: Run, want: tuple[Outcome, Outcome]) -> None:
        here, there = want
        writes = [*here.writes, *there.writes]
        if writes or here.base != run.base or there.base != run.copies:
            self.time += 1
            run.loads.append(Past(writes, run.base, run.copies, self.time))
        self.ours = there.applied_to(here.applied_to(self.ours))
        run.base, run.copies = here.base, there.base
        self._learn(writes)

    def _learn(self, writes: list[Write]) -> None:
        """Which ids new labels got. From then on, each keeps its own, however often it is taken back and loaded again."""
        new = {w.name: w.new for w in writes if w.action == "add" and w.new and w.name not in self.ids}
        known, found = set(self.ids.values()), self._rows() if new else {}
        for name, label in new.items():
            place = (label["field"], label["origin"])
            mine = [i for i, row in found.items() if i not in known and (row["field"], row["origin"]) == place]
            assert len(mine) == 1, f"{len(mine)} new labels are {name}"
            self.ids[name] = mine[0]

    @precondition(lambda self: self.kills)
    @rule(data=st.data(), policy=st.sampled_from(["theirs", "ours"]), step=st.sampled_from(STEPS))
    def load_killed(self, data: st.DataObject, policy: str, step: tuple[str, str]) -> None:
        """A load that ends at some step leaves all or nothing, and the next call to the run finds out which."""
        self.work(data)
        run, beside = self._run(data), one_of(data, self.besides)
        if self._refused_beside(run, beside):
            return
        want = self._expected(run, policy, beside)
        path, when = step
        module, owner, name = path.rsplit(".", 2)
        holder = getattr(__import__(module, fromlist=[owner]), owner)
        real = getattr(holder, name)

        def killed(*args: Any, **kwargs: Any) -> Any:
            if when == "after":
                real(*args, **kwargs)
            raise Killed

        committed = False
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(holder, name, killed)
            patch.setattr(ledger.Runs, "abandon_load", lambda *_: None)
            try:
                self._load(run, policy, beside)
                committed = True  # the load had no such step
            except Killed:
                pass
            patch.setattr(holder, name, real)
            self.ds.get_annotation_info(run.key)
        wrote = committed or ((path.endswith("commit_written") and when == "after") or path.endswith("end_load"))
        if wrote and (any(w.writes for w in want) or committed):
            self._loaded(run, want)

    @precondition(lambda self: any(past.undone is None for run in self.runs.values() for past in run.loads))
    @rule(data=st.data(), work=st.booleans(), load=st.sampled_from([None, "theirs", "ours"]))
    def undo(self, data: st.DataObject, work: bool, load: str | None) -> None:
        """Often after work on what was loaded, and often loaded again at once."""
        if work:
            self.work(data)
        done = {run.key: [p for p in run.loads if p.undone is None] for run in self.runs.values()}
        run = self.runs[one_of(data, [key for key, loads in done.items() if loads])]
        self.time += 1
        past = done[run.key][-1]
        past.undone = self.time
        self.ds.undo_annotations(run.key)
        for write in past.writes:
            model.undo(self.ours, self._since(run, past, write))
        run.base, run.copies = past.base, past.copies
        if load:
            self.load(data, load)

    def _since(self, run: Run, past: Past, write: Write) -> Write:
        """An addition that put back what another run had deleted, and has given back since, is an edit of that."""
        others = [p for other in self.runs.values() if other is not run for p in other.loads]
        for other in sorted(others, key=lambda p: -p.made):
            if write.action == "add" and other.undone and other.made < past.made < other.undone:
                for w in other.writes:
                    if (w.action, w.name) == ("delete", write.name):
                        return Write("edit", write.name, w.old, write.new, model.CARRIED)
        return write

    def _rows(self) -> Labels:
        """The labels of the dataset by id, which is unique."""
        rows = self._table().to_table().to_pylist()
        found = {row["label_id"]: label_of(row) for row in rows}
        assert len(found) == len(rows), "two labels have one id"
        return found

    @invariant()
    def the_dataset_is_what_the_model_says(self) -> None:
        if hasattr(self, "ds"):
            assert self._rows() == {self.ids[name]: label for name, label in self.ours.items()}


def bare(label: Label) -> Label:
    """A label as the tool has it: it was not given the attribute outside the schema."""
    return label | {"attributes.own": None, "column": None}


def listed(findings: pa.Table) -> Counter[tuple[str, str]]:
    """The component and the sample of each finding."""
    return Counter(zip(findings["component"].to_pylist(), findings["sample_id"].to_pylist(), strict=True))


# One machine for each group of rules, so that each finds its own mistakes within a few steps.


class Restrictions(Sync):
    restricted = True


class Beside(Sync):
    besides = (False, True)


class Kills(Sync):
    kills = True
    besides = (False, True)


class TwoRuns(Sync):
    runs_at_most = 2


class Everything(Sync):
    restricted, runs_at_most, kills, besides = True, 2, True, (False, True)


SETTINGS = examples(4, stateful_step_count=12, suppress_health_check=list(HealthCheck), print_blob=True)
TestSync, TestRestrictions, TestBeside = Sync.TestCase, Restrictions.TestCase, Beside.TestCase
TestKills, TestTwoRuns, TestEverything = Kills.TestCase, TwoRuns.TestCase, Everything.TestCase
TestSync.settings = TestRestrictions.settings = TestBeside.settings = SETTINGS
TestKills.settings = TestTwoRuns.settings = TestEverything.settings = SETTINGS
