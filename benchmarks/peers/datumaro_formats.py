"""One case of ``formats.py`` in datumaro: files are read into its memory, and written from it; prints the figures as JSON.

``formats.py`` runs this with the Python of datumaro's environment. datumaro stores nothing. The time of writing is without the
reading before it; the memory is with it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import datumaro

import measure

NAMES = {"coco": "coco_instances", "cvat": "cvat", "yolo": "yolo"}


def main(case: str, name: str, source: str, target: str) -> None:
    figures: dict[str, Any] = {}
    with measure.phase("read", figures):
        dataset = datumaro.Dataset.import_from(source, NAMES[name])
        labels = sum(len(item.annotations) for item in dataset)
    if case == "write":
        with measure.phase("write", figures):
            dataset.export(target, NAMES[name], save_media=False)
        figures["write"]["rss_start_mib"] = figures["read"]["rss_start_mib"]
    print(json.dumps({"product": f"datumaro {datumaro.__version__}", "labels": labels, **figures[case]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
