"""The code on ``docs/tools/datagym.md`` is run against the doubles, as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from tests import datagym_servers
from tests.backend.datagym_cases import ByHand

import annobridge as ab

PAGE = Path(__file__).parents[2] / "docs" / "tools" / "datagym.md"
BY_API, BY_FILES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def ds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ab.Dataset:
    monkeypatch.chdir(tmp_path)
    made = ab.create_dataset(tmp_path / "data")
    for n in range(2):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{n}.png")
        made.add_samples([ab.Sample(tmp_path / f"{n}.png", objects=[ab.Detection("car", [0.25, 0.25, 0.5, 0.5])])])
    return made


def parts(code: str) -> tuple[str, str]:
    """The call that sends, and the one that loads."""
    head, verb, rest = code.partition("ds.load_annotations")
    return head, (verb + rest).strip()


@pytest.mark.filterwarnings("ignore:.*backlog")
def test_by_the_api_of_the_hosted_edition(ds: ab.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    send, load = parts(BY_API)
    with datagym_servers.running("hosted") as server:
        monkeypatch.setenv("ANNOBRIDGE_DATAGYM_URL", server.url)
        monkeypatch.setenv("ANNOBRIDGE_DATAGYM_TOKEN", str(server.token))
        exec(send, {"ds": ds})
        assert ds.load_annotation_results("round1").status()["state"] == "sent"
        report = eval(load, {"ds": ds})
        assert (report.added, report.edited, report.deleted) == (0, 0, 0)
        ds.abort_annotation("round1")


def test_by_files(ds: ab.Dataset, tmp_path: Path) -> None:
    send, load = parts(BY_FILES)
    with datagym_servers.running("open_core") as server:
        person = ByHand(server)
        person.upload_images(sorted(tmp_path.glob("*.png")), tmp_path / "ids.json")
        exec(send, {"ds": ds})
        person.upload_configuration(tmp_path / "out" / "label-configuration.json")
        for file in (tmp_path / "out").glob("*.labels.json"):
            assert person.upload_labels(file) == ""
        person.finish()
        person.download(tmp_path / "datagym_export.json")
        report = eval(load, {"ds": ds})
        person.close()
    assert (report.added, report.edited, report.deleted) == (0, 0, 0)
