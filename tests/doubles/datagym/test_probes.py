"""The double answers raw requests as a real DataGym (core 0.29, MariaDB) did; ``probes.json`` has the recorded answers.

They are asked of a real server too, where the environment names one: see ``tests/datagym_servers.py``. Run as a program,
``python -m tests.doubles.datagym.test_probes``, it asks that server and writes the file anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests import datagym_servers
from tests.datagym_servers import Server
from tests.doubles.datagym import probes

GOLDEN = Path(__file__).parents[2] / "golden" / "datagym" / "probes.json"


def expected() -> dict[str, dict[str, Any]]:
    return dict(json.loads(GOLDEN.read_text("utf-8")))


def answers(area: str, server: Server) -> dict[str, Any]:
    owner = server.double.state.owner if server.double else probes.asking.OWNER
    asker = probes.Asker(server.url, server.token, server.project, owner)
    probes.AREAS[area](asker)
    return asker.answers


def check(area: str, server: Server) -> None:
    found, wanted = answers(area, server), expected()[area]
    assert found.keys() == wanted.keys()
    assert {n: a for n, a in found.items() if a != wanted[n]} == {n: a for n, a in wanted.items() if a != found[n]}


@pytest.mark.parametrize("area", probes.AREAS)
def test_the_double_answers_as_the_server(area: str) -> None:
    with datagym_servers.hosted() if area == "hosted" else datagym_servers.open_core() as server:
        check(area, server)


@pytest.mark.skipif(not datagym_servers.HAS_REAL, reason="no real server is named in the environment")
@pytest.mark.parametrize("area", probes.AREAS)
def test_the_server_answers_as_it_did(area: str) -> None:
    with datagym_servers.real() as server:
        if (area == "hosted") != server.v1:
            pytest.skip("the other dialect's questions")
        check(area, server)


def test_there_are_many_requests() -> None:
    assert sum(map(len, expected().values())) > 600


def write() -> None:
    """Record the answers of a real server, in the dialect that the environment names."""
    kept = expected() if GOLDEN.exists() else {}
    with datagym_servers.real() as server:
        for area in probes.AREAS:
            if (area == "hosted") == server.v1:
                kept[area] = answers(area, server)
    lines = (
        f"{json.dumps(area)}: {{\n" + ",\n".join(f"{json.dumps(n, ensure_ascii=False)}: {json.dumps(a, ensure_ascii=False)}"
                                              for n, a in sorted(of.items())) + "\n}"
        for area, of in sorted(kept.items())
    )  # fmt: skip
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    write()
