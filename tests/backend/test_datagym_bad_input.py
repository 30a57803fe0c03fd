"""Bad input is answered with a sentence that has the cure, before anything is sent or changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from tests import datagym_servers
from tests.backend.datagym_cases import SCHEMA, dataset, finish, single
from tests.datagym_servers import Server
from tests.doubles.datagym import config as configuration
from tests.doubles.datagym import exporting, import_schema, places, server
from tests.doubles.datagym.errors import ApiError
from tests.doubles.datagym.state import Dataset, Project, State

import annobridge as ab
from annobridge.exceptions import (
    Broken,
    ConfigError,
    Denied,
    Gone,
    InvalidLabels,
    MissingCredential,
    Rejected,
    Unsupported,
)
from annobridge_datagym import DatagymBackend, names, validate

pytestmark = pytest.mark.filterwarnings("ignore::annobridge_datagym.upload.BacklogWarning")
BUSES = {"buses": SCHEMA["buses"]}


@pytest.fixture
def hosted() -> Iterator[Server]:
    with datagym_servers.hosted() as found:
        yield found


@pytest.fixture
def open_core() -> Iterator[Server]:
    with datagym_servers.open_core() as found:
        yield found


@pytest.fixture
def ds(tmp_path: Path) -> ab.Dataset:
    return dataset(tmp_path)


def annotate(ds: ab.Dataset, found: Server, schema: Any = BUSES, **more: Any) -> ab.AnnotationResults:
    options = {"backend": "datagym", "progress": False, **found.options(), **more}
    return ds.annotate("run", label_schema=schema, **{k: v for k, v in options.items() if v is not None})


def assert_nothing_done(ds: ab.Dataset, found: Server) -> None:
    """No run was made here, and nothing was sent to the server."""
    assert ds.list_annotation_runs() == []
    sent = [call for call in found.double.state.calls if call[0] != "GET"]
    assert sent == []


def other_dataset(state: State) -> Dataset:
    """A dataset of somebody else, with an image."""
    body = {"owner": state.owner, "name": "theirs", "shortDescription": None, "mediaType": "IMAGE"}
    there = places.create_dataset(state, body, internal=True)
    places.add_urls(state, there, ["https://pictures.example/theirs.jpg"])
    return there


# --- credentials and servers --------------------------------------------------------------------------------------------


def test_a_wrong_token(ds: ab.Dataset, hosted: Server) -> None:
    with pytest.raises(Denied, match="it does not know this token"):
        annotate(ds, hosted, token="wrong-token-1234")
    assert_nothing_done(ds, hosted)


def test_no_token(ds: ab.Dataset, hosted: Server) -> None:
    with pytest.raises(MissingCredential, match="asks for a login; make an API token"):
        annotate(ds, hosted, token=None)
    assert_nothing_done(ds, hosted)


def test_v1_of_the_open_edition_answers_403_to_everything(ds: ab.Dataset, open_core: Server) -> None:
    with pytest.raises(Denied, match="answers 403 to all of API v1, as the open-core edition does"):
        annotate(ds, open_core, token=server.TOKEN, dialect="v1")
    assert_nothing_done(ds, open_core)


def test_the_open_edition_ignores_a_token(ds: ab.Dataset, open_core: Server) -> None:
    results = annotate(ds, open_core, token=server.TOKEN)
    assert results.status()["state"] == "sent"


def test_a_server_that_answers_403_to_everything(ds: ab.Dataset) -> None:
    with server.running("closed") as double:
        found = Server(double.url, server.TOKEN, "Road signs", double)
        with pytest.raises(Denied, match="answers 403 to everything"):
            annotate(ds, found)
        assert_nothing_done(ds, found)


@pytest.mark.parametrize(
    ("token", "error", "message"),
    [
        ("wrong-token-1234", Denied, "it does not know this token"),
        (None, Rejected, "If that is its page for logging in, make an API token on its page"),
    ],
)
def test_a_server_that_redirects_to_its_login(
    ds: ab.Dataset, hosted: Server, token: str | None, error: type[Exception], message: str
) -> None:
    hosted.double.state.login = "https://login.example/oauth"
    with pytest.raises(error, match=message):
        annotate(ds, hosted, token=token)
    assert_nothing_done(ds, hosted)


def test_the_internal_dialect_at_the_hosted_edition(ds: ab.Dataset, hosted: Server) -> None:
    with pytest.raises(
        Denied, match="lets no program into its internal API, as the hosted edition; leave `dialect` out"
    ):
        annotate(ds, hosted, dialect="internal")
    assert_nothing_done(ds, hosted)


def test_a_server_that_is_out_of_order_is_reported_as_such(
    ds: ab.Dataset, open_core: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "project_shown", out_of_order)
    open_core.double.state.projects["p-1"] = Project("p-1", "x", open_core.double.state.owner, "x")
    with pytest.raises(Broken, match=r"GET /api/project fails on the server \(500\)"):
        annotate(ds, open_core)
    assert_nothing_done(ds, open_core)


def out_of_order(*_: Any, **__: Any) -> Any:
    raise ApiError(500, "ex_system")


def test_a_server_that_is_not_datagym(ds: ab.Dataset, open_core: Server) -> None:
    with pytest.raises(Rejected, match="answers, but not as a DataGym server does"):
        annotate(ds, open_core, url=f"{open_core.url}/elsewhere")
    assert_nothing_done(ds, open_core)


def test_a_token_is_not_sent_in_the_clear(ds: ab.Dataset) -> None:
    with pytest.raises(ConfigError, match="a secret would be sent to it in the clear"):
        ds.annotate(
            "run",
            label_schema=BUSES,
            backend="datagym",
            progress=False,
            url="http://datagym.example",
            token="t0p-s3cret",
        )
    assert ds.list_annotation_runs() == []


def test_the_hosted_edition_needs_a_project(ds: ab.Dataset, hosted: Server) -> None:
    with pytest.raises(Unsupported, match="makes no projects by its API: make one .*; there is 'Road signs'"):
        annotate(ds, hosted, project_name=None)
    assert_nothing_done(ds, hosted)


@pytest.mark.parametrize("option", ["project_name", "project_id"])
def test_a_project_that_is_not_there(ds: ab.Dataset, hosted: Server, option: str) -> None:
    given = {"project_name": None, option: "Elsewhere"}
    with pytest.raises(
        Unsupported, match="There is no project 'Elsewhere', or not for this token; there is 'Road signs'"
    ):
        annotate(ds, hosted, **given)
    assert_nothing_done(ds, hosted)


def test_a_project_of_videos(ds: ab.Dataset, hosted: Server) -> None:
    body = {"owner": "org-1", "name": "Films", "shortDescription": "x", "mediaType": "VIDEO"}
    places.create_project(hosted.double.state, body)
    with pytest.raises(Unsupported, match="'Films' is one of videos; give one of images"):
        annotate(ds, hosted, project_name="Films")
    assert_nothing_done(ds, hosted)


@pytest.mark.parametrize("name", ["x" * 300, "road-signs", "status"])
def test_a_project_name_that_datagym_does_not_take(ds: ab.Dataset, open_core: Server, name: str) -> None:
    with pytest.raises(
        Unsupported, match=f"project_name has {len(name)} characters or signs that DataGym does not take"
    ):
        annotate(ds, open_core, project_name=name)
    assert_nothing_done(ds, open_core)


def test_a_project_named_twice(ds: ab.Dataset, hosted: Server) -> None:
    with pytest.raises(Unsupported, match="project_id and project_name are both given"):
        annotate(ds, hosted, project_id="p-1")
    assert_nothing_done(ds, hosted)


def test_a_dataset_in_use(ds: ab.Dataset, open_core: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset of the task's name has images of somebody else: it is left as it is."""
    state = open_core.double.state
    there = other_dataset(state)
    monkeypatch.setattr(names, "project_name", lambda text: "theirs")
    with pytest.raises(
        Rejected, match="'theirs' is in use: it has 1 images that are not of this task, as 'theirs.jpg'"
    ):
        annotate(ds, open_core)
    assert [m.name for m in there.present()] == ["theirs.jpg"]
    assert not state.tasks


# --- the label configuration of a project that is there -----------------------------------------------------------------


def prepared(found: Server, entries: list[dict[str, Any]]) -> Any:
    """Give the project a label configuration, an image, a task, and a label that somebody made."""
    state = found.double.state
    if not state.projects:
        body = {"owner": state.owner, "name": "Road signs", "shortDescription": "signs"}
        places.create_project(state, body)
        found.project = "Road signs"
    (project,) = state.projects.values()
    configuration.replace_all(project, configuration.read(entries))
    there = other_dataset(state)
    places.connect(state, project, there)
    (task,) = state.tasks.values()
    found.call("POST", f"project/{project.id}/prediction", json=[{"internal_media_ID": task.media.id, "labels": {
        entries[0]["entryKey"]: [{"point": [{"x": 1, "y": 2}]}]}}])  # fmt: skip
    state.calls.clear()
    return project


THEIRS: dict[str, Any] = {"entryKey": "poi", "entryValue": "Poi", "type": "point", "children": []}
BUS: dict[str, Any] = {
    "entryKey": "bus", "entryValue": "Bus", "type": "rectangle",
    "children": [
        {"entryKey": "ab_id", "entryValue": "id", "type": "freetext", "maxLength": 64, "children": []},
        {"entryKey": "color", "entryValue": "Color", "type": "select", "options": {"red": "Red"}, "children": []},
    ],
}  # fmt: skip
COLOURED = {
    "buses": {
        "type": "detections", "classes": ["bus"],
        "attributes": {"color": {"type": "select", "values": ["red", "blue"]}},
    }
}  # fmt: skip


@pytest.mark.parametrize("edition", ["hosted", "open_core"])
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([THEIRS], "lacks the class 'bus'"),
        ([THEIRS, {**BUS, "children": []}], "lacks the attribute 'ab_id' of 'bus', the attribute 'color' of 'bus'"),
        ([THEIRS, BUS], "lacks the option 'blue' of 'color' of 'bus'"),
        ([THEIRS, {**BUS, "type": "polygon"}], "'bus' is a polygon there, and a rectangle here"),
    ],
)
def test_a_configuration_that_does_not_fit_is_left_alone(
    ds: ab.Dataset, request: pytest.FixtureRequest, edition: str, entries: list[dict[str, Any]], message: str
) -> None:
    found = request.getfixturevalue(edition)
    project = prepared(found, entries)
    with pytest.raises(Unsupported, match=message) as error:
        annotate(ds, found, COLOURED)
    assert "DataGym then deletes EVERY label in the project" in str(error.value)
    assert_nothing_done(ds, found)
    assert len(list(project.all_entries())) == len(configuration.read(entries)) + sum(
        len(e["children"]) for e in entries
    )


def test_missing_entries_are_added_on_request_and_nothing_is_deleted(ds: ab.Dataset, open_core: Server) -> None:
    project = prepared(open_core, [THEIRS, BUS])
    (task,) = open_core.double.state.tasks.values()
    before, task.state = copy.copy(task.values), "COMPLETED"
    annotate(ds, open_core, COLOURED, update_project=True)
    colour = next(e for e in project.all_entries() if e.key == "color")
    assert set(colour.options) == {"red", "blue"}
    assert (task.values, task.state) == (before, "COMPLETED")
    assert {e.key for e in project.entries} == {"poi", "bus"}


@pytest.mark.parametrize("edition", ["hosted", "open_core"])
def test_only_the_option_for_it_deletes_labels(ds: ab.Dataset, request: pytest.FixtureRequest, edition: str) -> None:
    found = request.getfixturevalue(edition)
    project = prepared(found, [THEIRS])
    (task,) = found.double.state.tasks.values()
    annotate(ds, found, COLOURED, replace_config_and_delete_all_labels=True, task_size=1)
    assert [e.key for e in project.entries] == ["bus"]
    assert task.values == []
    cleared = [call for call in found.double.state.calls if call[0] == "DELETE"]
    assert len(cleared) == 1  # the second task found it as it should be


def test_a_configuration_that_is_shown_with_a_task_only_is_left_alone(ds: ab.Dataset, hosted: Server) -> None:
    """v1 shows it with a task only: the images are removed again."""
    (project,) = hosted.double.state.projects.values()
    configuration.replace_all(project, configuration.read([THEIRS]))
    with pytest.raises(Rejected, match=r"lacks the class 'bus'.* The images that were sent were removed again"):
        annotate(ds, hosted, {"buses": {"type": "detections", "classes": ["bus"]}})
    assert [e.key for e in project.entries] == ["poi"]
    assert not hosted.double.state.tasks
    assert not [m for d in hosted.double.state.datasets.values() for m in d.present()]


@pytest.mark.parametrize("edition", ["hosted", "open_core"])
def test_a_configuration_that_changes_after_the_check_is_left_alone(
    ds: ab.Dataset, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, edition: str
) -> None:
    found = request.getfixturevalue(edition)
    project = prepared(found, [THEIRS])
    (task,) = found.double.state.tasks.values()
    monkeypatch.setattr(DatagymBackend, "check", lambda *_: [])  # as if it had fitted then
    with pytest.raises(Rejected, match="lacks the class 'bus'"):
        annotate(ds, found, COLOURED)
    assert [e.key for e in project.entries] == ["poi"]
    assert len(task.values) == 1
    assert len(found.double.state.datasets) == 1  # nothing was made


def test_a_project_that_fits_is_used_as_it_is(ds: ab.Dataset, hosted: Server) -> None:
    project = prepared(hosted, [THEIRS, BUS])
    schema = copy.deepcopy(COLOURED)
    schema["buses"]["attributes"]["color"]["values"] = ["red"]
    before = [e.id for e in project.all_entries()]
    annotate(ds, hosted, schema)
    assert [e.id for e in project.all_entries()] == before


# --- schemas and labels -------------------------------------------------------------------------------------------------


def test_a_class_of_300_characters(ds: ab.Dataset, open_core: Server) -> None:
    with pytest.raises(Unsupported, match="has 300 characters, and DataGym takes 56; shorten it"):
        annotate(ds, open_core, {"buses": {"type": "detections", "classes": ["x" * 300]}})
    assert_nothing_done(ds, open_core)


def test_an_attribute_of_300_characters(ds: ab.Dataset, open_core: Server) -> None:
    attributes = {"x" * 300: {"type": "text"}}
    with pytest.raises(Unsupported, match=r"the attribute 'x+'… has 300 characters, and DataGym takes 56"):
        annotate(ds, open_core, {"buses": {"type": "detections", "classes": ["bus"], "attributes": attributes}})
    assert_nothing_done(ds, open_core)


@pytest.mark.parametrize(
    ("label", "schema", "message"),
    [
        (ab.Detection("bus", [0.1, 0.1, 0.2, 0.2], color="green", label_id="odd"), COLOURED,
         "have color = \"green\", which is not one of 'red', 'blue'"),
        (ab.Detection("bus", [0.1, 0.1, 0.2, 0.2], number="x" * 300, label_id="odd"),
         {"buses": {"type": "detections", "classes": ["bus"], "attributes": {"number": {"type": "text"}}}},
         "which has 300 characters, and DataGym keeps 255"),
        (ab.Detection("bus", [0.1, 0.1, 0.2, 0.2], number="many", label_id="odd"), BUSES,
         'have number = "many", which is not of the type int'),
        (ab.Detection("bus", [0.1, 0.1, 0.2, 0.2], rotation=10.0, label_id="odd"), BUSES,
         "1 label (odd): a rotation, and DataGym has upright boxes only; send them as polygons"),
        (ab.Detection("bus", [0.1, 0.1, 0.2, 0.2], label_id="x" * 70), BUSES, "an id of more than 64 characters"),
    ],
)  # fmt: skip
def test_a_value_that_datagym_cannot_hold(
    open_core: Server, tmp_path: Path, label: Any, schema: Any, message: str
) -> None:
    ds = single(tmp_path, buses=[label])
    with pytest.raises(InvalidLabels) as error:
        annotate(ds, open_core, schema)
    assert message in str(error.value)
    assert_nothing_done(ds, open_core)


def test_a_text_longer_than_the_project_has_room_for(hosted: Server, tmp_path: Path) -> None:
    """DataGym accepts it, and then considers the label invalid, so that nobody can finish the image."""
    number = {"entryKey": "number", "entryValue": "n", "type": "freetext", "maxLength": 64, "children": []}
    prepared(hosted, [THEIRS, {**BUS, "children": [BUS["children"][0], number]}])
    ds = single(tmp_path, buses=ab.Detection("bus", [0.1, 0.1, 0.2, 0.2], number="x" * 65))
    schema = {"buses": {"type": "detections", "classes": ["bus"], "attributes": {"number": {"type": "text"}}}}
    with pytest.raises(InvalidLabels, match="which has 65 characters, and DataGym keeps 64; correct them"):
        annotate(ds, hosted, schema)
    assert_nothing_done(ds, hosted)


@pytest.mark.parametrize(
    ("schema", "shown_as", "message"),
    [
        ({"type": "detections", "classes": ["行人", "bus"]}, {}, "the class '行人' has none; .* shown_as={'行人': 'a name'}"),
        ({"type": "detections", "classes": ["bus"], "attributes": {"颜色": {"type": "text"}}}, {}, "the attribute '颜色' has none"),
        ({"type": "detections", "classes": ["bus"]}, {"tram": "x"}, "there is no class, attribute or classification 'tram'"),
        ({"type": "detections", "classes": ["bus"]}, {"bus": "x" * 57}, "the text for 'bus' has 57 characters"),
        ({"type": "detections", "classes": ["bus"]}, {"bus": "автобус"}, "the class 'bus' has none"),
    ],
)  # fmt: skip
def test_names_that_datagym_cannot_display(
    ds: ab.Dataset, open_core: Server, schema: Any, shown_as: dict[str, str], message: str
) -> None:
    with pytest.raises(Unsupported, match=message):
        annotate(ds, open_core, {"buses": schema}, shown_as=shown_as)
    assert_nothing_done(ds, open_core)


def test_keypoints_that_are_all_missing(tmp_path: Path, open_core: Server) -> None:
    ds = single(tmp_path, pois=[ab.Keypoint("poi", [(float("nan"), float("nan"))], label_id="none0")])
    with pytest.raises(InvalidLabels, match=r"1 label \(none0\): keypoints of which none is there"):
        annotate(ds, open_core, {"pois": {"type": "keypoints", "classes": ["poi"]}})
    assert_nothing_done(ds, open_core)


def test_a_class_twice_in_a_checklist(tmp_path: Path, open_core: Server) -> None:
    ds = single(tmp_path, seen=[ab.Classification("a"), ab.Classification("a")])
    with pytest.raises(InvalidLabels, match="the sample 's0' has 'a' 2 times, and a checklist has it once"):
        annotate(ds, open_core, {"seen": {"type": "classifications", "classes": ["a", "b"]}})
    assert_nothing_done(ds, open_core)


def test_types_that_datagym_does_not_have_are_refused_with_the_alternatives(ds: ab.Dataset, open_core: Server) -> None:
    with pytest.raises(Unsupported, match="cannot label ellipses; it can: classification, classifications, detections"):
        annotate(ds, open_core, {"round": {"type": "ellipses", "classes": ["a"]}})
    assert_nothing_done(ds, open_core)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nested_fields": {"buses": "nowhere"}}, "there is no field 'nowhere' in the label schema"),
        ({"nested_fields": {"buses": "cars"}}, "the labels of 'buses' need the text attribute 'parent'"),
        ({"nested_fields": {"buses": "weather"}}, "DataGym nests shapes in shapes, one level deep"),
        ({"nested_attributes": {"number": "nothing"}}, "there is no attribute 'nothing' in the label schema"),
        ({"nested_attributes": {"degrees": "wind", "wind": "degrees"}}, "form a circle at 'degrees'"),
    ],
)
def test_nesting_that_is_not_possible(ds: ab.Dataset, open_core: Server, options: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        annotate(ds, open_core, SCHEMA, **options)
    assert_nothing_done(ds, open_core)


def test_two_attributes_in_one_attribute_of_a_shape(ds: ab.Dataset, open_core: Server) -> None:
    attributes = {name: {"type": "text"} for name in ("a", "b", "c")}
    with pytest.raises(Unsupported, match="2 attributes are nested in 'a', and DataGym's import takes one"):
        annotate(ds, open_core, {"buses": {"type": "detections", "classes": ["bus"], "attributes": attributes}},
                 nested_attributes={"b": "a", "c": "a"})  # fmt: skip
    assert_nothing_done(ds, open_core)


def test_a_nested_shape_without_its_parent(tmp_path: Path, open_core: Server) -> None:
    ds = single(
        tmp_path,
        plates=ab.Detection("plate", [0.1, 0.1, 0.1, 0.1], label_id="plate0", parent="car9"),
        cars=ab.Detection("car", [0.1, 0.1, 0.5, 0.5], label_id="car0"),
    )
    schema = {
        "cars": {"type": "detections", "classes": ["car"]},
        "plates": {"type": "detections", "classes": ["plate"], "attributes": {"parent": {"type": "text"}}},
    }
    with pytest.raises(
        InvalidLabels, match=r"1 label \(plate0\): 'parent' is not the id of a label of 'cars' on the same image"
    ):
        annotate(ds, open_core, schema, nested_fields={"plates": "cars"})
    assert_nothing_done(ds, open_core)


# --- images -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"media_root": "IMAGES", "url_root": "https://pictures.example/x?sig=abc"}, "url_root is signed"),
        ({"media_root": "/nowhere", "url_root": "https://pictures.example"}, "is not below media_root='/nowhere'"),
        ({}, "is not below media_root=None"),
    ],
)
def test_addresses_that_datagym_does_not_take(
    ds: ab.Dataset, open_core: Server, tmp_path: Path, options: dict[str, str], message: str
) -> None:
    given = {name: value.replace("IMAGES", str(tmp_path / "images")) for name, value in options.items()}
    with pytest.raises(Unsupported, match=message):
        annotate(ds, open_core, media="urls", **given)
    assert_nothing_done(ds, open_core)


def test_a_signed_address_of_an_image(tmp_path: Path, open_core: Server) -> None:
    ds = ab.create_dataset(tmp_path / "data")
    url = "https://pictures.example/a.jpg?signature=s3cr3t"
    ds.add_samples([ab.Sample(url, sample_id="s0", width=10, height=10)])
    with pytest.raises(Unsupported, match="'https://pictures.example/a.jpg' is signed") as error:
        annotate(ds, open_core, media="urls")
    assert "s3cr3t" not in str(error.value)
    assert_nothing_done(ds, open_core)


@pytest.mark.parametrize(
    ("url_root", "message"),
    [
        ("https://joe:s3cr3t@pictures.example", "'https://pictures.example/photo_0.png' has a login in it"),
        ("https://pictures.example", "several samples have the address 'https://pictures.example/photo_0.png'"),
        ("ftp://joe:s3cr3t@pictures.example", "'ftp://pictures.example/photo_0.png' is not an address"),
    ],
)
def test_addresses_with_logins_or_of_several_samples(
    ds: ab.Dataset, open_core: Server, tmp_path: Path, url_root: str, message: str
) -> None:
    ds.add_samples([ab.Sample(tmp_path / "images" / "photo_0.png", sample_id="again")])
    with pytest.raises(Unsupported, match=message) as error:
        annotate(ds, open_core, media="urls", media_root=str(tmp_path / "images"), url_root=url_root)
    assert "s3cr3t" not in str(error.value)
    assert_nothing_done(ds, open_core)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_an_image_that_is_turned_by_its_exif_data(tmp_path: Path, open_core: Server, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / name, exif=exif)
    ds = ab.create_dataset(tmp_path / "data")
    ds.add_samples([ab.Sample(tmp_path / name, sample_id="s0")])
    with pytest.raises(InvalidLabels, match=rf"1 images are turned by their EXIF data, as '.*{name}'.* Turn the files"):
        annotate(ds, open_core)
    assert_nothing_done(ds, open_core)


# --- imports and exports ------------------------------------------------------------------------------------------------

POINTS = [{"x": 1, "y": 2}, {"x": 3, "y": 4}, {"x": 5, "y": 6}]


@pytest.mark.parametrize(
    ("labels", "theirs", "ours"),
    [
        ({"car": [{"polygon": POINTS}]}, True, True),
        ({"car": [{"polygon": POINTS[:2]}]}, False, False),  # fewer than three points
        ({"car": [{"line": POINTS[:1]}]}, False, False),
        ({"car": [{"point": [{"x": "7", "y": 2}]}]}, True, False),  # digits in quotes: allowed there, never sent by us
        ({"car": [{"point": [{"x": "1.5", "y": 2}]}]}, False, False),
        ({"car": [{"point": [{"x": -1, "y": 2}]}]}, False, False),
        ({"car": [{"point": [{"x": float("nan"), "y": 2}]}]}, None, False),
        ({"car": [{}]}, True, False),  # an empty value, that nobody can finish
        ({"car": [{"polygon": POINTS, "line": POINTS}]}, True, False),
        ({"Car": [{"polygon": POINTS}]}, True, False),
        ({"car": [{"rectangle": [{"x": 1, "y": 2, "w": 0, "h": 1}]}]}, True, False),
        ({"car": [{"polygon": POINTS, "classifications": {"a": [None, {"b": ["c"]}]}}]}, True, True),
        ({"car": [{"polygon": POINTS, "classifications": {"a": ["x", {"b": ["c"], "d": ["e"]}]}}]}, True, False),
        ({"car": [{"polygon": POINTS, "classifications": {"a": ["x", "y", {"b": ["c"]}]}}]}, False, False),
        ({"car": [{"polygon": POINTS, "classifications": {"a": ["x" * 256]}}]}, True, False),
        ({"car": [{"polygon": POINTS, "nested_geometries": {"b": [{"line": POINTS}]}}]}, True, True),
        ({"car": [{"polygon": POINTS, "nested_geometries": {"b": [{"line": POINTS, "x": 1}]}}]}, True, False),
    ],
)
def test_our_schema_of_imports_is_stricter_than_the_servers(labels: Any, theirs: bool | None, ours: bool) -> None:
    items = [{"internal_media_ID": "m-1", "labels": labels}]
    if theirs is not None:
        assert (not import_schema.faults(items)) is theirs
    assert (validate.fault_of(items) is None) is ours


def test_an_invalid_import_names_the_place() -> None:
    items = [{"internal_media_ID": "m-1", "labels": {"car": [{"polygon": POINTS[:2]}]}}]
    with pytest.raises(Rejected, match=r"/0/labels/car/0/polygon has fewer than 3\. Nothing of this batch was sent"):
        validate.validate(items)


def test_a_refusal_inside_a_success_is_an_error(
    ds: ab.Dataset, open_core: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 with ``errorMessages``: nothing was stored."""
    monkeypatch.setattr(import_schema, "faults", lambda items: [("#/0", "no good")])
    with pytest.raises(
        Rejected, match=r"importing labels failed, and nothing of it was stored: Schema validation .* no good"
    ):
        annotate(ds, open_core)
    assert not any(task.values for task in open_core.double.state.tasks.values())
    monkeypatch.undo()
    ds.resume_annotation("run", progress=False, url=open_core.url)
    assert ds.load_annotations("run", progress=False, url=open_core.url, unfinished=True).total == 0


def test_a_class_that_is_removed_meanwhile_rolls_the_batch_back(ds: ab.Dataset, open_core: Server) -> None:
    """500 ``ex_gen_wrong_entry_id`` is a mistake, not an outage: it is reported, and not retried."""

    def sabotage(request: Any) -> bool:
        if request.path.endswith("/prediction"):
            for project in open_core.double.state.projects.values():
                project.entries = [e for e in project.entries if e.key != "bus"]
        return False

    open_core.double.cut_after(sabotage)
    with pytest.raises(Rejected, match="the label configuration has no 'bus'; somebody changed it"):
        annotate(ds, open_core)
    imports = [path for _, path in open_core.double.state.calls if path.endswith("/prediction")]
    assert len(imports) == 1
    assert not any(task.values for task in open_core.double.state.tasks.values())


def test_an_export_that_is_cut_off_changes_nothing(
    ds: ab.Dataset, open_core: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = annotate(ds, open_core)
    finish(open_core, results)
    before = ds.labels().to_arrow()
    whole = exporting.export
    monkeypatch.setattr(exporting, "export", lambda state, project: whole(state, project)[:-100])
    with pytest.raises(
        Broken, match="the server's export is not a complete export of DataGym: it is cut off or garbled"
    ):
        ds.load_annotations("run", progress=False, url=open_core.url)
    assert ds.labels().to_arrow().equals(before)


def test_a_project_that_was_deleted_is_gone(ds: ab.Dataset, open_core: Server) -> None:
    annotate(ds, open_core)
    for project in open_core.double.state.projects.values():
        project.deleted = True
    with pytest.raises(Gone, match="its labels here are untouched"):
        ds.load_annotations("run", progress=False, url=open_core.url)


def test_the_token_is_in_no_url(ds: ab.Dataset, hosted: Server) -> None:
    annotate(ds, hosted)
    answer = requests.get(f"{hosted.url}/api/v1/project", params={"token": hosted.token}, timeout=10)
    assert answer.ok  # the server would take it
    assert all(hosted.token not in path for _, path in hosted.double.state.calls)
    assert hosted.token not in str(ds.get_annotation_info("run"))
