"""Two ways to commit a load: one ``Update`` operation, as annobridge does, and LanceDB's ``merge_insert`` and ``delete``.

    python benchmarks/commit.py --labels 1000000

A tenth of the labels is edited, a twentieth deleted, a twentieth added. Each way runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import measure
from annobridge.core.labels import LABELS, conform

WAYS = ("update", "merge_insert")


def rows(count: int, first: int = 0, rev: int = 1) -> pa.Table:
    """``count`` boxes, numbered from ``first``; ids are made from the numbers."""
    boxes = np.random.default_rng(first).random(4 * count) / 2
    table = pa.table({
        "label_id": [f"{first + n:036d}" for n in range(count)],
        "sample_id": [f"{(first + n) // 10:08d}" for n in range(count)],
        "bounding_box": pa.FixedSizeListArray.from_arrays(pa.array(boxes), 4),
    })  # fmt: skip
    return conform(table, LABELS, field="f", kind="box", label="car", rev=rev)


def run_way(way: str, count: int, folder: Path) -> dict[str, Any]:
    """Make a dataset, change it in one way, and measure the change."""
    from annobridge.store.labels import ROW_KEYS, Labels
    from annobridge.store.tables import Database, in_list

    db = Database.create(str(folder))
    labels = Labels(db)
    for first in range(0, count, 100_000):
        db.append("labels", rows(min(100_000, count - first), first))
    edits = rows(count, 0, rev=2).take(pa.array(np.arange(0, count, 10)))
    adds = rows(count // 20, count)
    gone = [f"{n:036d}" for n in range(5, count, 20)]
    figures: dict[str, Any] = {}
    version = labels.version()
    with measure.phase(way, figures):
        if way == "update":
            old = {name: [] for name in ("edited", "gone")}
            ids = {"edited": edits["label_id"].combine_chunks(), "gone": pa.array(gone, pa.string())}
            for batch in labels.scan(None, ["label_id", "rev"], version, address=True):
                for name, parts in old.items():
                    parts.append(batch.select(ROW_KEYS.names).filter(pc.is_in(batch["label_id"], value_set=ids[name])))
            replaced = pa.Table.from_batches([*old["edited"], *old["gone"]])
            labels.commit(version, replaced, edits.to_batches(), labels.write(adds.to_batches()))
        else:
            table = db.table("labels")
            merge = table.merge_insert("label_id").when_matched_update_all("target.rev = source.rev - 1")
            merge.when_not_matched_insert_all().execute(pa.concat_tables([edits, adds]))
            for at in range(0, len(gone), 20_000):
                db.delete("labels", in_list("label_id", gone[at : at + 20_000]))
    figures["versions"] = labels.version() - version
    figures["labels"] = labels.count()
    return figures


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--labels", type=int, default=1_000_000)
    p.add_argument("--way", choices=WAYS)
    args = p.parse_args()
    if args.way:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(run_way(args.way, args.labels, Path(folder) / "d")))
        return
    for way in WAYS:
        command = [sys.executable, __file__, "--labels", str(args.labels), "--way", way]
        out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        changed = args.labels // 5
        measure.report(
            f"commit by {way}: {changed:,} changes", out[way], args.labels, note=f"{out['versions']} versions"
        )


if __name__ == "__main__":
    main()
