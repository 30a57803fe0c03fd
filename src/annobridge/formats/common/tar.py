"""Tar files as streams: members one after another, checked as those of a zip are, and never unpacked as a whole."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Self

from ...exceptions import InvalidSource
from .archive import Archive, is_safe_name

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_HEADER = 1 << 20  # bytes that the headers of one member may have
_SMALL = 1 << 20  # bytes that a compressed tar may unpack to at any ratio
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_DAMAGED = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined]
_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, RecursionError, OverflowError)


def tar_names(archive: Archive) -> list[str]:
    """The tar files of an archive."""
    return [name for name in archive.names if name.lower().endswith(SUFFIXES)]


def members(archive: Archive, name: str) -> Iterator[tuple[str, bytes]]:
    """The files in a tar, with their content, in their order. Raises ``InvalidSource`` for a tar that is damaged, and for members
    that lead out of it, are links or devices, or are larger than the limits allow.
    """
    where, packed = archive.where(name), archive.size(name)
    limits, total, count = archive.limits, 0, 0
    with archive.open(name) as raw:
        try:
            with _opened(name, raw) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
                while (entry := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]  # which tarfile would keep
                    if problem := _problem(entry):
                        raise InvalidSource(f"The member {entry.name!r} of {where} {problem}; the archive is refused.")
                    if entry.isdir():
                        continue
                    count, total = count + 1, total + entry.size
                    most = packed if name.lower().endswith(".tar") else max(packed * limits.max_ratio, _SMALL)
                    if entry.size > limits.max_file_bytes or total > limits.max_bytes or count > limits.max_files:
                        limit = (
                            "max_file_bytes" if entry.size > limits.max_file_bytes
                            else "max_bytes" if total > limits.max_bytes else "max_files"
                        )  # fmt: skip
                        raise InvalidSource(
                            f"{where} holds more than {limit}={getattr(limits, limit):,} allows; raise that limit."
                        )
                    if total > most:
                        raise InvalidSource(
                            f"The member {entry.name!r} of {where} is larger than the archive can hold; the archive is damaged, or "
                            "raise max_ratio."
                        )
                    content = tar.extractfile(entry)
                    data = content.read(entry.size) if content is not None else b""
                    if len(data) != entry.size:
                        raise InvalidSource(f"{where} ends within {entry.name!r}; download it again.")
                    yield entry.name.removeprefix("./"), data
        except _ERRORS as error:
            raise InvalidSource(f"{where} cannot be read as a tar ({error}); download it again.") from error


class _Member(tarfile.TarInfo):
    """A member whose extended headers, which tarfile reads as a whole, are small.

    A damaged header is an error: tarfile takes it for the end of the archive, and the members behind it would be lost.
    """

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> Self:  # type: ignore[override]
        try:
            return super().frombuf(buf, encoding, errors)
        except _DAMAGED as error:
            raise tarfile.ReadError(f"a header is damaged: {error}") from None

    def _proc_member(self, tar: tarfile.TarFile) -> Self:
        if self.size < 0 or (self.type in _EXTENDED and self.size > _HEADER):
            raise tarfile.ReadError("a header has an impossible size")
        return super()._proc_member(tar)  # type: ignore[misc, no-any-return]


def _opened(name: str, raw: BinaryIO) -> BinaryIO:
    lower = name.lower()
    if lower.endswith((".gz", ".tgz")):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if lower.endswith(".bz2"):
        return bz2.BZ2File(raw)  # type: ignore[return-value]
    return lzma.LZMAFile(raw) if lower.endswith(".xz") else raw  # type: ignore[return-value]


def _problem(entry: tarfile.TarInfo) -> str | None:
    plain = entry.name.removeprefix("./").rstrip("/")
    if entry.isdir() and plain in ("", "."):
        return None
    if not is_safe_name(plain):
        return "has a name that leads out of the archive"
    if entry.issym() or entry.islnk():
        return "is a link"
    if entry.issparse() or not (entry.isreg() or entry.isdir()):
        return "is neither a file nor a folder"
    return "has a negative size" if entry.size < 0 else None
