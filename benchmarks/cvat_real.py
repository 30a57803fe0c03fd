"""annobridge compared with a minimal script that makes the requests of the same job, on one CVAT server.

    python benchmarks/cvat_real.py --url http://127.0.0.1:8080 --token … [--images 1000] [--task-size 100] [--rounds 3] [--loads 4]

Both send the same JPEGs (some 90 kB each) and the same ten boxes per image, in tasks of one size, and both load them back. The
script creates a task, sends the files in one request, waits, requests the labels and the sizes of the images, and uploads the
shapes; later it downloads them, with the labels, the jobs and the metadata of the task. The ratio shows the cost of what annobridge
does besides: it looks for existing tasks, checks every file, keeps a baseline and merges. Both ways run several times, in turn, as
servers have other load too. Each figure is the median; a ratio is of the wall times of one round.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

import measure

BOXES = 10
WIDTH, HEIGHT = 640, 480


def draw(folder: Path, images: int) -> list[Path]:
    """JPEGs of about 90 kB: half of them noise."""
    folder.mkdir(parents=True)
    paths, noise = [], np.random.default_rng(0)
    for number in range(images):
        pixels = np.full((HEIGHT, WIDTH, 3), (number % 256, 90, 120), np.uint8)
        pixels[: HEIGHT // 2 - 40] = noise.integers(0, 256, (HEIGHT // 2 - 40, WIDTH, 3))
        paths.append(folder / f"{number:06d}.jpg")
        Image.fromarray(pixels).save(paths[-1], "JPEG", quality=80)
    return paths


def box(image: int, number: int) -> list[float]:
    """The relative box with a number; no two are equal."""
    return [0.05 * number + 0.0001 * (image % 100), 0.1 + 0.05 * number, 0.11, 0.07]


class Bare:
    """Makes only the requests that are needed."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.session = url.rstrip("/"), requests.Session()
        scheme = "Bearer" if "." in token else "Token"
        self.session.headers.update({"Authorization": f"{scheme} {token}", "Accept": "*/*"})

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self.session.request(method, f"{self.url}/api{path}", timeout=600, **arguments)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def send(self, paths: list[Path], first: int) -> int:
        """Create a task with images and boxes; returns its id."""
        body = {"name": f"bare-{uuid.uuid4().hex[:8]}", "labels": [{"name": "car", "type": "rectangle"}]}
        task = self.call("POST", "/tasks", json=body)["id"]
        files = [(f"client_files[{n}]", (p.name, p.read_bytes(), "image/jpeg")) for n, p in enumerate(paths)]
        fields = {"image_quality": "75", "use_cache": "true"}
        self.call("POST", f"/tasks/{task}/data", data=fields, files=files)
        while not self.call("GET", f"/tasks/{task}").get("size"):
            time.sleep(0.1)
        self.call("GET", f"/tasks/{task}/data/meta")
        label = self.call("GET", f"/labels?task_id={task}")["results"][0]["id"]
        shapes = [self.shape(label, frame, box(first + frame, n)) for frame in range(len(paths)) for n in range(BOXES)]
        self.call("PUT", f"/tasks/{task}/annotations", json={"tags": [], "shapes": shapes, "tracks": []})
        return int(task)

    def load(self, task: int) -> int:
        """Download a task; returns the number of its shapes."""
        for path in (f"/tasks/{task}/data/meta", f"/labels?task_id={task}", f"/jobs?task_id={task}"):
            self.call("GET", path)
        return len(self.call("GET", f"/tasks/{task}/annotations")["shapes"])

    @staticmethod
    def shape(label: int, frame: int, relative: list[float]) -> dict[str, Any]:
        x, y, w, h = relative
        points = [x * WIDTH, y * HEIGHT, (x + w) * WIDTH, (y + h) * HEIGHT]
        return {"type": "rectangle", "frame": frame, "label_id": label, "points": points, "occluded": False,
                "outside": False, "z_order": 0, "rotation": 0.0, "group": 0, "source": "manual", "attributes": [],
                "elements": []}  # fmt: skip


Work = Callable[[], object]


class Round:
    """One round: both ways send, load what nobody touched, and load after an edit; whoever is first takes turns.

    Args:
        server: makes the bare requests.
        options: of annobridge, to reach the same server.
        paths: the images.
        folder: where the dataset is made.
        task_size: images in a task.
        loads: how often each load is repeated; one takes little time, and the server has other work too.
        swapped: whether annobridge is first.
    """

    def __init__(
        self,
        server: Bare,
        options: dict[str, str],
        paths: list[Path],
        folder: Path,
        task_size: int,
        loads: int,
        swapped: bool,
    ) -> None:
        import annobridge as ab

        self.server, self.options, self.paths, self.task_size = server, options, paths, task_size
        self.loads, self.swapped = loads, swapped
        self.figures: dict[str, list[dict[str, Any]]] = {}
        self.dataset = ab.create_dataset(folder)
        for at in range(0, len(paths), 1000):
            numbers = range(at, min(at + 1000, len(paths)))
            boxes = {n: [ab.Detection("car", box(n, k)) for k in range(BOXES)] for n in numbers}
            self.dataset.add_samples([ab.Sample(paths[n], objects=boxes[n]) for n in numbers])

    def run(self) -> None:
        """Do everything, and remove the tasks from the server."""
        tasks: list[int] = []
        self.measure("annotate", lambda: tasks.extend(self.send_bare()), self.annotate)
        results = self.dataset.load_annotation_results("bench", **self.options)
        try:
            ours = [receipt.state["tasks"][0]["task"] for receipt in results.receipts()]
            for _ in range(self.loads):
                self.measure("load", lambda: self.load_bare(tasks), lambda: self.load(0))
            for _ in range(self.loads):
                edit(self.server, [*tasks, *ours])
                self.measure("load_edited", lambda: self.load_bare(tasks), lambda: self.load(len(self.paths)))
        finally:
            results.cleanup()
            for task in tasks:
                self.server.call("DELETE", f"/tasks/{task}")

    def measure(self, stage: str, bare: Work, bridged: Work) -> None:
        """Do both, one after another, and keep the figures of each."""
        ways = {f"bare_{stage}": bare, stage: bridged}
        for name in sorted(ways, reverse=self.swapped):
            found: dict[str, Any] = {}
            with measure.phase(name, found):
                ways[name]()
            self.figures.setdefault(name, []).append(found[name])
        self.swapped = not self.swapped

    def send_bare(self) -> list[int]:
        """The ids of the tasks."""
        size = self.task_size
        return [self.server.send(self.paths[at : at + size], at) for at in range(0, len(self.paths), size)]

    def load_bare(self, tasks: list[int]) -> None:
        found = sum(self.server.load(task) for task in tasks)
        assert found == BOXES * len(self.paths), found

    def annotate(self) -> None:
        self.dataset.annotate(
            "bench", label_field="objects", attributes=False, backend="cvat", task_size=self.task_size, **self.options
        )

    def load(self, edited: int) -> None:
        report = self.dataset.load_annotations("bench", **self.options)
        assert report.total == report.edited == edited, report


def edit(server: Bare, tasks: list[int]) -> None:
    """Move a box of every image by ten pixels."""
    for task in tasks:
        shapes = {s["frame"]: s for s in server.call("GET", f"/tasks/{task}/annotations")["shapes"]}
        moved = [{**s, "points": [p + 10 for p in s["points"]]} for s in shapes.values()]
        body = {"tags": [], "shapes": moved, "tracks": []}
        server.call("PATCH", f"/tasks/{task}/annotations?action=update", json=body)


def summary(rounds: list[Round]) -> dict[str, Any]:
    """For each stage the medians of all its figures, and the ratio of the wall times of each round with the median of those."""
    found: dict[str, Any] = {}
    for name in rounds[0].figures:
        each = [figures for one in rounds for figures in one.figures[name]]
        found[name] = {key: statistics.median(figures[key] for figures in each) for key in each[0]}
    for stage in ("annotate", "load", "load_edited"):
        took = [[sum(f["wall_s"] for f in one.figures[name]) for name in (stage, f"bare_{stage}")] for one in rounds]
        ratios = [ours / bare for ours, bare in took]
        found[f"{stage}_ratio"] = round(statistics.median(ratios), 3)
        found[f"{stage}_ratios"] = [round(one, 3) for one in ratios]
    return found


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--url", required=True)
    p.add_argument("--token", required=True)
    p.add_argument("--images", type=int, default=1000)
    p.add_argument("--task-size", type=int, default=100)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--loads", type=int, default=4, help="how often each load is repeated in a round")
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="annobridge-bench-"))
    figures: dict[str, Any] = {"images": args.images, "task_size": args.task_size, "rounds": args.rounds}
    server, options = Bare(args.url, args.token), {"url": args.url, "token": args.token}
    rounds: list[Round] = []
    try:
        paths = draw(folder / "images", args.images)
        figures["kilobytes"] = round(sum(p.stat().st_size for p in paths) / len(paths) / 1000, 1)
        for number in range(args.rounds):
            dataset = folder / f"dataset{number}"
            rounds.append(Round(server, options, paths, dataset, args.task_size, args.loads, number % 2 == 1))
            rounds[-1].run()
    finally:
        shutil.rmtree(folder)
    text = json.dumps(figures | summary(rounds), indent=1)
    if args.json:
        args.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
