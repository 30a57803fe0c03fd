"""Who sees progress."""

from __future__ import annotations

import io
import subprocess
import sys
from types import SimpleNamespace

import pytest

from annobridge.display.progress import Progress


def run(choice) -> None:
    with Progress(choice, 3, "sending") as progress:
        progress.advance()
        progress.advance(2)


def test_a_function_is_told() -> None:
    seen: list[tuple[int, int]] = []
    run(lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (3, 3)]


@pytest.mark.parametrize(
    ("choice", "tty", "shown"), [(None, False, 0), (None, True, 1), (False, True, 0), (True, False, 1)]
)
def test_a_bar_is_for_terminals(monkeypatch, choice: bool | None, tty: bool, shown: int) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: tty  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    run(choice)
    assert ("sending" in stream.getvalue()) is bool(shown)


def test_the_bar_stops_when_the_work_fails(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with pytest.raises(ZeroDivisionError), Progress(True, 3) as progress:
        raise ZeroDivisionError
    assert progress._bar.finished is False
    assert progress._bar.live.is_started is False


def test_a_notebook_has_a_bar_without_widgets(monkeypatch) -> None:
    shown: list[str] = []

    def display(thing, display_id: bool):
        shown.append(thing._repr_html_())
        return SimpleNamespace(update=lambda thing: shown.append(thing._repr_html_()))

    kernel = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    run(None)
    assert shown[0] == 'sending <progress value="0" max="3"></progress> 0/3'
    assert shown[-1] == 'sending <progress value="3" max="3"></progress> 3/3'
    count = len(shown)
    run(False)
    kernel.kernel = None  # IPython in a terminal
    run(None)
    assert len(shown) == count


def test_imports_are_light() -> None:
    code = (
        "import sys, annobridge.display.progress, annobridge.settings.config, annobridge.settings.credentials\n"
        "import annobridge.backend.registry\n"
        "print(sorted({'rich', 'keyring', 'lancedb', 'lance', 'requests', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
