"""One stage of ``bridge_echo.py`` in FiftyOne, with the same tool, boxes and rule; prints its figures as JSON.

``bridge_echo.py`` runs this with the Python of FiftyOne's environment. The database is MongoDB in a process of its own, whose
CPU time is counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import thread_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import echo_store
import measure

TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", required=True, choices=("build", "annotate", "load"))
    parser.add_argument("--modes", required=True, choices=("new", "edit"))
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--per-image", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    keep_inside(given.folder)
    figures = run_stage(given)
    print(json.dumps(figures))
    return 0 if figures.get("check", {}).get("ok", True) else 1


def keep_inside(folder: Path) -> None:
    """Have FiftyOne keep its database and files in a folder, and send nothing to its makers."""
    places = {
        name: str(folder / name.lower())
        for name in ("DATABASE_DIR", "DEFAULT_DATASET_DIR", "MODEL_ZOO_DIR", "DATASET_ZOO_DIR")
    }
    settings = {"DO_NOT_TRACK": "true", "DATABASE_VALIDATION": "false", "SHOW_PROGRESS_BARS": "false", **places}
    os.environ.update({f"FIFTYONE_{name}": value for name, value in settings.items()})


def run_stage(given: argparse.Namespace) -> dict[str, Any]:
    """Run one stage in this process, and return its figures."""
    import fiftyone as fo
    import fiftyone.core.odm as database
    import fiftyone_tool

    fo.annotation_config.backends["echo"] = {"config_cls": "fiftyone_tool.EchoToolConfig"}
    fo.list_datasets()  # starts the database, which is not to be measured
    server = database.get_db_conn().client.admin.command("serverStatus")["pid"]
    name, field = f"{given.modes}-{given.images}", fiftyone_tool.FIELDS[given.modes]
    before, figures, tool = (
        server_seconds(server),
        {"product": f"FiftyOne {fo.__version__}"},
        fiftyone_tool.TOOL_SECONDS,
    )
    if given.stage == "build":
        dataset = fo.Dataset(name, persistent=True)
        with measure.phase("build", figures):
            dataset.add_samples(samples(given, tool), num_samples=given.images)
    elif given.stage == "annotate":
        dataset = fo.load_dataset(name)
        with measure.phase("annotate", figures):
            dataset.annotate(
                "run", backend="echo", label_field=field, label_type="detections", classes=echo_store.CLASSES, attributes=False,
                file=str(given.folder / f"{name}.jsonl"), mode=given.modes, per_image=given.per_image,
            )  # fmt: skip
    else:
        dataset = fo.load_dataset(name)
        with measure.phase("load", figures):
            dataset.load_annotations("run", unexpected="ignore")
        found = dataset.count(f"{field}.detections")
        figures["check"] = {
            "labels": found,
            "ok": found == echo_store.expected(given.modes, given.images, given.per_image)["labels"],
        }
        dataset.delete()
    note = f"and mongod {server_seconds(server) - before:.1f} CPU s"
    return figures | {"stage": given.stage, "mode": given.modes, "images": given.images, "per_image": given.per_image,
                      "tool_s": dict(tool), "note": note}  # fmt: skip


def samples(given: argparse.Namespace, seconds: dict[str, float]) -> Iterator[Any]:
    """The samples with their boxes. Making the numbers is counted apart, as it is no work of FiftyOne."""
    import fiftyone as fo

    for image in range(given.images):
        start = thread_time()
        numbers = range(image * given.per_image, (image + 1) * given.per_image)
        boxes = [(echo_store.class_of(n), echo_store.box_of(n)) for n in numbers]
        seconds["rows"] += thread_time() - start
        labels = [fo.Detection(label=name, bounding_box=box) for name, box in boxes]
        yield fo.Sample(
            filepath=str(given.folder / f"images/{image:07d}.jpg"), ground_truth=fo.Detections(detections=labels)
        )


def server_seconds(pid: int) -> float:
    """CPU seconds that another process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    sys.exit(main())
