"""The consensus of simulated annotators: how good it is, what it costs, and the same of datumaro's merge.

    python benchmarks/consensus.py [--images 1000] [--large 10000] [--datumaro /tmp/venv/bin/python]

Annotators of known noise draw the boxes of a truth that is known. First, three and five of them in six settings: F1 and the mean
intersection over union of the consensus, and of the best annotator in each. A box of the right class with an intersection over
union of 0.5 counts; what is left for a decision does not. Then, three of them and ten boxes on each of many images, for the cost:
the function alone, and through a dataset of which each annotator has a field.

Each case runs in a process of its own. datumaro (``--datumaro`` names a Python that has it) gets the same answers in an Arrow file,
as boxes of its API; see ``peers/datumaro_consensus.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import annobridge as ab
import measure
from annobridge.core.agreement.consensus import agree
from annobridge.core.agreement.given import Given, all_labels
from annobridge.core.labels import REMOTE, SAMPLES, conform
from annobridge.testing.annotators import SETTINGS, Noise, Scene, decided, score

NAMES = ("alice", "bob", "carol", "dave", "eve")
PER_IMAGE, PER_IMAGE_OF_LARGE, SEED = 8, 10, 7
STORED = ["sample_id", "label", "bounding_box"]
_DATUMARO = Path(__file__).parent / "peers/datumaro_consensus.py"


def core(folder: Path, figures: dict[str, Any]) -> None:
    """The consensus of the answers in the file, without a dataset."""
    given = read(folder / "answers.arrow")
    with measure.phase("case", figures):
        found = agree(given, REMOTE.empty_table(), (), ab.Consensus(), SAMPLES.empty_table())
    write(folder / "found.arrow", decided(found).labels)
    figures["note"] = f"{found.disputed.num_rows:,} boxes left for a decision"


def build(folder: Path, figures: dict[str, Any]) -> None:
    """A dataset in which each annotator has a field."""
    given = read(folder / "answers.arrow")
    _ = ab.Dataset  # imports LanceDB, which is not to be measured
    with measure.phase("case", figures):
        dataset = ab.create_dataset(folder / "dataset.lancedb")
        paths = pc.binary_join_element_wise(str(folder), given[0].samples, "/")
        dataset.add_samples(pa.table({"sample_id": given[0].samples, "filepath": paths}))
        for one in given:
            dataset.add_labels(one.annotator, one.labels.select(STORED), label_type="detections")


def merge(folder: Path, figures: dict[str, Any]) -> None:
    """The fields of the dataset become one."""
    dataset = ab.load_dataset(folder / "dataset.lancedb")
    names = [name for name in NAMES if name in dataset.label_fields()]
    with measure.phase("case", figures):
        report = dataset.merge_annotations(names, into="truth")
    write(folder / "found.arrow", pa.table(dataset.labels("truth")))
    figures["note"] = f"{report.added:,} boxes added"


def compare(folder: Path, figures: dict[str, Any]) -> None:
    """The fields of the dataset are compared with each other."""
    dataset = ab.load_dataset(folder / "dataset.lancedb")
    names = [name for name in NAMES if name in dataset.label_fields()]
    with measure.phase("case", figures):
        found = dataset.compare_annotations(names)
        rates = found.pairs["f1"].to_pylist()
    figures["note"] = f"F1 of the pairs {min(rates):.3f} to {max(rates):.3f}"


CASES: dict[str, Callable[[Path, dict[str, Any]], None]] = {f.__name__: f for f in (core, build, merge, compare)}


def write(path: Path, labels: pa.Table) -> None:
    with pa.ipc.new_file(str(path), labels.schema) as writer:
        writer.write_table(labels)


def read(path: Path) -> list[Given]:
    """The answers in a file. All annotators saw all images."""
    labels = pa.ipc.open_file(str(path)).read_all().combine_chunks()
    samples = pc.unique(labels["sample_id"]).sort()
    names = pc.unique(labels["annotator"]).to_pylist()
    return [Given(name, labels.filter(pc.equal(labels["annotator"], name)), samples) for name in sorted(names)]


def simulated(images: int, per_image: int, people: int, noise: Noise) -> tuple[Given, list[Given]]:
    """The truth, and what annotators make of it."""
    rng = np.random.default_rng(SEED)
    scene = Scene.random(images, per_image, rng)
    answers = [scene.seen_by(noise, rng).given(name, images) for name in NAMES[:people]]
    return scene.given("truth", images), answers


def quality(folder: Path, setting: str, people: int, images: int, datumaro: str | None) -> bool:
    """Report how good a consensus is; whether all cases succeeded."""
    truth, answers = simulated(images, PER_IMAGE, people, SETTINGS[setting])
    write(folder / "answers.arrow", all_labels(answers)[0])
    f1, iou = map(max, zip(*(score(one, truth) for one in answers), strict=True))
    stage = f"consensus of {people}, {setting}: {images:,} images"
    succeeded = _run(_own("core", folder), folder, stage, answers, truth, f"best annotator {f1:.4f} and {iou:.4f}")
    return succeeded & (datumaro is None or _run(_peer(datumaro, folder, people), folder, stage, answers, truth))


def cost(folder: Path, images: int, datumaro: str | None) -> bool:
    """Report what a consensus of three costs; whether all cases succeeded."""
    truth, answers = simulated(images, PER_IMAGE_OF_LARGE, 3, SETTINGS["usual"])
    write(folder / "answers.arrow", all_labels(answers)[0])
    boxes = f"{images * PER_IMAGE_OF_LARGE:,} boxes × 3"
    cases = [
        (_own("core", folder), f"{boxes}: consensus, in memory", truth),
        (_own("build", folder), f"{boxes}: three fields added", None),
        (_own("merge", folder), f"{boxes}: merge_annotations", truth),
        (_own("compare", folder), f"{boxes}: compare_annotations", None),
    ]
    if datumaro:
        cases.append((_peer(datumaro, folder, 3), f"{boxes}: consensus, in memory", truth))
    # The cases after one that failed have nothing to start from.
    return all(_run(command, folder, stage, answers, expected) for command, stage, expected in cases)


def _own(case: str, folder: Path) -> list[str]:
    return [sys.executable, __file__, "--case", case, str(folder)]


def _peer(python: str, folder: Path, people: int) -> list[str]:
    return [python, str(_DATUMARO), str(folder / "answers.arrow"), str(folder / "found.arrow"), str(people // 2 + 1)]


def _run(
    command: list[str], folder: Path, stage: str, answers: Sequence[Given], truth: Given | None, note: str = ""
) -> bool:
    """Run a case in a process of its own, and report its figures, with the quality of what it found; whether it succeeded."""
    # As the command line of annobridge has it, and with bytecode, as an installed package has it.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        print(f"{stage} failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}", file=sys.stderr)
        return False
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    notes = [figures.get("note", ""), note]
    if truth is not None:
        found = pa.ipc.open_file(str(folder / "found.arrow")).read_all().select(STORED)
        found = found.append_column("remote_id", pa.array(range(found.num_rows)).cast(pa.string()))
        of_found = score(Given("found", conform(found, REMOTE, field="objects", kind="box"), truth.samples), truth)
        notes.insert(0, f"F1 {of_found.f1:.4f}, mean IoU {of_found.mean_iou:.4f}")
    product = figures.get("product", "annobridge")
    labels_given = sum(one.labels.num_rows for one in answers)
    measure.report(stage, figures["case"], labels_given, product=product, note="; ".join(filter(None, notes)))
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help=f"of each setting, with {PER_IMAGE} boxes each")
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--people", type=int, nargs="+", default=[3, 5], choices=range(2, len(NAMES) + 1))
    parser.add_argument(
        "--large", type=int, default=10_000, help=f"images for the cost, with {PER_IMAGE_OF_LARGE} boxes each"
    )
    parser.add_argument("--datumaro", metavar="PYTHON", help="a Python that has datumaro, to be measured too")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)  # what a process of its own is to run
    given = parser.parse_args()
    if given.case:
        figures: dict[str, Any] = {}
        CASES[given.case[0]](Path(given.case[1]), figures)
        print(json.dumps(figures))
        return 0
    succeeded = True
    for people in given.people:
        for setting in given.settings:
            with tempfile.TemporaryDirectory() as folder:
                succeeded &= quality(Path(folder), setting, people, given.images, given.datumaro)
    with tempfile.TemporaryDirectory() as folder:
        succeeded &= cost(Path(folder), given.large, given.datumaro)
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
