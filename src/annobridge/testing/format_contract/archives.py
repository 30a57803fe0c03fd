"""The laws about archives that are damaged, or made to harm."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pytest

from .base import Laws, is_quick

_OUTSIDE = ("../out.txt", "a/../../out.txt", "/out.txt", "C:\\out.txt", "..\\out.txt", "a\\b.txt", "C:out.txt")
_MIB = 1 << 20


class ArchiveLaws(Laws):
    """An archive with one thing wrong is refused as a whole, and nothing is written beside ``media_dir``."""

    @pytest.mark.parametrize("name", _OUTSIDE)
    def test_names_that_lead_out_are_refused(self, name: str) -> None:
        self.refuses(self._with(lambda archive: archive.writestr(_entry(name), b"x")), f"an archive with {name!r}")
        assert not (self.folder / "out.txt").exists()

    def test_links_are_refused(self) -> None:
        link = _entry("labels/link.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        self.refuses(self._with(lambda archive: archive.writestr(link, b"/etc/passwd")), "an archive with a link")

    def test_repeated_members_are_refused(self) -> None:
        with pytest.warns(UserWarning, match="Duplicate name"):
            source = self._with(lambda archive: archive.writestr(archive.namelist()[0], b"x"))
        self.refuses(source, "an archive with a member twice")

    def test_encrypted_members_are_refused(self) -> None:
        self.refuses(self._patched(8, 6, b"\1\0"), "an encrypted archive")

    @pytest.mark.parametrize("change", [-1, 1, 10**6], ids=["shorter", "longer", "much longer"])
    def test_forged_sizes_end_well(self, change: int) -> None:
        def forged(data: bytes, at: int) -> bytes:
            size = max(int.from_bytes(data[at + 24 : at + 28], "little") + change, 0)
            return size.to_bytes(4, "little")

        with self.ends_well("an archive with forged sizes"):
            self.open(self._patched(24, 22, forged))

    def test_truncated_archives_are_refused(self) -> None:
        data = self._source.read_bytes()
        for end in (0.1, 0.5, 0.9, 0.999):
            source = self.folder / f"cut{end}.zip"
            source.write_bytes(data[: int(len(data) * end)])
            with self.ends_well("a truncated archive"):
                self.open(source)
                raise AssertionError(self.expected("refuse a truncated archive", "it reads it"))

    def test_archives_with_flipped_bytes_end_well(self) -> None:
        data = self._source.read_bytes()
        for at in range(0, len(data), max(len(data) // (8 if is_quick() else 32), 1)):
            source = self.folder / "flipped.zip"
            source.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
            with self.ends_well(f"an archive whose byte {at} is flipped"):
                self.open(source)

    def test_limits_are_kept_and_can_be_raised(self) -> None:
        count = len(zipfile.ZipFile(self._source).infolist())
        size = sum(entry.file_size for entry in zipfile.ZipFile(self._source).infolist())
        for name, value in (("max_files", count), ("max_bytes", size)):
            self.refuses(self._source, f"an archive above {name}", **{name: value - 1})
            # Images inside the files count too.
            self.open(self._source, **{name: value * 20 if self.format.has_images_inside else value})

    def test_bombs_are_refused_unless_the_limit_is_raised(self) -> None:
        zeros = bytes(4 * _MIB)
        source = self._with(lambda archive: archive.writestr(_entry("extra/zeros.bin", zipfile.ZIP_DEFLATED), zeros))
        self.refuses(source, "a file that unpacks to 1,000 times its size")
        self.open(source, max_ratio=100_000)

    def test_a_file_above_its_limit_is_refused(self) -> None:
        self.refuses(self._source, "a file above max_file_bytes", max_file_bytes=1)

    def test_what_is_no_archive_ends_well(self) -> None:
        for name, data in (("a.zip", b""), ("b.zip", b"PK\3\4" + bytes(40)), ("c.zip", b"\0" * 1_000), ("d", b"text")):
            source = self.folder / name
            source.write_bytes(data)
            assert not self.format.recognises(source), self.expected(f"not recognise {data[:4]!r}…", "it does")
            with self.ends_well("a file that is no archive"):
                self.open(source)
        empty = self.new_folder()
        empty.mkdir()
        assert not self.format.recognises(empty), self.expected("not recognise an empty folder", "it does")
        with self.ends_well("an empty folder"):
            self.open(empty)

    @cached_property
    def _source(self) -> Path:
        """An archive that is read."""
        found = self.kept_example()
        return self.packed(found) if found.is_dir() else found

    def _with(self, change: Callable[[zipfile.ZipFile], None]) -> Path:
        """The archive with one more member."""
        source = self.folder / "changed.zip"
        source.write_bytes(self._source.read_bytes())
        with zipfile.ZipFile(source, "a") as archive:
            change(archive)
        return source

    def _patched(self, central: int, local: int, value: bytes | Callable[[bytes, int], bytes]) -> Path:
        """The archive with other bytes at an offset of each entry: in the directory and before the member itself."""
        data = bytearray(self._source.read_bytes())
        for mark, offset in ((b"PK\1\2", central), (b"PK\3\4", local)):
            at = data.find(mark)
            while at >= 0:
                new = value if isinstance(value, bytes) else value(bytes(data), at if mark == b"PK\1\2" else at - 2)
                data[at + offset : at + offset + len(new)] = new
                at = data.find(mark, at + 4)
        source = self.folder / "patched.zip"
        source.write_bytes(data)
        return source


def _entry(name: str, compression: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("x", (2020, 1, 1, 0, 0, 0))
    entry.filename = entry.orig_filename = name  # the constructor makes slashes of backslashes
    entry.compress_type = compression
    return entry
