"""Pixano's own program, ``pixano data import``, run as a subprocess.

Its exit status means nothing: it may crash (134) at its end, after all work is done. So callers look at the result.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from annobridge.exceptions import Broken

from ..install import subprocess_env, tail

_HELP_TIMEOUT = 120.0  # seconds: it loads all of its dependencies first
_BORDERS = re.compile("[\u2500-\u257f]+")


class Program:
    """The program, given by its path or its name on the ``PATH``, and the folder that its server was started on."""

    def __init__(self, executable: str, folder: str) -> None:
        self.executable, self.folder = executable, Path(folder).expanduser()

    @property
    def library(self) -> Path:
        """The folder of the datasets."""
        return self.folder / "library"

    @property
    def media(self) -> Path:
        """The folder of their images."""
        return self.folder / "media"

    def datasets(self) -> set[str]:
        """The ids of the datasets in the library."""
        found = set()
        for info in self.library.glob("*/info.json"):
            with suppress(OSError, ValueError):
                found.add(json.loads(info.read_text("utf-8")).get("id"))
        return found

    def problems(self) -> Iterator[str]:
        """What is wrong with the program or the folder, in sentences."""
        if not self.folder.is_dir():
            yield f"folder: {self.folder} is not there; give the folder that the Pixano server was started on."
        elif not (self.library.is_dir() and self.media.is_dir()):
            yield (
                f"folder: {self.folder} has no `library` and `media` in it; give the folder that the Pixano server was "
                "started on, or make one with `pixano init`."
            )
        if shutil.which(self._path()) is None:
            yield (
                f"executable: {self.executable} is no program; give the path of `pixano` in the environment that this "
                "generation of Pixano is installed in."
            )
        elif not {"--type", "--schema"} <= set(
            re.findall(r"--\w+", self._run(["data", "import", "--help"], _HELP_TIMEOUT))
        ):
            yield (
                f"executable: {self.executable} has no `data import --type --schema`, so it is of another generation of "
                "Pixano than one that imports; give the `pixano` of that one, or use Pixano 0.8 (`annobridge pixano up`)."
            )

    def load(self, source: Path, name: str, kind: str, mode: str, deadline: float) -> str:
        """Import a folder as a dataset of this name; returns the output of the program."""
        # All options are given: it would ask on a terminal for those that are missing.
        schema = f"{source / 'schema.py'}:Sample"
        options = ["--name", name, "--type", kind, "--schema", schema, "--mode", mode]
        return self._run(["data", "import", str(self.folder), str(source), *options], deadline)

    def _path(self) -> str:
        return os.path.expanduser(self.executable)  # not a Path, which would make ./pixano a name on the PATH

    def _run(self, arguments: Sequence[str], deadline: float) -> str:
        # A plain traceback ends with the error; the decorated one would show the values of variables, too.
        plain = {"_TYPER_STANDARD_TRACEBACK": "1", "TYPER_STANDARD_TRACEBACK": "1", "COLUMNS": "200", "NO_COLOR": "1"}
        try:
            done = subprocess.run(  # noqa: S603 - the program that the user named
                [self._path(), *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=deadline,
                check=False,
                env=subprocess_env() | plain,
            )
        except subprocess.TimeoutExpired as error:
            raise Broken(
                f"pixano: `{self.executable} {' '.join(arguments[:2])}` did not end within {deadline:g} s and was stopped; "
                "give it more by the option `deadline`, or make tasks smaller by `task_size`."
            ) from error
        except OSError as error:
            raise Broken(
                f"pixano: {self.executable} cannot be run ({error.strerror}); correct the option `executable`."
            ) from error
        return _BORDERS.sub(" ", (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace"))


def last_words(output: str) -> str:
    """The end of a program's output, for an error message."""
    return tail(output) or "it said nothing"
