"""``annobridge demo``: annotate, edit in a tool, plan and load, with every step explained on the terminal."""

from __future__ import annotations

import shlex
import sys
import time
import webbrowser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...exceptions import ConfigError, StoreError
from .. import show
from ..options import JsonOption

if TYPE_CHECKING:
    from ...bridge.merge_plan import MergePlan
    from ...bridge.results import AnnotationResults
    from ...dataset import Dataset
    from ...demo.scenario import Scenario
    from ...demo.tools import DemoTool

KEY = "demo"
FOLDER = "annobridge-demo"
_LOOK_AGAIN = 0.2  # seconds, until the demo looks again whether a load was made on the page


def demo(
    images: Annotated[Path | None, typer.Option(help="Your own images, instead of drawn street scenes.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the tool, and let you do the work.")] = False,
    review: Annotated[
        bool,
        typer.Option("--review", help="Accept or refuse the changes yourself, on the review page, before the load."),
    ] = False,
    backend: Annotated[
        str, typer.Option("--backend", "-b", help="memory: nothing to download; pixano: a real server (1.1 GB, once).")
    ] = "memory",
    folder: Annotated[Path | None, typer.Option(help=f"Where to put everything; by default ./{FOLDER}.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The main job from start to end: dataset, annotate, work in the tool, plan, load."""
    from ...demo import scenario, tools

    root = _new_folder(folder)
    tool = tools.find(backend, root)
    if review:
        from ...review.server import require_extra

        require_extra()
    if open_page and not tool.has_page:
        raise ConfigError(f"{tool.title} has no page to open; leave --open out, or give --backend pixano.")
    photos = [] if images is None else scenario.find_photos(images)
    out = _Steps(as_json)
    ds, chosen = _make_dataset(root, photos, out)
    handed_over = False
    try:
        if tool.note:
            out.step(f"Start {tool.title}")
            out.line(tool.note)
            with out.spinner("starting …"):
                tool.start()
            out.line(f"It answers at {tool.options['url']}.")
        results = _annotate(ds, chosen, backend, tool, out)
        if open_page:
            handed_over = True
            data = _hand_over(ds, results, tool, out)
        else:
            data = _edit_and_load(root, ds, chosen, results, tool, review, out)
    finally:
        if not handed_over:
            tool.stop()
    if as_json:
        show.emit({"folder": str(root), **data}, True, lambda _: ())


class _Steps:
    """Prints numbered steps. With ``--json`` they go to stderr, since stdout is for the data."""

    def __init__(self, as_json: bool) -> None:
        self._console = show.console(stderr=as_json)
        self._number = 0

    def step(self, title: str, code: str = "") -> None:
        """A heading, and the line of Python that does the same."""
        self._number += 1
        self._console.print(f"\n[bold cyan]{self._number}.[/] [bold]{escape(title)}[/]")
        if code:
            self._console.print(f"   [dim]{escape(code)}[/]", soft_wrap=True)

    def line(self, text: str) -> None:
        self._console.print(Padding(Text(text), (0, 0, 0, 3), expand=False))

    def commands(self, lines: Iterable[str]) -> None:
        """Lines to copy: never wrapped."""
        for line in lines:
            self._console.print(f"     [green]{escape(line)}[/]", soft_wrap=True)

    def parts(self, parts: Iterator[Any]) -> None:
        """Tables and texts, as ``show.emit`` prints them, but indented."""
        for number, part in enumerate(parts):
            if number and isinstance(part, Table):
                self._console.print()
            self._console.print(Padding(part, (0, 0, 0, 3), expand=False))

    @contextmanager
    def spinner(self, text: str) -> Iterator[None]:
        """A spinner while the block runs, on a terminal only."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(text):
            yield


def _new_folder(folder: Path | None) -> Path:
    """The given folder, which has to be empty or absent, or the first free one in the current folder."""
    if folder is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(f"{str(folder)!r} is not empty; remove it, or give --folder another place.")
        return folder.expanduser().resolve()
    number, root = 1, Path.cwd() / FOLDER
    while root.exists():
        number += 1
        root = Path.cwd() / f"{FOLDER}-{number}"
    return root


def _make_dataset(root: Path, photos: list[Path], out: _Steps) -> tuple[Dataset, Scenario]:
    out.step("Make a LanceDB dataset of " + ("your images" if photos else "images and labels, as a model left them"))
    with out.spinner("drawing and writing …"):
        from ...dataset import create_dataset
        from ...demo import scenario

        (root / "pictures").mkdir(parents=True, exist_ok=True)
        ds = create_dataset(root / "dataset")
        made = scenario.photos(ds, photos) if photos else scenario.street(ds, root / "images")
    out.line(f"{made.text}, {show.plural(ds.count_labels(), 'label')} in {', '.join(ds.label_fields())}.")
    return ds, made


def _annotate(ds: Dataset, scenario: Scenario, backend: str, tool: DemoTool, out: _Steps) -> AnnotationResults:
    out.step("Send it", f'ds.annotate("{KEY}", label_schema={{…}}, backend="{backend}")')
    options: dict[str, Any] = dict(tool.options)
    results = ds.annotate(KEY, label_schema=scenario.schema, backend=backend, **options)
    fields = ", ".join(f"{name} ({spec['type']})" for name, spec in scenario.schema.items())
    out.line(f"{show.plural(len(ds), 'image')} sent: {fields}.")
    return results


def _hand_over(ds: Dataset, results: AnnotationResults, tool: DemoTool, out: _Steps) -> dict[str, Any]:
    """Open the tool, and print the commands for what comes after the user's own edits."""
    url = next((task["url"] for task in results.status()["tasks"].values() if task["url"]), None)
    out.step("Your turn")
    out.line("Open an image, change labels, save (Ctrl+S):")
    if url:
        out.commands([url])
        webbrowser.open(url)
    options = _option_arguments(tool)
    commands = {
        "plan": _command("plan", KEY, "-d", ds.uri, *options),
        "load": _command("load", KEY, "-d", ds.uri, *options),
        "undo": _command("undo", KEY, "-d", ds.uri),
    }
    out.line("When you have saved, see what would change, load it, and, if you like, take it back:")
    out.commands(commands.values())
    commands |= {f"{name} the server": _command(*arguments) for name, arguments in tool.commands().items()}
    if "stop the server" in commands:
        out.line("At the end, stop the server:")
        out.commands([commands["stop the server"]])
    return {"url": url, "commands": commands}


def _edit_and_load(
    root: Path, ds: Dataset, scenario: Scenario, results: AnnotationResults, tool: DemoTool, review: bool, out: _Steps
) -> dict[str, Any]:
    """Make the edits of the scenario, plan, load, plan again, and draw two images before and after."""
    from .. import plan_text
    from ..changes import Filter, list_changes

    out.step(f"Work in {tool.title}, as a person would" + (" with its web page" if tool.has_page else ""))
    before = _labels(ds, scenario)
    annotator = tool.annotator(results.receipts())
    for edit in scenario.edits:
        edit.apply(annotator)
        out.line(f"· {edit.text}")
    if scenario.local_edit:
        ds.set_labels([scenario.local_edit.row])
        out.line(f"Meanwhile, {scenario.local_edit.text}.")
    out.step("Look at what would change", f'plan = ds.plan_annotations("{KEY}")')
    plan = results.plan()
    planned = plan_text.summary(ds, plan) | list_changes(ds, plan, Filter(), None)
    out.parts(plan_text.plan_parts(planned))
    report = _review(plan, root / "decisions.jsonl", out) if review else None
    if report is None:
        out.step("Load it, as one version of the labels", f'report = ds.load_annotations("{KEY}")')
        loaded = results.load()
        report = plan_text.summary(ds, loaded) | {"version": loaded.version}
        out.parts(plan_text.report_parts(report))
    if scenario.local_edit and not review:
        out.line(scenario.local_edit.merged)
    out.step("Plan again")
    again = plan_text.summary(ds, results.plan())
    out.parts(plan_text.plan_parts(again))
    pictures = _draw(root / "pictures", ds, before, _labels(ds, scenario), tool)
    commands = _next_commands(ds, tool, pictures, out)
    return {"plan": planned, "report": report, "again": again, "pictures": pictures, "commands": commands}


def _review(plan: MergePlan, decisions: Path, out: _Steps) -> dict[str, Any] | None:
    """Serve the review page until a load was made there; ``None`` if Ctrl-C came first."""
    out.step("Accept or refuse each change, and press Load", "plan.review()")
    with plan.review(decisions) as server:
        out.line("The page; Ctrl-C goes on without it:")
        out.commands([server.url])
        server.open_browser()
        with suppress(KeyboardInterrupt):
            while not (report := server.session.job.state())["report"]:
                time.sleep(_LOOK_AGAIN)
    for line in report["lines"]:
        out.line(line)
    found: dict[str, Any] | None = report["report"]
    return found


def _labels(ds: Dataset, scenario: Scenario) -> dict[str, list[dict[str, Any]]]:
    """The labels of the first two samples that the scenario edits."""
    samples = list(dict.fromkeys(edit.sample_id for edit in scenario.edits))[:2]
    return {s: ds.select(s).labels().to_pylist() for s in samples}


def _draw(
    folder: Path,
    ds: Dataset,
    before: dict[str, list[dict[str, Any]]],
    after: dict[str, list[dict[str, Any]]],
    tool: DemoTool,
) -> list[str]:
    from ...demo.pictures import side_by_side

    titles = ("before", f"after the work in {tool.title}")
    paths = []
    for sample_id, old in before.items():
        image = Path(ds.select(sample_id).samples(["filepath"]).to_pylist()[0]["filepath"])
        path = folder / f"{image.stem}.png"
        side_by_side(path, image, old, after[sample_id], titles)
        paths.append(str(path))
    return paths


def _next_commands(ds: Dataset, tool: DemoTool, pictures: list[str], out: _Steps) -> dict[str, str]:
    """Print where to look next; returns the commands."""
    commands = {"info": _command("info", "-d", ds.uri), "undo": _command("undo", KEY, "-d", ds.uri)}
    out.step("Where to look next")
    out.line("Before and after, in pictures:")
    out.commands(pictures)
    out.line("The dataset, and taking the load back:")
    out.commands(commands.values())
    if server := tool.commands():
        again = {
            "start the server": _command(*server["start"]),
            "plan": _command("plan", KEY, "-d", ds.uri, *_option_arguments(tool)),
            "stop the server": _command(*server["stop"]),
        }
        out.line("The server is stopped; start it again to see its page, and plan once more:")
        out.commands(again.values())
        out.line("To do the work yourself, in the browser:")
        commands |= again | {"open": _command("demo", "--open")}
        out.commands([commands["open"]])
    return commands


def _option_arguments(tool: DemoTool) -> list[str]:
    return [part for name, value in tool.options.items() for part in ("-o", f"{name}={value}")]


def _command(*arguments: str) -> str:
    """A command line that can be copied into any shell, in any folder."""
    program = "annobridge"
    if sys.prefix != sys.base_prefix:  # a virtual environment, which may not be on the PATH of another shell
        script = Path(sys.executable).with_name("annobridge")
        program = shlex.quote(str(script)) if script.exists() else f"{sys.executable} -m annobridge"
    return f"{program} {shlex.join(arguments)}"
