"""DataGym refuses some images of a task: they are named, and the others stay as they are."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests import datagym_servers
from tests.datagym_servers import Server
from tests.doubles.datagym import places

import annobridge as ab

SCHEMA = {"objects": {"type": "detections", "classes": ["car"]}}


@pytest.fixture(params=["hosted", "open_core"])
def server(request: pytest.FixtureRequest) -> Any:
    with getattr(datagym_servers, request.param)() as found:
        yield found


def images(folder: Path, *names: str) -> ab.Dataset:
    ds = ab.create_dataset(folder / "set")
    for n, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 48), (40 * n, 0, 0)).save(folder / name)
    box = [ab.Detection("car", [0.125, 0.125, 0.25, 0.25])]
    ds.add_samples(ab.Sample(folder / name, sample_id=f"s{n}", objects=box) for n, name in enumerate(names))
    return ds


def call(verb: Any, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return verb(*args, progress=False, **options)


def annotate(ds: ab.Dataset, server: Server, **options: Any) -> ab.AnnotationResults:
    return call(ds.annotate, "run", label_schema=SCHEMA, backend="datagym", **server.options(), **options)


def there(server: Server) -> list[str]:
    return sorted(m.id for d in server.double.state.datasets.values() for m in d.present())


def samples_of(results: ab.AnnotationResults) -> list[str]:
    return [s for receipt in results.receipts() for s in receipt.state["samples"]]


def login(server: Server) -> dict[str, Any]:
    return {k: v for k, v in server.options().items() if k != "project_name"}


def test_images_that_are_refused_cost_themselves_only(server: Server, tmp_path: Path) -> None:
    """Also where files of one name are told apart by numbers, which those that are left out change."""
    ds = images(tmp_path, "a/x.png", "b/x.bmp", "b/x.png", "c/x.bmp", "c/x.png", "d/x.bmp")
    assert samples_of(annotate(ds, server, on_rejected="skip")) == ["s0", "s2", "s4"]
    assert len(there(server)) == 3
    assert call(ds.load_annotations, "run", **login(server)).changes == 0


def test_what_was_sent_before_is_kept_when_a_run_is_resumed(server: Server, tmp_path: Path) -> None:
    ds = images(tmp_path, "a.png", "b.bmp", "c.png")
    with pytest.raises(ab.Rejected, match=r"b\.bmp', of sample 's1': DataGym takes JPEG and PNG"):
        annotate(ds, server)
    before = there(server)
    assert len(before) == 1
    results = call(ds.resume_annotation, "run", on_rejected="skip", **login(server))
    assert samples_of(results) == ["s0", "s2"]
    assert set(before) < set(there(server))


def test_a_refusal_names_the_sample(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is stored and then held for invalid is removed again."""
    shown = places.media_shown

    def invalid(*args: Any, **more: Any) -> Any:
        return shown(*args, **more) | {"valid": False, "reason": "INVALID_MIME_TYPE"}

    ds = images(tmp_path, "a.png")
    monkeypatch.setattr(places, "media_shown", invalid)
    with pytest.raises(
        ab.Rejected, match=r"sample 's0' is not valid there \(INVALID_MIME_TYPE\), and was removed again"
    ):
        annotate(ds, server)
    assert [m for d in server.double.state.datasets.values() for m in d.present()] == []


@pytest.mark.parametrize(("status", "left"), [("FAILED", ["s0", "s2"]), ("DUPLICATE", None)])
def test_addresses_that_are_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, left: list[str] | None
) -> None:
    """A duplicate is no fault of the sample: it is somewhere in the dataset, under an id that is not told."""
    add_urls = places.add_urls

    def refusing(state: Any, dataset: Any, urls: list[str]) -> Any:
        bad = [url for url in urls if url.endswith("b.png")]
        told = [
            {"internal_media_ID": None, "external_media_ID": None, "imageUrl": u, "mediaUploadStatus": status}
            for u in bad
        ]
        return add_urls(state, dataset, [url for url in urls if url not in bad]) + told

    ds = images(tmp_path, "a.png", "b.png", "c.png")
    monkeypatch.setattr(places, "add_urls", refusing)
    options = {"media": "urls", "media_root": str(tmp_path), "url_root": "https://pictures.example"}
    if left is None:
        with pytest.raises(ab.Rejected, match=r"was not taken \(DUPLICATE\).* resume_annotation\('run'\)"):
            annotate(ds, server, on_rejected="skip", **options)
    else:
        assert samples_of(annotate(ds, server, on_rejected="skip", **options)) == left
