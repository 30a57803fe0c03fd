"""A server that is killed at any moment loses no decision that it answered for."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from types import SimpleNamespace

import requests
from tests.review.conftest import decision

from annobridge.bridge import decision_file

CHILD = """
    import sys
    from pathlib import Path
    from tests.review.fake_plan import FakePlan, change
    from annobridge.review.server import review

    plan = FakePlan([change(n, "s0") for n in range(2000)], [{"sample_id": "s0", "filepath": "x.png"}])
    server = review(plan, "street", Path(sys.argv[1]))
    print(server.url, flush=True)
    server.wait()
"""
ROUNDS = 6


def test_killed_at_random_moments(tmp_path):
    path, randomly = tmp_path / "d.jsonl", random.Random(14)
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), str(path)], stdout=subprocess.PIPE, text=True
        ) as child:
            address, _, token = child.stdout.readline().strip().partition("/?token=")
            answered = threading.Event()  # in half of the rounds, the clock starts with the first answer
            if number % 2:
                answered.set()
            killer = threading.Thread(target=kill, args=(child, answered, randomly.uniform(0.002, 0.3)))
            killer.start()
            post_until_it_dies(address, token, number, acknowledged, answered)
            killer.join()
        found, _ = decision_file.read(path, SimpleNamespace(anno_key="r1", run_id="run1"))
        assert set(acknowledged) <= set(found["note"].to_pylist())
    assert len(acknowledged) >= ROUNDS // 2
    assert all(json.loads(line) for line in path.read_bytes().split(b"\n")[:-1])


def kill(child: subprocess.Popen, answered: threading.Event, seconds: float) -> None:
    answered.wait(60)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)


def post_until_it_dies(
    address: str, token: str, number: int, acknowledged: list[str], answered: threading.Event
) -> None:
    with requests.Session() as session:
        session.headers["X-Annobridge-Token"] = token
        for at in range(100_000):
            notes = [f"{number}/{at}/{n}" for n in range(1 + at % 40)]
            decisions = [decision(n, note=note) for n, note in enumerate(notes)]
            try:
                answer = session.post(f"{address}/api/decisions", json={"by": "x", "decisions": decisions}, timeout=10)
            except requests.RequestException:
                return
            assert answer.status_code == 200
            acknowledged += notes
            answered.set()
