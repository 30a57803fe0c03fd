"""annobridge compared with a minimal script that makes the requests of the same job, on one CVAT server.

    python benchmarks/cvat_real.py --url http://127.0.0.1:8080 --token … [--images 1000] [--task-size 100] [--rounds 3]

Both send the same JPEGs (some 90 kB each) and the same ten boxes per image, in tasks of one size, and both load them back. The
script creates a task, sends the files in one request, waits, requests the labels and the sizes of the images, and uploads the
shapes; later it downloads them, with the labels, the jobs and the metadata of the task. The ratio shows the cost of what annobridge
does besides: it looks for existing tasks, decodes every file, keeps a baseline and merges. Both ways run several times, in turn, as
servers have other load too, and each figure is the median.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
import uuid
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


def bare(args: argparse.Namespace, paths: list[Path], figures: dict[str, Any]) -> None:
    """Send, load, edit and load again by bare requests."""
    server = Bare(args.url, args.token)
    tasks = []
    with measure.phase("bare_annotate", figures):
        for at in range(0, len(paths), args.task_size):
            tasks.append(server.send(paths[at : at + args.task_size], at))
    with measure.phase("bare_load", figures):
        found = sum(server.load(task) for task in tasks)
    assert found == BOXES * len(paths), found
    edit(server, tasks)
    with measure.phase("bare_load_edited", figures):
        found = sum(server.load(task) for task in tasks)
    for task in tasks:
        server.call("DELETE", f"/tasks/{task}")


def bridged(args: argparse.Namespace, paths: list[Path], uri: Path, figures: dict[str, Any]) -> None:
    """Send, load, edit a box of each image and load again by annobridge."""
    import annobridge as ab

    dataset = ab.create_dataset(uri)
    boxes = {n: [ab.Detection("car", box(n, k)) for k in range(BOXES)] for n in range(len(paths))}
    dataset.add_samples([ab.Sample(p, objects=boxes[n]) for n, p in enumerate(paths)])
    options = {"url": args.url, "token": args.token}
    with measure.phase("annotate", figures):
        results = dataset.annotate(
            "bench", label_field="objects", attributes=False, backend="cvat", task_size=args.task_size, **options
        )
    with measure.phase("load", figures):
        report = dataset.load_annotations("bench", **options)
    assert report.total == 0, report
    edit(Bare(args.url, args.token), [receipt.state["tasks"][0]["task"] for receipt in results.receipts()])
    with measure.phase("load_edited", figures):
        report = dataset.load_annotations("bench", **options)
    assert report.edited == len(paths), report
    results.cleanup()


def edit(server: Bare, tasks: list[int]) -> None:
    """Move a box of every image by ten pixels."""
    for task in tasks:
        shapes = {s["frame"]: s for s in server.call("GET", f"/tasks/{task}/annotations")["shapes"]}
        moved = [{**s, "points": [p + 10 for p in s["points"]]} for s in shapes.values()]
        body = {"tags": [], "shapes": moved, "tracks": []}
        server.call("PATCH", f"/tasks/{task}/annotations?action=update", json=body)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--url", required=True)
    p.add_argument("--token", required=True)
    p.add_argument("--images", type=int, default=1000)
    p.add_argument("--task-size", type=int, default=100)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="annobridge-bench-"))
    figures: dict[str, Any] = {"images": args.images, "task_size": args.task_size}
    try:
        paths = draw(folder / "images", args.images)
        figures["kilobytes"] = round(sum(p.stat().st_size for p in paths) / len(paths) / 1000, 1)
        rounds: list[dict[str, Any]] = []
        for number in range(args.rounds):
            rounds.append({})
            ways = [lambda: bare(args, paths, rounds[-1]), lambda: bridged(args, paths, folder / "dataset", rounds[-1])]
            for way in ways if number % 2 == 0 else ways[::-1]:  # whoever is second has a fuller database
                way()
            shutil.rmtree(folder / "dataset")
    finally:
        shutil.rmtree(folder)
    for phase in rounds[0]:
        figures[phase] = {key: statistics.median(r[phase][key] for r in rounds) for key in rounds[0][phase]}
    for stage in ("annotate", "load", "load_edited"):
        each = [r[stage]["wall_s"] / r[f"bare_{stage}"]["wall_s"] for r in rounds]
        figures[f"{stage}_ratio"] = round(statistics.median(each), 2)
        figures[f"{stage}_ratios"] = [round(one, 2) for one in each]
    text = json.dumps(figures, indent=1)
    if args.json:
        args.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
