"""What is drawn, and how it is looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.review.page import plans
from tests.review.page.driver import Reviewer

PIXELS = """(canvas) => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const found = {};
    for (let i = 0; i < data.length; i += 4) {
        const name = data[i + 3] === 0 ? 'none' : data[i] > data[i + 2] ? 'before' : data[i] < 100 ? 'after' : 'kept';
        found[name] = (found[name] ?? 0) + 1;
    }
    return found;
}"""


def test_shapes_are_in_pixels_of_the_picture(reviewer: Reviewer, plan: Any) -> None:
    reviewer.find("class:sign")
    reviewer.choose("Large moves")
    reviewer.settle()
    assert reviewer.page.locator(".shapes").first.get_attribute("viewBox") == "0 0 640 400"
    (row,) = [row for row in plan.rows if row["group"] == "large move" and row["label"] == "sign"]
    x, y, width, height = (v * n for v, n in zip(row["base_box"], (640, 400, 640, 400), strict=True))
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    assert [v for point in reviewer.path("before") for v in point] == pytest.approx(corners, abs=0.02)
    turn, middle = math.radians(30), (x + width / 2, y + height / 2)  # clockwise, in pixels
    across, down = -width / 2, -height / 2
    corner = [
        middle[0] + across * math.cos(turn) - down * math.sin(turn),
        middle[1] + across * math.sin(turn) + down * math.cos(turn),
    ]
    assert reviewer.path("after")[0] == pytest.approx(corner, abs=0.02)


@pytest.mark.parametrize(
    ("search", "before", "after"),
    [
        (
            "class:house",
            "M192 120L384 120L384 280L192 280Z",
            "M192 120L384 120L384 280L192 280ZM256 160L320 160L320 200Z",
        ),
        ("class:lane", "M32 320L256 312L576 332", "M32 320L256 312L576 332L620.8 360"),
        (
            "class:wheel",
            "M128.97 228.89A64 40 10 0 1 255.03 251.11A64 40 10 0 1 128.97 228.89Z",
            "M155.29 187.57A64 40 55 0 1 228.71 292.43A64 40 55 0 1 155.29 187.57Z",
        ),
    ],
)
def test_each_kind_of_shape_is_drawn(reviewer: Reviewer, search: str, before: str, after: str) -> None:
    reviewer.find(search)
    lines = {role: reviewer.page.locator(f".pane:first-child .role-{role} .line").first for role in ("before", "after")}
    assert lines["before"].get_attribute("d") == before
    assert lines["after"].get_attribute("d") == after
    assert lines["after"].get_attribute("fill-rule") == "evenodd"
    assert lines["before"].evaluate("(line) => getComputedStyle(line).strokeDasharray") == "7px, 5px"
    assert lines["after"].evaluate("(line) => getComputedStyle(line).strokeDasharray") == "none"


def test_points_are_drawn_where_they_are_and_hidden_ones_are_hollow(reviewer: Reviewer) -> None:
    reviewer.find("class:person")
    first = ".pane:first-child"
    assert (
        reviewer.page.locator(f"{first} .role-before .dot:not(.casing, .hole)").count() == 2
    )  # the missing one is not
    assert reviewer.page.locator(f"{first} .role-before .hole").count() == 1
    assert reviewer.page.locator(f"{first} .role-after .dot:not(.casing, .hole)").count() == 3
    assert reviewer.page.locator(f"{first} .role-before .dot.casing").first.get_attribute("d") == "M320.00 160.00h0"


def test_a_cuboid_has_twelve_edges(reviewer: Reviewer) -> None:
    reviewer.find("class:truck")
    reviewer.choose("Additions")
    reviewer.settle()
    path = reviewer.page.locator(".pane:first-child .role-after .line").first.get_attribute("d")
    assert path.count("M") == 12


@pytest.mark.parametrize("search", ["class:road", "class:car file:street_06"])
def test_pixels_that_masks_gained_and_lost_are_told_apart(reviewer: Reviewer, search: str) -> None:
    reviewer.find(search)
    reviewer.choose("Small moves" if "road" in search else "Large moves")
    reviewer.page.locator(".panes[data-masks=shown]").wait_for()
    found = reviewer.page.locator(".pane:first-child .mask.both").evaluate(PIXELS)
    assert min(found["before"], found["after"], found["kept"]) > 500
    alone = reviewer.page.locator(".pane:first-child .mask.before").evaluate(PIXELS)
    assert set(alone) == {"none", "before"}


@pytest.mark.parametrize("search", ["field:weather", "field:quality"])
def test_what_has_no_place_is_in_the_table_only(reviewer: Reviewer, search: str) -> None:
    reviewer.find(search)
    for role in ("before", "after"):
        assert reviewer.page.locator(f".role-{role} .line").count() == 0
    assert reviewer.page.locator(".diff tbody tr").count() == 1
    assert reviewer.page.locator(".diff .now").inner_text() in ("cloudy", "scalar · value 0.5", "value 0.5")


def test_space_shows_what_was_before_while_it_is_held(reviewer: Reviewer) -> None:
    reviewer.choose("Large moves")
    reviewer.settle()
    reviewer.page.keyboard.down("Space")
    reviewer.page.wait_for_function("() => document.querySelector('.panes.blink')")
    assert reviewer.is_drawn(".role-before .line")
    assert not reviewer.is_drawn(".role-after .line")
    reviewer.page.keyboard.up("Space")
    reviewer.page.wait_for_function("() => !document.querySelector('.panes.blink')")
    assert reviewer.is_drawn(".role-after .line")


def test_side_by_side_shows_before_and_after(reviewer: Reviewer) -> None:
    reviewer.choose("Large moves")
    reviewer.press("d")
    second = reviewer.page.locator(".pane").nth(1)
    second.wait_for()
    assert reviewer.page.locator(".pane-caption").all_inner_texts() == ["before", "after"]
    assert reviewer.is_drawn(".role-before .line")
    assert not reviewer.is_drawn(".role-after .line")
    shown = "(one) => getComputedStyle(one).visibility"
    assert second.locator(".role-after .line").first.evaluate(shown) == "visible"
    assert second.locator(".role-before .line").first.evaluate(shown) == "hidden"
    reviewer.press("j", "d")
    assert not second.is_visible()


def test_fading_goes_from_before_to_after(reviewer: Reviewer) -> None:
    reviewer.choose("Large moves")
    reviewer.settle()
    reviewer.press("o")
    fade = reviewer.page.get_by_label("Fade from before to after")
    assert fade.evaluate("(one) => one === document.activeElement")
    reviewer.press("Home")
    opacity = "(one) => getComputedStyle(one).opacity"
    after, before = (reviewer.page.locator(f".pane:first-child .role-{role}").last for role in ("after", "before"))
    reviewer.page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.panes .shapes .role-after')).opacity === '0'"
    )
    assert (before.evaluate(opacity), after.evaluate(opacity)) == ("1", "0")
    reviewer.press("End")
    reviewer.page.wait_for_function(
        "() => getComputedStyle(document.querySelector('.panes .shapes .role-after')).opacity === '1'"
    )
    assert before.evaluate(opacity) == "0"


def test_others_can_be_hidden(reviewer: Reviewer) -> None:
    assert reviewer.page.locator(".role-other .line").first.is_visible()
    reviewer.press("h", "j")
    reviewer.settle()
    assert not reviewer.page.locator(".role-other .line").first.is_visible()


def test_the_crop_is_the_union_of_both_sides_and_a_quarter(reviewer: Reviewer, plan: Any) -> None:
    reviewer.choose("Large moves")
    reviewer.press("j")
    row = next(row for row in plan.rows if row["change_id"] == reviewer.current)
    left, top = (min(row["base_box"][n], row["theirs_box"][n]) for n in (0, 1))
    right, bottom = (max(row[side][n] + row[side][n + 2] for side in ("base_box", "theirs_box")) for n in (0, 1))
    pane = reviewer.page.locator(".pane").first.bounding_box()
    scale = min(pane["width"] / ((right - left) * 640 * 1.5), pane["height"] / ((bottom - top) * 400 * 1.5))
    assert reviewer.camera()[2] == pytest.approx(640 * scale, abs=1)


@pytest.mark.parametrize("mode", ["crop", "fit", "free"])
def test_the_zoom_survives_every_step(reviewer: Reviewer, mode: str) -> None:
    reviewer.choose("Deletions")
    reviewer.settle()
    if mode == "fit":
        reviewer.press("0")
    if mode == "free":
        reviewer.press("+", "+", "+", "+", "+", "+")
    before = reviewer.camera()
    reviewer.press("j", "a", "d", "d", "u", "k")
    reviewer.settle()
    after = reviewer.camera()
    if mode == "free":
        assert after[2] == before[2]
    else:
        reviewer.press("Home")
        reviewer.settle()
        assert reviewer.camera() == before
        pressed = {"crop": "Change", "fit": "Whole"}[mode]
        assert (
            reviewer.page.get_by_role("button", name=pressed, exact=False).last.get_attribute("aria-pressed") == "true"
        )


def test_the_picture_follows_the_pointer(reviewer: Reviewer) -> None:
    left, top, width = reviewer.camera()
    box = reviewer.page.locator(".panes").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    reviewer.page.mouse.move(x, y)
    reviewer.page.mouse.down()
    reviewer.page.mouse.move(x + 50, y - 20, steps=4)
    reviewer.page.mouse.up()
    assert reviewer.camera() == pytest.approx((left + 50, top - 20, width), abs=1)
    reviewer.page.mouse.wheel(0, -300)
    reviewer.page.wait_for_timeout(100)
    at, _, wider = reviewer.camera()
    assert wider > width
    held = (x + 50 - (left + 50) - 50) / width  # what was under the pointer is still there
    assert (x - at) / wider == pytest.approx((x - left - 50) / width, abs=0.01)
    assert held


def test_names_do_not_turn_the_rest_of_a_line_around(
    serve: Callable[..., Any], plan: Any, enter: Callable[..., Reviewer], tmp_path: Path
) -> None:
    row = next(row for row in plan.rows if row["component"] == "label")
    hebrew = {"label": "\u05d1", "class_from": "\u05d0", "class_to": "\u05d1"}
    plan.changes = pa.Table.from_pylist(
        [
            row | {"label": "\u202egnp.exe", "class_from": None, "class_to": "\u202egnp.exe"},
            row | hebrew | {"change_id": "x"},
        ],
        plan.changes.schema,
    )
    client = serve(plan, tmp_path / "d.jsonl")
    reviewer = enter(f"{client.origin}/?token={client.token}")
    assert reviewer.title == "\\u202egnp.exe"
    reviewer.press("j")
    reviewer.settle()
    left = "(one) => { const r = document.createRange(); r.setStart(one.firstChild, %d); r.setEnd(one.firstChild, %d); "
    places = [
        reviewer.page.locator(".details-title").evaluate(
            left % (at, at + 1) + "return r.getBoundingClientRect().left; }"
        )
        for at in (1, 7)  # the two letters, each between marks
    ]
    assert places[0] < places[1]


def test_a_skeleton_has_lines_between_its_points(reviewer: Reviewer) -> None:
    reviewer.find("class:cyclist")
    assert len(reviewer.path("after")) == 4  # two lines
    assert reviewer.page.locator(".pane:first-child .role-after .dot:not(.casing):not(.hole)").count() == 3


def test_the_length_of_a_video_is_that_of_its_file(
    serve: Callable[..., Any], plan: Any, enter: Callable[..., Reviewer], tmp_path: Path
) -> None:
    plan.sample_rows = [
        row | {"frames": None, "fps": None} for row in plan.sample_rows
    ]  # as in a dataset that was not measured
    client = serve(plan, tmp_path / "d.jsonl")
    reviewer = enter(f"{client.origin}/?token={client.token}")
    reviewer.find("file:crossing")
    label = reviewer.page.locator(".frame-label")
    reviewer.until(lambda: label.inner_text() == "frame 6 of 24")
    reviewer.press(*"." * 30)
    reviewer.until(lambda: label.inner_text() == "frame 24 of 24")
    reviewer.press(*"," * 30)
    reviewer.until(lambda: label.inner_text() == "frame 1 of 24")
    reviewer.settle()
    assert not [note for note in client.get("api/plan").json()["notes"] if "cannot be shown" in note]


def test_a_video_goes_frame_by_frame(reviewer: Reviewer, plan: Any) -> None:
    reviewer.find("file:crossing")
    label = reviewer.page.locator(".frame-label")
    assert label.inner_text() == "frame 6 of 24 · 0.63 s"
    first = reviewer.path("after")[0]
    assert reviewer.page.locator(".strip-change").count() == 3
    assert reviewer.page.locator(".strip-label").first.get_attribute("width") == "24"
    with reviewer.page.expect_response(lambda answer: "/image" in answer.url and "frame=10" in answer.url):
        reviewer.press(".", ".")  # the two after it are fetched ahead
    assert label.inner_text().startswith("frame 8 of 24")
    reviewer.page.wait_for_function(
        "() => document.querySelectorAll('.pane:first-child .role-same .line').length === 1"
    )
    assert reviewer.path("same")[0][0] == pytest.approx(first[0] + 16, abs=0.05)
    reviewer.press(",", ",")
    reviewer.page.wait_for_function(
        "() => document.querySelectorAll('.pane:first-child .role-after .line').length === 1"
    )
    strip = reviewer.page.locator(".strip").bounding_box()
    reviewer.page.mouse.click(strip["x"] + strip["width"] * 11.5 / 24, strip["y"] + 8)
    assert label.inner_text().startswith("frame 12 of 24")
    reviewer.page.get_by_role("button", name="frame 18").click()
    assert label.inner_text().startswith("frame 18 of 24")
    reviewer.press("j")
    assert label.inner_text().startswith("frame 12 of 24")  # that of the next change
    assert plan


def test_what_cannot_be_read_is_told_and_can_be_decided(reviewer: Reviewer, served: Any) -> None:
    reviewer.find("class:lamp")
    message = reviewer.page.locator(".panes .stage-message")
    message.wait_for()
    assert message.inner_text().startswith("This picture cannot be read: ")
    assert reviewer.page.locator(".role-after .line").count() > 0
    reviewer.press("a")
    reviewer.settle()
    assert len(served.decided()) == 1


def test_names_that_are_markup_are_text(reviewer: Reviewer) -> None:
    reviewer.find("onerror")
    assert reviewer.title == f"sign → {plans.HOSTILE}"
    assert reviewer.page.locator(".file").inner_text() == "img src=x onerror=alert(2).png"
    assert "</script><script>alert(3)</script>" in reviewer.page.locator(".who").inner_text()
    assert plans.HOSTILE in reviewer.page.locator(".tag.role-after").first.inner_text()
    reviewer.press("f", "Escape", "?", "Escape", "e", "Escape")
    assert reviewer.page.locator("img[onerror], script:not([src])").count() == 0


def test_a_sample_without_an_answer_is_told(
    serve: Callable[..., Any], plan: Any, enter: Callable[..., Reviewer], tmp_path: Path
) -> None:
    served = serve(plan, tmp_path / "d.jsonl")
    reviewer = enter("about:blank", wait=False)
    reviewer.page.route(
        "**/api/samples/0", lambda route: route.fulfill(status=500, json={"error": "The labels are damaged."})
    )
    reviewer.open(f"{served.origin}/?token={served.token}")
    message = reviewer.page.locator(".panes .stage-message")
    message.wait_for()
    assert message.inner_text() == "The labels are damaged."
    assert reviewer.page.locator(".role-after .line").count() > 0  # by the boxes of the plan
    reviewer.troubles.clear()
