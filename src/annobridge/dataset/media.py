"""The methods of datasets about the files of their samples: check them, and rewrite their paths."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING

from ..display.progress import ProgressChoice
from ..store.stores import Stores
from .no_new_attributes import NoNewAttributes

if TYPE_CHECKING:
    from ..media.check import MediaReport
    from ..media.repoint import RepointReport


class MediaVerbs(NoNewAttributes):
    """The methods of ``Dataset`` about media."""

    __slots__ = ()

    @property
    @abstractmethod
    def stores(self) -> Stores:
        """The tables of the dataset."""

    def check_media(
        self, content: bool = False, record: bool = False, accept: bool = False, progress: ProgressChoice = None
    ) -> MediaReport:
        """Look whether the file of each sample is there, and of the size that was recorded when it came into the dataset.

        Files at ``s3://``, ``https://``, … are asked about, and not downloaded. Nothing is written unless ``record`` or ``accept``
        is given.

        Args:
            content: compare the content of files on disk too, by fingerprints of a few blocks.
            record: record size and content of the files that have no record, as those of datasets of earlier versions.
            accept: record files that have changed as they are now; the report has them this once.
            progress: as in ``annotate``.

        Returns:
            Counts, and the files with a problem as a table.
        """
        from ..media.check import check

        return check(self.stores, content, record, accept, progress)

    def repoint(
        self,
        old: str | os.PathLike[str],
        new: str | os.PathLike[str],
        missing: str = "refuse",
        force: bool = False,
        progress: ProgressChoice = None,
    ) -> RepointReport:
        r"""Rewrite the beginning of paths whose files have moved: ``ds.repoint("/mnt/old", "/mnt/new")``.

        Whole components are compared: ``/data/a`` is a prefix of ``/data/a/0.png``, and not of ``/data/ab/0.png``. A prefix may be
        a folder, one of Windows (``C:\photos``), or a URI (``s3://bucket/photos``). All paths are changed in one version of the
        samples, after the files at the new place were checked: that they are there, and as they were recorded. Paths inside the
        dataset's folder are relative to it, and are left as they are.

        Args:
            old: the prefix that paths have.
            new: the prefix that they get.
            missing: files that are not at the new place are an error (``"refuse"``), or keep their paths (``"keep"``).
            force: take files of other content than was recorded.
            progress: as in ``annotate``.

        Returns:
            How many paths were changed, and how many files are missing or have changed. If no path has the old prefix, and some
            have the new one, nothing is changed, and a note says so.

        Raises:
            StoreError: no path outside the dataset's folder begins with the prefix, a new path is that of another sample, or the
                samples are an attached table.
            InvalidMedia: files are missing at the new place, or have other content. Nothing is changed then.
        """
        from ..media.repoint import repoint

        return repoint(self.stores, os.fspath(old), os.fspath(new), missing, force, progress)
