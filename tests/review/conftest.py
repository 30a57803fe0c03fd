"""A review that is served from this process, and clients of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from PIL import Image
from tests.review.fake_plan import FakePlan

from annobridge.review.server import ReviewServer, review


class Client:
    """What a page does: requests with the token."""

    def __init__(self, server: ReviewServer) -> None:
        parts = urlsplit(server.url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.port, self.token = server.port, parse_qs(parts.query)["token"][0]
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-Annobridge-Token"] = self.token

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(f"{self.origin}/{path}", timeout=30, **options)

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        return self.session.post(f"{self.origin}/{path}", json=body, timeout=30, **options)

    def decide(self, *decisions: dict[str, Any], by: str = "ann") -> requests.Response:
        return self.post("api/decisions", {"by": by, "decisions": list(decisions)})

    def raw(self, text: str) -> tuple[int, str]:
        """Send a request byte by byte as given; status and body of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as found:
            found.sendall(text.replace("\n", "\r\n").encode())
            answer = b"".join(iter(lambda: found.recv(1 << 16), b"")).decode(errors="replace")
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body


def decision(number: int, verdict: str = "accept", **values: Any) -> dict[str, Any]:
    return {"change_id": f"change{number:06}", "verdict": verdict, "bound_to": f"bound{number}", **values}


def images(folder: Path) -> list[Path]:
    """Three images of 64×48 pixels in two folders."""
    paths = [folder / "photos" / name for name in ("day/a.png", "day/b.png", "night/c.jpg")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), (60 * number, 90, 30)).save(path)
    return paths


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """``images`` in the folder of the test."""
    return images(tmp_path)


@pytest.fixture
def plan(files: list[Path]) -> FakePlan:
    return FakePlan.of_files(files, each=2)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Start servers, which end with the test."""
    servers: list[ReviewServer] = []

    def start(plan: Any, decisions: Path = tmp_path / "r1.decisions.jsonl", **options: Any) -> Client:
        servers.append(review(plan, "street.lancedb", decisions, reviewer="me", **options))
        return Client(servers[-1])

    yield start
    for server in servers:
        server.stop()
