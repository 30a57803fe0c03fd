"""The server as a process, the command, and the server of a notebook."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from tests.review.conftest import Client, decision
from tests.review.fake_plan import FakePlan
from typer.testing import CliRunner

import annobridge as ab
from annobridge.cli import app
from annobridge.exceptions import ConfigError, InvalidOption
from annobridge.review import server as serving
from annobridge.review.server import is_remote, review

SETUP = """
    import signal, sys
    from pathlib import Path
    import pyarrow as pa
    from PIL import Image
    import annobridge as ab
    from annobridge.backend.memory import SERVERS
    from annobridge.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes commands in the background ignore it
    folder = Path(sys.argv[1])
    Image.new("RGB", (64, 48), (90, 10, 10)).save(folder / "a.png")
    ds = ab.create_dataset(folder / "ds")
    box = [0.1, 0.2, 0.3, 0.4]
    ds.add_samples([ab.Sample(folder / "a.png", "s0", objects=[ab.Detection("car", box, label_id="c0"),
                                                              ab.Detection("car", box, label_id="c1")])])
    ds.annotate("r1", "objects", backend="memory", url="memory://review")
    (task,) = SERVERS["memory://review"].labels
    table = SERVERS["memory://review"].labels[task]
    rows = [row | {"label": "car", "bounding_box": [0.3, 0.2, 0.3, 0.4]} for row in table.to_pylist()]
    SERVERS["memory://review"].labels[task] = pa.Table.from_pylist(rows, table.schema)
    sys.argv = ["annobridge", *sys.argv[2:]]
    main()
"""


def started(tmp_path: Path, *arguments: str, **environment: str) -> tuple[subprocess.Popen, str]:
    """``annobridge review`` over a dataset with two moved boxes, and the address that it prints."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SETUP), str(tmp_path), "review", "r1", "-d", str(tmp_path / "ds"), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")} | environment,
    )  # fmt: skip
    assert child.stdout.readline() == "Review of r1: 2 changes. The page:\n", child.communicate()
    return child, child.stdout.readline().strip()


def ended(child: subprocess.Popen) -> tuple[str, str]:
    """What else it prints, up to its end. (``communicate`` would lose what is read of a line's buffer.)"""
    with child:
        return child.stdout.read(), child.stderr.read()


def test_the_command_from_start_to_end(tmp_path):
    child, url = started(tmp_path)
    client = Client(SimpleNamespace(url=url, port=int(url.split(":")[2].split("/")[0])))
    assert url.startswith("http://127.0.0.1:")
    plan = client.get("api/plan").json()
    assert plan["dataset"] == str(tmp_path / "ds")
    assert client.get("api/samples/0/image").content == (tmp_path / "a.png").read_bytes()
    first = plan["changes"]
    record = {"change_id": first["id"][0], "verdict": "refuse", "bound_to": first["bound_to"][0]}
    assert client.decide(record).status_code == 200
    child.send_signal(signal.SIGINT)
    out, err = ended(child)
    assert child.returncode == 0, err
    log = "r1.decisions.jsonl"
    assert out.splitlines() == [
        "There is no browser here; open the address in one.",
        f"Decisions are stored in {log}. Ctrl-C ends the review.",
        f"1 change decided, in {log}. Load with:",
        f"  annobridge load r1 -d {tmp_path / 'ds'} --decisions {log}",
    ]
    assert err == "Ending …\n"
    assert json.loads((tmp_path / log).read_text())["verdict"] == "refuse"


def test_the_command_that_loads_names_the_destination(tmp_path):
    child, _ = started(tmp_path, "--dest-field", "checked")
    child.send_signal(signal.SIGINT)
    out, _ = ended(child)
    load = f"  annobridge load r1 -d {tmp_path / 'ds'} --dest-field checked --decisions r1.decisions.jsonl"
    assert out.splitlines()[-1] == load


def test_sigterm_ends_it_too(tmp_path):
    child, url = started(tmp_path, "--decisions", "d.jsonl")
    assert requests.get(url, timeout=10).status_code == 200
    child.terminate()
    ended(child)
    assert child.returncode == 143
    assert (tmp_path / "d.jsonl").exists()


def test_a_review_that_ended_stays_ended(files, tmp_path):
    server = review(FakePlan.of_files(files), "street", tmp_path / "d.jsonl")
    Client(server).decide(decision(0))
    with server:
        server.stop()
    server.stop()
    assert server.session.decided == 1
    with pytest.raises(InvalidOption, match="This review was ended, so nothing can be decided in it; start another."):
        server.session.log.append([])


def test_a_browser_is_opened_where_there_is_one(tmp_path):
    script = tmp_path / "browser"
    script.write_text(f"#!/bin/sh\necho \"$1\" > '{tmp_path}/opened'\n")
    script.chmod(0o755)
    child, url = started(tmp_path, BROWSER=str(script))
    for _ in range(500):
        if (tmp_path / "opened").exists() and (tmp_path / "opened").read_text():
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, _ = ended(child)
    assert (tmp_path / "opened").read_text().strip() == url
    assert "no browser" not in out


def test_no_browser_is_asked_for(tmp_path):
    child, _ = started(tmp_path, "--no-browser", BROWSER="/no/such/program")
    assert child.stdout.readline().startswith("Decisions are stored in")
    child.send_signal(signal.SIGINT)
    ended(child)
    assert child.returncode == 0


def test_other_machines_are_let_in_with_a_warning(tmp_path):
    child, url = started(tmp_path, "--host", "0.0.0.0", "--no-browser")
    port, token = url.split(":")[2].split("/")[0], url.partition("token=")[2]
    headers = {"X-Annobridge-Token": token}
    hosts = {"127.0.0.1": 200, "10.1.2.3": 200, socket.gethostname(): 200, "evil.example": 403}
    for host, status in hosts.items():
        given = headers | {"Host": f"{host}:{port}"}
        assert requests.get(f"http://127.0.0.1:{port}/api/plan", headers=given, timeout=10).status_code == status, host
    child.send_signal(signal.SIGINT)
    _, err = ended(child)
    assert (
        "Warning: Everybody who can reach 0.0.0.0 and has this address sees the images, and can decide and load" in err
    )


def test_what_is_remote():
    assert [is_remote(h) for h in ("127.0.0.1", "127.1.2.3", "localhost", "::1", "0.0.0.0", "10.0.0.1", "::", "my-host")] == [
        False, False, False, False, True, True, True, True,
    ]  # fmt: skip


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_port_that_is_in_use(plan, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidOption) as error:
            review(plan, "ds", tmp_path / "d.jsonl", port=port)
    assert str(error.value) == (
        f"Port {port} is in use on 127.0.0.1; give another with --port, or leave it out, and a free one is taken."
    )
    server = review(plan, "ds", tmp_path / "d.jsonl", port=port)  # and the file is not held
    assert server.port == port
    server.stop()
    again = review(plan, "ds", tmp_path / "d.jsonl", port=port)
    again.stop()


def test_a_port_that_is_none(plan, tmp_path):
    with pytest.raises(InvalidOption, match=r"^70000 is no port; give one from 1024 to 65535 with --port\.$"):
        review(plan, "ds", tmp_path / "d.jsonl", port=70000)


def test_an_address_of_another_machine(plan, tmp_path):
    expected = (
        r"^The server cannot listen on 192\.0\.2\.1 \(.*\); leave --host out, or give an address of this machine\.$"
    )
    with pytest.raises(InvalidOption, match=expected):
        review(plan, "ds", tmp_path / "d.jsonl", host="192.0.2.1")


def test_without_the_extra(monkeypatch, plan, tmp_path):
    find = serving.importlib.util.find_spec
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    with pytest.raises(ConfigError) as error:
        review(plan, "ds", tmp_path / "d.jsonl")
    assert str(error.value) == "The review page needs uvicorn, which is not installed: pip install 'annobridge[review]'"
    result = CliRunner().invoke(app, ["review", "r1", "-d", str(tmp_path)])
    assert (result.exit_code, result.stderr) == (
        1, "Error: The review page needs uvicorn, which is not installed: pip install 'annobridge[review]'\n",
    )  # fmt: skip


def test_the_packages_are_not_imported_by_others():
    names = "annobridge.cli, annobridge.dataset, annobridge.bridge.merge_plan"
    code = f"import sys, {names}; print({{'starlette', 'uvicorn', 'av'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_run_that_is_not_there(tmp_path):
    ab.create_dataset(tmp_path / "ds")
    result = CliRunner().invoke(app, ["review", "r1", "-d", str(tmp_path / "ds")])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


# --- in a notebook ----------------------------------------------------------------------------------------------------


def test_a_server_of_a_notebook(plan, tmp_path):
    server = review(plan, "ds", tmp_path / "d.jsonl")
    client = Client(server)
    assert client.decide(decision(0)).status_code == 200
    assert f'<a href="{server.url}" target="_blank" rel="noreferrer">Review r1</a>' in server._repr_html_()
    assert repr(server) == f"Review of 'r1' at {server.url}, decisions in {tmp_path / 'd.jsonl'}; stop() ends it"
    assert server.session.decided == 1
    server.stop()
    with pytest.raises(requests.ConnectionError):
        client.get("api/plan")


def test_stop_waits_for_a_load(files, tmp_path):
    def slow(_):
        time.sleep(0.5)
        return SimpleNamespace(to_dict=dict)

    server = review(FakePlan.of_files(files, on_load=slow), "ds", tmp_path / "d.jsonl")
    Client(server).post("api/load", {"undecided": "take", "force": False})
    server.stop()
    assert server.session.job.state()["state"] == "done"


def test_start_up_does_not_wait(plan, tmp_path):
    begin = time.perf_counter()
    with review(plan, "ds", tmp_path / "d.jsonl") as server:
        assert requests.get(server.url, timeout=5).status_code == 200
        assert time.perf_counter() - begin < 3
