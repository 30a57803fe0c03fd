"""The laws about the files of an export: where images are, which bytes come out, and that they are recognised."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...exceptions import InvalidOption, InvalidSource, Unsupported
from ...formats import registry
from ...formats.base import Part
from . import scenes
from .base import ALL, UNLIKE, Laws, examples
from .scenes import IMAGES, Scene


class ExportLaws(Laws):
    """Files, media and detection."""

    @examples(2)
    @given(st.data())
    def test_two_writes_are_equal_however_the_samples_are_read(self, data: st.DataObject) -> None:
        self.require_writing()
        scene = data.draw(scenes.scenes(tuple(self.format.fidelity.kinds)))
        first, second = self.write(scene)[0], self.write(scene, part=2)[0]
        ours, theirs = _contents(first), _contents(second)
        differ = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        assert not differ, self.expected("write equal bytes twice", f"{differ[0] if differ else ''!r} differs")

    def test_an_export_is_recognised_and_no_other_format_takes_it(self) -> None:
        self.require_writing()
        folder = self.write(self.plain_scene())[0]
        for source in (folder, self.packed(folder)):
            what = "its own export" if source.is_dir() else "its own export as a zip"
            assert self.format.recognises(source), self.expected(f"recognise {what}", "it does not")
            assert self.format.reason(source), self.expected(f"say why it recognises {what}", "it does not")
            others = [
                registry.get(name) for name in registry.names() if name not in (registry.GENERAL, self.format.name)
            ]
            taken = [other.title for other in others if other.recognises(source)]
            assert not taken, self.expected(
                f"be the only one that takes {what}", f"{taken[0] if taken else ''} takes it"
            )

    def test_a_folder_of_images_alone_is_not_recognised(self) -> None:
        flat = self.new_folder()
        flat.mkdir()
        shutil.copy(self.images / "split" / "train" / "a.png", flat)
        for source in (self.images / "whole", self.packed(flat)):
            assert not self.format.recognises(source), self.expected("leave plain images alone", "it takes them")

    def test_a_zip_reads_as_its_folder(self) -> None:
        self.require_writing()
        scene = self.plain_scene()
        folder = self.write(scene)[0]
        inner = folder.parent / "outer" / "inner"
        inner.parent.mkdir()
        source = self.packed(folder)
        wanted = self.read(folder)
        found = self.read(source)
        is_same = found[0] == wanted[0] and [_plain(row) for row in found[1]] == [_plain(row) for row in wanted[1]]
        assert is_same, self.expected("read a zip as its folder", "labels or splits differ")
        folder.rename(inner)
        splits, labels = self.read(inner.parent)
        is_same = len(labels) == len(wanted[1]) and splits.keys() == wanted[0].keys()
        assert is_same, self.expected(
            "read its export inside another folder", f"it finds {len(labels)} labels on {len(splits)} images"
        )

    @pytest.mark.parametrize("how", [True, False, "link"])
    def test_images_are_copied_linked_or_left_out(self, how: bool | str) -> None:
        self.require_writing()
        scene = self.plain_scene()
        try:
            folder, _ = self.write(scene, save_media=how)
        except (InvalidOption, Unsupported):
            may_refuse = how is False or (how == "link" and self.format.has_images_inside)
            assert may_refuse, self.expected(f"write with save_media={how!r}", "it refuses")
            return
        files = [path for path in folder.rglob("*") if path.is_file()]
        images = [path for path in files if scenes.digest(path) in self._digests]
        if how is False:
            assert not images, self.expected("leave images out", f"{images[0].name!r} is there" if images else "")
            wanted = self.read(self.write(scene)[0])[1]
            found = self.read(folder, image_dir=self.images / "split")
            labels, splits = found[1], found[0]
            is_same = splits.keys() == set(UNLIKE) and len(labels) == len(wanted)
            assert is_same, self.expected(
                f"find {len(UNLIKE)} images in image_dir, and {len(wanted)} labels",
                f"it finds {len(splits)} images and {len(labels)} labels",
            )
            return
        if self.format.has_images_inside:
            assert how is True, self.expected(f"refuse save_media={how!r}", "it writes")
            splits, _ = self.read(folder)
            assert splits.keys() == set(UNLIKE), self.expected(f"write {len(UNLIKE)} images", f"it has {len(splits)}")
            return
        assert len(images) == len(UNLIKE), self.expected(f"write {len(UNLIKE)} images", f"it writes {len(images)}")
        assert all(path.is_symlink() == (how == "link") for path in images), self.expected(
            f"obey save_media={how!r}", "it does not"
        )

    def test_classes_are_in_the_order_that_is_asked_for(self) -> None:
        self.require_writing()
        scene = self.plain_scene()
        wanted = self.read(self.write(scene)[0])[1]
        for classes in (("zebra", "car"), (scenes.FIGURE, "car", "a"), ("car", scenes.FIGURE, "zebra", "tree")):
            folder = self.write(scene, classes=classes)[0]
            found = self.read(folder)[1]
            assert _known(found) == _known(wanted), self.expected(
                f"keep labels with classes={classes}", f"there are {_known(found)}"
            )

    def test_an_export_without_labels(self) -> None:
        self.require_writing()
        folder, notes = self.write(Scene((), True, UNLIKE))
        if not self.format.fidelity.empty_images:
            assert notes, self.expected("note images that are left out", "it notes nothing")
            return
        splits, labels = self.read(folder)
        assert (len(splits), labels) == (len(UNLIKE), []), self.expected(
            f"give back {len(UNLIKE)} images without labels", f"it gives {len(splits)} images and {len(labels)} labels"
        )

    def test_an_export_without_samples(self) -> None:
        self.require_writing()
        try:
            folder, _ = self.write(Scene((), False, ()))
        except Unsupported:
            return
        with self.ends_well("an export without samples"):
            try:
                self.open(folder)
            except InvalidSource:
                return

    def test_names_and_splits_that_lead_out_are_refused(self) -> None:
        self.require_writing()
        scene = self.plain_scene()
        for split in ("..", "../out", "/out", "a/../../out"):
            (part,) = scenes.parts(scene, self.images)
            column = pa.array([split] * part.samples.num_rows)
            samples = part.samples.set_column(part.samples.column_names.index("split"), "split", column)
            folder = self.new_folder()
            folder.mkdir()
            with pytest.raises(Unsupported):
                self.format.write(iter([Part(samples, part.labels)]), folder, self.write_options())
            assert not list(folder.parent.glob("out*")), self.expected("stay in its folder", "it writes beside it")

    def test_images_with_all_names_keep_their_labels(self) -> None:
        self.require_writing()
        kinds = self.kept_kinds() or tuple(self.format.fidelity.kinds)
        plain = self.plain_scene(tuple(kinds[:1]) * len(ALL))
        for split in (True, False):
            rows = [row | {"image": number} for number, row in zip(ALL, plain.rows, strict=True)]
            rows = [
                row if row["mask"] is None else row | {"mask": scenes.mask(IMAGES[row["image"]][2], 0, 0)}
                for row in rows
            ]
            scene = Scene(tuple(rows), split, ALL)
            splits, labels = self.read(self.write(scene)[0])
            is_same = sorted(splits) == list(ALL) and sorted(row["image"] for row in labels) == list(ALL)
            assert is_same, self.expected(
                "give each label back on its image",
                f"images {sorted(splits)}, labels on {[r['image'] for r in labels]}",
            )


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _known(labels: list[scenes.Row]) -> list[tuple[int, str, str]]:
    return sorted((row["image"], row["kind"], row["label"] or "") for row in labels)


def _plain(row: scenes.Row) -> str:
    """All of a label but ids, which follow the path of the image."""
    return repr({name: value for name, value in row.items() if name not in ("sample_id", "label_id")})
