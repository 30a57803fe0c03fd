"""A review as one file: what is in it, what is left out, and that nothing in it can do harm."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.review.fake_plan import FakePlan, change, label
from typer.testing import CliRunner

import annobridge as ab
from annobridge.cli import app
from annobridge.exceptions import ConfigError, InvalidOption
from annobridge.review import crops, offline
from annobridge.review.bundle import bundle

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'


def data_of(path: Path) -> dict:
    """The data in a file, as a browser reads it."""
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)[1]
    return json.loads(text)


def photos(folder: Path, count: int, size: tuple[int, int] = (640, 480)) -> list[Path]:
    noise = np.random.default_rng(7)
    paths = []
    for number in range(count):
        pixels = noise.integers(0, 255, (size[1] // 8, size[0] // 8, 3), np.uint8)
        paths.append(folder / f"{number:02}.jpg")
        Image.fromarray(pixels).resize(size).save(paths[-1])
    return paths


def test_it_has_what_the_api_has(serve, files, tmp_path):
    plan = FakePlan.of_files(files, each=2, notes=("A note.",))
    found = offline.write(plan, tmp_path / "r.html", "/home/ann/street.lancedb", reviewer="ann")
    data = data_of(tmp_path / "r.html")
    client = serve(FakePlan.of_files(files, each=2))
    api = client.get("api/plan").json()
    for name in ("changes", "samples", "anno_key", "run_id", "backend", "decisions", "seq"):
        assert data["plan"][name] == api[name], name
    assert (data["plan"]["can_load"], data["plan"]["can_send_back"], data["plan"]["reviewer"]) == (False, False, "ann")
    assert data["samples"] == {str(n): client.get(f"api/samples/{n}").json() for n in range(3)}
    assert (found.changes, found.pictures, found.left_out, found.notes) == (6, 3, 0, ("A note.",))
    assert found.size == (tmp_path / "r.html").stat().st_size


def test_crops_show_the_changes_with_a_margin(tmp_path):
    paths = photos(tmp_path, 1, (1000, 500))
    rows = [
        change(0, "s0", base_box=[0.1, 0.2, 0.2, 0.2], ours_box=[0.1, 0.2, 0.2, 0.2], theirs_box=[0.2, 0.2, 0.2, 0.2]),
        change(1, "s0", base_box=None, ours_box=None, theirs_box=[0.9, 0.9, 0.02, 0.02]),
        change(2, "s1", base_box=None, ours_box=None, theirs_box=None),
    ]
    samples = [{"sample_id": f"s{n}", "media_type": "image", "filepath": str(paths[0])} for n in range(2)]
    offline.write(FakePlan(rows, samples), tmp_path / "r.html", "ds")
    first, second, whole = data_of(tmp_path / "r.html")["images"]
    assert first["box"] == pytest.approx([0.025, 0.14, 0.45, 0.32], abs=0.003)
    assert second["box"] == pytest.approx([0.84, 0.84, 0.14, 0.14], abs=0.003)
    assert whole["box"] == [0, 0, 1, 1]
    assert [(i["sample"], i["frame"]) for i in (first, second, whole)] == [(0, None), (0, None), (1, None)]
    picture = Image.open(io.BytesIO(base64.b64decode(first["src"].partition(",")[2])))
    assert (picture.format, picture.size) == ("WEBP", (448, 159))
    expected = Image.open(paths[0]).crop((24, 70, 475, 230)).resize((448, 159))
    assert np.abs(np.asarray(picture.convert("RGB"), int) - np.asarray(expected, int)).mean() < 8


def test_crops_that_lie_together_become_one():
    assert crops.merged([(0.0, 0.0, 0.1, 0.1), (0.0, 0.1, 0.1, 0.2), (0.9, 0.9, 1.0, 1.0)]) == [
        (0.0, 0.0, 0.1, 0.2), (0.9, 0.9, 1.0, 1.0),
    ]  # fmt: skip


def test_the_size_is_kept_and_what_is_left_out_is_told(tmp_path):
    plan = FakePlan.of_files(photos(tmp_path, 20))
    whole = offline.write(plan, tmp_path / "whole.html", "ds")
    base = (tmp_path / "whole.html").stat().st_size - sum(
        len(i["src"]) for i in data_of(tmp_path / "whole.html")["images"]
    )
    found = offline.write(plan, tmp_path / "r.html", "ds", megabytes=0.05)
    data = data_of(tmp_path / "r.html")
    assert (whole.pictures, whole.left_out) == (20, 0)
    assert 0 < found.pictures < 20
    assert found.pictures + found.left_out == 20
    assert found.size < base + 50_000 + 2_000
    assert [i["sample"] for i in data["images"]] == list(range(found.pictures))  # those of the riskiest changes
    note = (
        f"{found.left_out} of 20 pictures, those of the least risky changes, are left out to keep the file below 0.05 MB; a larger "
        "one is made with --html-size MB."
    )
    assert found.notes == (note,)
    assert data["plan"]["notes"] == [note]
    assert note in (tmp_path / "r.html").read_text()  # readable without a script


def test_neighbours_are_left_out_of_a_small_file(tmp_path):
    plan = FakePlan.of_files(photos(tmp_path, 70))
    plan.label_rows += [label(f"n{n}.{k}", f"s{n}", "same") for n in range(70) for k in range(20)]
    found = offline.write(plan, tmp_path / "r.html", "ds", megabytes=0.1)
    sides = [{row["side"] for row in sample["labels"]} for sample in data_of(tmp_path / "r.html")["samples"].values()]
    assert sides[0] == {"theirs", "same"}
    assert sides[-1] == {"theirs"}
    bare = sum(s == {"theirs"} for s in sides)
    assert (
        found.notes[0]
        == f"Labels that did not change are left out of {bare} images and videos, to keep the file small."
    )


def test_pictures_that_cannot_be_shown_are_told(files, tmp_path):
    files[1].unlink()
    found = offline.write(FakePlan.of_files(files), tmp_path / "r.html", "ds")
    assert (found.pictures, found.left_out) == (2, 0)
    assert found.notes == ("1 of 3 pictures cannot be shown. The first: day/b.png: The image is not there any more.",)


def test_nothing_in_it_becomes_markup(files, tmp_path):
    rows = [
        change(0, "s0", label=HOSTILE, class_from="car", class_to=HOSTILE, component="label", group="class change", why=HOSTILE,
               their_by=HOSTILE, field=HOSTILE),
        change(1, "s0", group="conflict", kind="edit/edit", component=f"attributes.{HOSTILE}", base=json.dumps(HOSTILE),
               ours=json.dumps(HOSTILE), theirs=json.dumps(HOSTILE), field=HOSTILE, choices=["ours", "theirs"]),
    ]  # fmt: skip
    path = files[0].rename(files[0].with_name("<img src=x onerror=alert(3)>.png"))
    samples = [{"sample_id": "s0", "media_type": "image", "filepath": str(path)}]
    plan = FakePlan(rows, samples, [label("label0", "s0", label=HOSTILE)], notes=(HOSTILE,))
    plan.run.anno_key = HOSTILE
    offline.write(plan, tmp_path / "r.html", HOSTILE)
    text = (tmp_path / "r.html").read_text()
    outside = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "<img" not in outside
    assert "alert(1)</script>" not in text
    assert len(re.findall(r"<script[ >]", text)) == 2
    assert data_of(tmp_path / "r.html")["plan"]["changes"]["label"][0] == HOSTILE


def test_the_policy_allows_its_own_script_and_style_and_no_network(files, tmp_path):
    offline.write(FakePlan.of_files(files), tmp_path / "r.html", "ds")
    text = (tmp_path / "r.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    script = re.search(r'<script type="module">(.*?)</script>', text, re.DOTALL)[1]
    for kind, content in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "connect-src" not in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert not re.search(r'(src|href)="(?!data:|#)', text.replace(script, ""))


def test_the_summary_is_there_without_a_script(files, tmp_path):
    rows = [
        change(0, "s0", group="deletion", kind="delete", component="existence"),
        change(1, "s0", group="class change", component="label", class_from="car", class_to="bus"),
        change(2, "s1", group="class change", component="label", class_from="car", class_to="bus"),
        change(3, "s1", group="conflict", kind="edit/edit", component="attributes.colour", base='"red"', ours='"blue"',
               theirs=None, proposal="theirs", choices=["base", "ours", "theirs"]),
    ]  # fmt: skip
    plan = FakePlan(rows, FakePlan.of_files(files).sample_rows, notes=("A note.",))
    offline.write(plan, tmp_path / "r.html", "/home/ann/street.lancedb")
    section = re.search(r"<section.*?</section>", (tmp_path / "r.html").read_text(), re.DOTALL)[0]
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>(.*?)</tr>", section)]
    assert ["Conflicts", "1", "0", "1"] in rows
    assert ["Class changes", "2", "0", "2"] in rows
    assert ["car", "bus", "2"] in rows
    assert ["day/a.png", "2", "deletions: 1, class changes: 1"] in rows
    assert ["day/b.png", "objects", "attributes.colour", "red", "blue", "–", "theirs"] in rows
    assert "<li>A note.</li>" in section
    assert "4 changes in 2 images and videos, from memory, for /home/ann/street.lancedb." in section


@pytest.mark.parametrize("megabytes", [0, -1, float("nan")])
def test_a_size_that_is_none(plan, tmp_path, megabytes):
    with pytest.raises(InvalidOption, match=rf"^A file of {megabytes} MB cannot be written; give a size above 0\.$"):
        offline.write(plan, tmp_path / "r.html", "ds", megabytes)


def test_a_place_that_cannot_be_written(plan, tmp_path):
    with pytest.raises(
        InvalidOption, match=r"^The file '.*' cannot be written \(Is a directory\); choose another place\.$"
    ):
        offline.write(plan, tmp_path, "ds")


def test_the_command_writes_it(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    ds = ab.create_dataset(tmp_path / "ds")
    ds.add_samples(
        [ab.Sample(tmp_path / "a.png", "s0", objects=[ab.Detection("car", [0.1, 0.2, 0.3, 0.4], label_id="c0")])]
    )
    ds.annotate("r1", "objects", backend="memory", url="memory://offline")
    from annobridge.backend.memory import SERVERS

    (task,) = SERVERS["memory://offline"].labels
    SERVERS["memory://offline"].labels[task] = SERVERS["memory://offline"].labels[task].slice(0, 0)
    page = tmp_path / "report.html"
    arguments = ["plan", "r1", "-d", str(tmp_path / "ds"), "--html", str(page)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert f"Wrote{page}(" in "".join(result.stdout.split())
    shown = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["html"]
    assert (shown["file"], shown["changes"], shown["pictures"], shown["left_out"]) == (str(page), 1, 1, 0)
    assert data_of(page)["plan"]["changes"]["kind"] == ["delete"]
    too_small = CliRunner().invoke(app, [*arguments, "--html-size", "0"])
    assert too_small.stderr == "Error: A file of 0.0 MB cannot be written; give a size above 0.\n"
    SERVERS.pop("memory://offline")


# --- the script -------------------------------------------------------------------------------------------------------


def test_modules_become_one_script():
    found = bundle(
        {
            "main.js": 'import { a, b as c } from "./x.js";\nimport { LONG } from "./y.js";\nexport function main() {}\n',
            "x.js": 'import { LONG } from "./y.js";\nexport const a = 1;\nexport function b() {}\nconst hidden = LONG;\n',
            "y.js": "export const LONG = 3;\nexport class Y {}\nexport async function f() {}\nconst hidden = 1;\n",
            "unused.js": "",
        },
        "main.js",
    )
    assert [line for line in found.splitlines() if "module_" in line] == [
        "const module_y = (() => {", "const module_x = (() => {", "const { LONG } = module_y;",
        "const module_main = (() => {", "const { a, b: c } = module_x;", "const { LONG } = module_y;",
    ]  # fmt: skip
    assert "return { LONG, Y, f };" in found
    assert not re.search(r"^(import|export)", found, re.MULTILINE)


NO_FILE = ", which cannot be put into one file."
A_FROM_X = 'import { a } from "./x.js";\n'


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"main.js": A_FROM_X}, "The page has no module 'x.js', which another one imports; install annobridge again."),
        (
            {"main.js": 'import x from "./x.js";\n'},
            f"The module 'main.js' of the page has 'import x from \"./x.js\";'{NO_FILE}",
        ),
        ({"main.js": "export default 1;\n"}, f"The module 'main.js' of the page has 'export default 1;'{NO_FILE}"),
        (
            {"main.js": A_FROM_X, "x.js": 'import { b } from "./main.js";\n'},
            "The modules main.js, x.js, main.js of the page import each other in a circle.",
        ),
    ],
)
def test_modules_that_cannot_be_put_together(modules, message):
    with pytest.raises(ConfigError) as error:
        bundle(modules, "main.js")
    assert str(error.value).replace("x.js, main.js, x.js", "main.js, x.js, main.js") == message
