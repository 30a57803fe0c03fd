"""The laws about what survives: a format keeps exactly what it declares, and tells of the rest."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...core.labels import KINDS
from ...exceptions import Unsupported
from ...formats.common import fidelity as told
from ...formats.common.fidelity import KEPT, Fidelity
from . import scenes, survival
from .base import UNLIKE, Laws, examples, plain_label
from .scenes import IMAGES, Row, Scene

_OTHER = (told.NOTHING, told.COVERED, told.lost_values("group"))  # that are counted by what is found when it is written
_AREAS = ("box", "polygon", "mask", "segmentation", "ellipse")
_ODD_CLASSES = (
    "0 été", "a, b", "10", "-1", 'a "b" c', "x & <y>", "tab\there", "a 1", "日本", "#c", "a:b", "a/b", "..", "x" * 120, "a  b",
    "null", "background", "car'", "default", "é", "e\u0301", "a\\b", "a=b", "[a]", "{a}", "a;b", "true", "1e5", "a.b", "Car", "%20",
    "a\x01b",
)  # fmt: skip


class WrittenLaws(Laws):
    """Round trips."""

    @examples(6)
    @given(st.data())
    def test_what_is_declared_survives_and_nothing_is_lost(self, data: st.DataObject) -> None:
        self.require_writing()
        if not (kinds := self.kept_kinds()):
            pytest.skip(f"{self.format.title} keeps no label as it is")
        scene = self.declared(data.draw(scenes.scenes(kinds)))
        folder, _ = self._written(scene, "keep all of what it declares", strict=True)
        splits, labels = self.read(folder)
        fidelity = self.fidelity(scene)
        self.require_images(scene, splits, fidelity)
        self.require_labels(scene.rows, labels, fidelity)
        shutil.rmtree(folder)

    @examples(5)
    @given(st.data())
    def test_what_is_lost_is_told_with_its_count(self, data: st.DataObject) -> None:
        self.require_writing()
        scene = data.draw(scenes.scenes(tuple(self.format.fidelity.kinds) * 2 + KINDS))
        fidelity = self.fidelity(scene)
        found = Counter({(loss.field, loss.what): loss.count for loss in self.losses(scene)})
        wanted = survival.losses(scene.rows, fidelity, len(scene.images), scene.split)
        extra = Counter({key: n for key, n in found.items() if key[0] == "" and key[1] in _OTHER})
        found -= extra
        assert found == wanted, self.expected(
            f"count as lost {dict(wanted - found)}, and not {dict(found - wanted)}", "`losses` counts otherwise"
        )
        folder, notes = self.write(scene)
        missing = [str(loss) for loss in self.losses(scene) if str(loss) not in notes]
        assert not missing, self.expected(f"note {missing[0] if missing else ''!r}", f"the notes are {notes}")
        splits, labels = self.read(folder)
        self.require_images(scene, splits, fidelity)
        self.require_labels(survival.surviving(scene.rows, fidelity), labels, fidelity, self._changed(scene, fidelity))
        self._require_classes(scene, labels, fidelity)
        shutil.rmtree(folder)

    @examples(2)
    @given(st.data())
    def test_strict_refuses_a_loss_and_writes_nothing(self, data: st.DataObject) -> None:
        self.require_writing()
        scene = data.draw(scenes.scenes(tuple(self.format.fidelity.kinds) + KINDS))
        lost = [loss for loss in self.losses(scene) if loss.field or loss.what not in _OTHER]
        folder = self.new_folder()
        if not lost:
            return
        with pytest.raises(Unsupported) as caught:
            self.write(scene, folder, strict=True)
        assert set(map(str, lost)) <= set(caught.value.problems), self.expected(
            f"name {[str(loss) for loss in lost]}", f"it names {caught.value.problems}"
        )
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert not files, self.expected(
            "write nothing with strict=True", f"it writes {files[0].name!r}" if files else ""
        )

    def test_classes_of_all_names_survive_or_are_refused(self) -> None:
        self.require_writing()
        if not (kinds := [kind for kind in self.kept_kinds() if kind != "skeleton"]):
            pytest.skip(f"{self.format.title} keeps no label as it is")
        for kind in kinds:
            many = (len(UNLIKE) - 1) * scenes.MASKS if kind == "mask" else len(_ODD_CLASSES)
            for start in range(0, len(_ODD_CLASSES), many):
                some = _ODD_CLASSES[start : start + many]
                while some and (refused := self._refused_classes(kind, some)):
                    some = tuple(class_ for class_ in some if class_ not in refused)

    def _refused_classes(self, kind: str, classes: Sequence[str]) -> list[str]:
        """The classes that an export names as it refuses them; asserts that all survive if it is written."""
        rows = []
        for number, class_ in enumerate(classes):
            image = UNLIKE[number % (len(UNLIKE) - 1)]
            row = plain_label(kind) | {"image": image, "label": class_, "label_id": f"{number:032x}"}
            if kind == "mask":
                row["mask"] = scenes.mask(IMAGES[image][2], number // (len(UNLIKE) - 1), 0)
            rows.append(row)
        scene = Scene(tuple(rows), True, UNLIKE)
        scene = scene.only(survival.declared(rows, self.fidelity(scene)))
        try:
            folder, notes = self.write(scene)
        except Unsupported as error:
            named = [class_ for class_ in classes if any(repr(class_) in problem for problem in error.problems)]
            if not named:
                what = "name the class that it cannot hold"
                raise AssertionError(self.expected(what, f"it says {error.problems}")) from error
            return named
        told_of = [class_ for class_ in classes if any(repr(class_) in note for note in notes)]
        kept = [row for row in scene.rows if row["label"] not in told_of]
        self.require_labels(kept, self.read(folder)[1], self.fidelity(scene), more=bool(told_of))
        return []

    def test_labels_without_a_pixel_or_a_point_are_counted(self) -> None:
        self.require_writing()
        nothing = []
        if "mask" in self.format.fidelity.kinds:
            nothing.append(plain_label("mask") | {"mask": scenes.no_pixels(IMAGES[0][2])})
        if "keypoints" in self.format.fidelity.kinds:
            points = [[[float("nan")] * 2] * 3]
            nothing.append(plain_label("keypoints") | {"points": points, "visibility": [0, 0, 0]})
        if not nothing:
            pytest.skip(f"{self.format.title} has neither masks nor keypoints")
        rows = [row | {"image": 0, "label_id": f"{n:032x}"} for n, row in enumerate(nothing)]
        for row in rows:
            scene = Scene((row,), True, UNLIKE)
            folder, notes = self.write(scene)
            found = self.read(folder)[1]
            is_told = any(told.NOTHING in note for note in notes)
            assert bool(found) != is_told, self.expected(
                f"keep a label of the kind {row['kind']!r} that has nothing, or to note that 1 {told.NOTHING}",
                f"{len(found)} labels come back, and the notes are {notes}",
            )

    def test_masks_that_overlap(self) -> None:
        self.require_writing()
        if "mask" not in self.kept_kinds():
            pytest.skip(f"{self.format.title} does not keep masks")
        if self.format.fidelity.only_class is not None:
            pytest.skip(f"{self.format.title} has no classes by which labels are told apart here")
        size = IMAGES[0][2]
        lower, upper = scenes.block(size, 0, 8), scenes.block(size, 4, 12)
        rows = [
            plain_label("mask")
            | {"image": 0, "label_id": f"{n:032x}", "label": name, "mask": mask, "attributes": {"z_order": order}}
            for n, (name, mask, order) in enumerate((("car", upper, 2), ("bus", lower, 1)))
        ]
        scene = Scene(tuple(rows), True, UNLIKE)
        fidelity = self.fidelity(scene)
        folder, notes = self.write(scene)
        found = {row["label"]: row["mask"] for row in self.read(folder)[1]}
        if fidelity.overlaps:
            assert found == {"car": upper, "bus": lower}, self.expected("keep masks that overlap", "they changed")
            return
        assert found == {"car": upper, "bus": scenes.block(size, 0, 4)}, self.expected(
            "give a pixel to the label with the highest z_order", "it does not"
        )
        assert any(f"1 {told.COVERED}" in note for note in notes), self.expected(
            f"note that 1 {told.COVERED}", f"the notes are {notes}"
        )
        with pytest.raises(Unsupported):
            self.write(scene, strict=True)

    def test_ids_survive_if_they_are_declared(self) -> None:
        self.require_writing()
        if not self.format.fidelity.ids:
            pytest.skip(f"{self.format.title} has no ids of labels")
        scene = self.plain_scene()
        found = {row["label_id"] for row in self.read(self.write(scene)[0])[1]}
        assert found == {row["label_id"] for row in scene.rows}, self.expected("keep ids", f"they are {sorted(found)}")

    # What they share

    def declared(self, scene: Scene) -> Scene:
        """A scene without what the format loses. What it keeps may depend on what there is, so it is asked again."""
        for _ in range(4):
            rows = survival.declared(scene.rows, self.fidelity(scene))
            if rows == list(scene.rows):
                break
            scene = scene.only(rows)
        return scene

    def _written(self, scene: Scene, what: str, **options: Any) -> Any:
        try:
            return self.write(scene, **options)
        except Unsupported as error:
            raise AssertionError(self.expected(what, f"it refuses it: {error}")) from error

    def require_images(self, scene: Scene, splits: dict[int, str | None], fidelity: Fidelity) -> None:
        """Assert that all images came back, in their splits."""
        wanted = {n: IMAGES[n][0] if scene.split and fidelity.splits else None for n in scene.images}
        if not fidelity.empty_images:
            labelled = {row["image"] for row in scene.rows if row["kind"] in fidelity.kinds}
            wanted = {n: split for n, split in wanted.items() if n in labelled}
        if not scene.split and fidelity.default_split is not None:
            wanted = dict.fromkeys(wanted, fidelity.default_split)
        assert splits == wanted, self.expected(f"give these images and splits: {wanted}", f"it gives {splits}")

    def require_labels(
        self, expected: Sequence[Row], found: Sequence[Row], fidelity: Fidelity, more: bool = False
    ) -> None:
        """Assert that these labels came back, and no others, except what others were changed into (``more``)."""
        compared = survival.Comparison(expected, found, fidelity)
        if fidelity.boxes_of_points:
            compared.rest = [row for row in compared.rest if row["kind"] != "box" and any(row["visibility"] or (1,))]
        if compared.missing:
            row = compared.missing[0]
            near = compared.nearest(row)
            shown = (
                f"it comes back as {_shown(near)}; these differ: {compared.differences(row, near)}"
                if near
                else (f"only {[_shown(other) for other in compared.rest]} comes back")
            )
            raise AssertionError(self.expected(f"give back {_shown(row)}", shown))
        assert more or not compared.rest, self.expected(
            "give back no other labels", f"there is {_shown(compared.rest[0])}" if compared.rest else ""
        )
        assert more or not compared.groups_differ(), self.expected("keep groups", "they differ")

    @staticmethod
    def _changed(scene: Scene, fidelity: Fidelity) -> bool:
        """Whether labels were changed into others."""
        holes = not fidelity.holes and any(row["kind"] == "polygon" and survival.has_hole(row) for row in scene.rows)
        if not fidelity.overlaps:
            return True  # others may be covered
        return holes or any(fidelity.kinds.get(row["kind"]) not in (None, KEPT) for row in scene.rows)

    def _require_classes(self, scene: Scene, labels: Sequence[Row], fidelity: Fidelity) -> None:
        """Assert that of labels that were changed, at least the class is on the image."""
        if not fidelity.overlaps:
            return
        there = {(row["image"], row["label"]) for row in labels}
        for row in scene.rows:
            is_exact = row["kind"] == "box" and fidelity.kinds.get("box") == KEPT  # compared already
            if row["kind"] in _AREAS and row["kind"] in fidelity.kinds and not is_exact:
                assert (row["image"], fidelity.only_class or row["label"]) in there, self.expected(
                    f"write {_shown(row)} in another form", "nothing of this class is on its image"
                )


def _shown(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value not in (None, [], {}) and name not in ("rev", "field")}
