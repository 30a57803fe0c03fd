"""COCO, CVAT XML and YOLO are read into LanceDB and written from it: 20,000 images with 200,000 boxes, or as many polygons.

    python benchmarks/formats.py [--images 20000] [--folder /tmp/data] [--datumaro /tmp/venv/bin/python]

Each case runs in a process of its own, and its figures are those of the whole process from the call on, modules that the call
imports included: CPU seconds of all threads, and the peak of memory above what it is after ``import annobridge, lancedb, pyarrow``.
Beside them is what LanceDB alone needs for the same table ("floor"), and what datumaro needs for the same files, where
``--datumaro`` names a Python that has it. datumaro keeps what it reads in memory, and stores nothing. Take a folder in memory
(/dev/shm) as ``--scratch``: ext4 needs up to ten times as long to make files for some minutes after many were removed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CASES = ("read", "write", "floor")
_DATUMARO = Path(__file__).parent / "peers/datumaro_formats.py"


@contextmanager
def figures(out: dict[str, Any]) -> Iterator[None]:
    """Run a block in a fresh process, and put its CPU seconds and the growth of memory into ``out``."""
    import lancedb  # noqa: F401
    import pyarrow  # noqa: F401

    import annobridge  # noqa: F401
    import measure

    phases: dict[str, Any] = {}
    with measure.phase("", phases):
        yield
    out |= phases[""]


def run(what: str, name: str, source: Path, scratch: Path) -> dict[str, Any]:
    """One case, in this process. ``write`` and ``floor`` take what ``read`` left in the scratch folder."""
    import annobridge as ab

    out: dict[str, Any] = {}
    uri = scratch / "dataset.lancedb"
    if what == "read":
        with figures(out):
            report = ab.import_dataset(source, uri, format=name, workers=1, progress=False)
        out["labels"] = sum(report.labels.values())
    elif what == "write":
        dataset = ab.load_dataset(uri)
        with figures(out):
            report = ab.export_dataset(dataset, scratch / "export", name, progress=False, save_media=False)
        out["labels"] = report.labels
    else:
        out["labels"] = _write_alone(uri, scratch, out)
    return out


def _write_alone(uri: Path, scratch: Path, out: dict[str, Any]) -> int:
    """Write the rows that an import made into an empty dataset, as an import does: nothing but LanceDB's work."""
    import pyarrow as pa

    import annobridge as ab

    tables = {name: scratch / f"{name}.arrow" for name in ("labels", "samples")}
    if not all(path.exists() for path in tables.values()):  # in another process, so that reading them does not count
        code = "import sys; sys.path.insert(0, sys.argv[1]); import formats; formats.spill(*sys.argv[2:])"
        subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), str(uri), str(scratch)], check=True)
    with figures(out):
        dataset = ab.create_dataset(scratch / "empty.lancedb")
        for name, path in tables.items():
            reader = pa.ipc.open_stream(pa.OSFile(str(path)))
            table = dataset.stores.database.table(name)
            if new := [field for field in reader.schema if field.name not in table.schema.names]:
                table.add_columns(pa.schema(new))
            dataset.stores.database.append(name, pa.RecordBatchReader.from_batches(reader.schema, reader))
    return dataset.stores.labels.count()


def spill(uri: str, scratch: str) -> None:
    """Write the tables of a dataset into Arrow files."""
    import pyarrow as pa

    import annobridge as ab

    dataset = ab.load_dataset(uri)
    for name in ("labels", "samples"):
        batches = dataset.stores.database.scan(name)
        first = next(batches)
        with pa.ipc.new_stream(str(Path(scratch) / f"{name}.arrow"), first.schema) as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)


def run_all(args: argparse.Namespace) -> bool:
    """Run all cases, each in a process of its own, and report their figures; whether all succeeded."""
    import formats_data

    succeeded = True
    with tempfile.TemporaryDirectory(dir=args.scratch) as temporary:
        for kind in args.kinds:
            places = formats_data.make(args.folder or Path(temporary) / "data", args.images, args.each, kind)
            for name in args.formats:
                scratch = Path(temporary) / f"{kind}-{name}"
                scratch.mkdir()
                for case in args.cases:
                    command = [sys.executable, __file__, "--case", case, name, str(places[name]), str(scratch)]
                    succeeded &= _report(command, f"{name}, {case}: {kind}")
                if args.datumaro:
                    for case in [case for case in args.cases if case != "floor"]:
                        command = [args.datumaro, str(_DATUMARO), case, name, str(places[name]), str(scratch / "dm")]
                        _report(command, f"{name}, {case}: {kind}")  # it does not read every form of every format
    return succeeded


def _report(command: list[str], what: str) -> bool:
    """Run one case, and report its figures; whether it succeeded."""
    import measure

    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{what} failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}", file=sys.stderr)
        return False
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    note = f"{found['labels'] / found['cpu_s']:,.0f} shapes per CPU second"
    measure.report(what, found, found["labels"], product=found.get("product", "annobridge"), note=note)
    return True


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--images", type=int, default=20_000)
    p.add_argument("--each", type=int, default=10, help="shapes of an image")
    p.add_argument("--folder", type=Path, help="where the data is made, and kept")
    p.add_argument("--scratch", type=Path, help="where datasets and exports are written, and removed at the end")
    p.add_argument("--kinds", nargs="+", default=["boxes", "polygons"])
    p.add_argument("--formats", nargs="+", default=["coco", "cvat", "yolo"])
    p.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    p.add_argument("--datumaro", metavar="PYTHON", help="a Python that has datumaro, to be measured too")
    p.add_argument("--case", nargs=4, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.case:
        case, name, source, scratch = args.case
        print(json.dumps(run(case, name, Path(source), Path(scratch))))
        return 0
    return 0 if run_all(args) else 1


if __name__ == "__main__":
    sys.exit(main())
