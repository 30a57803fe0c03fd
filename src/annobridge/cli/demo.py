"""``annobridge demo``: the main job, start to end, on real parts. What is told on the way goes to the terminal."""

from __future__ import annotations

import shlex
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..demo.story import Story
from ..exceptions import ConfigError, StoreError
from . import show
from .options import AsJson

if TYPE_CHECKING:
    from ..bridge.results import AnnotationResults
    from ..dataset import Dataset
    from ..demo.place import Place
    from ..demo.work import Work

KEY = "demo"
FOLDER = "annobridge-demo"


def demo(
    images: Annotated[Path | None, typer.Option(help="Your own images, instead of drawn street scenes.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the tool, and let you do the work.")] = False,
    backend: Annotated[
        str, typer.Option("--backend", "-b", help="pixano: a real server; memory: nothing to download.")
    ] = "pixano",
    folder: Annotated[Path | None, typer.Option(help=f"Where to put everything; by default ./{FOLDER}.")] = None,
    as_json: AsJson = False,
) -> None:
    """The main job from start to end: dataset, annotate, work in the tool, plan, load."""
    from ..demo import place as places

    root = _fresh(folder)
    place = places.find(backend, root)
    if open_page and not place.has_page:
        raise ConfigError(f"{place.title} has no page to open; leave --open out, or choose another backend.")
    found = _photos(images)
    story = Story(as_json)
    ds, work = _prepare(root, found, story)
    keep = False
    try:
        if place.note:
            story.step(f"Start {place.title}")
            story.tell(place.note)
            with story.waiting("starting …"):
                place.start()
            story.tell(f"It answers at {place.options['url']}.")
        results = _send(ds, work, backend, place, story)
        if open_page:
            keep = True
            data = _hand_over(root, ds, results, place, story)
        else:
            data = _merge(root, ds, work, results, place, story)
    finally:
        if not keep:
            place.stop()
    if as_json:
        show.emit(data, True, lambda _: ())


def _fresh(folder: Path | None) -> Path:
    """A folder for this demo: the one that was asked for, if there is nothing in it, or the next free one."""
    if folder is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(f"{str(folder)!r} is not empty; remove it, or give --folder another place.")
        return folder.expanduser().resolve()
    number, root = 1, Path.cwd() / FOLDER
    while root.exists():
        number += 1
        root = Path.cwd() / f"{FOLDER}-{number}"
    return root


def _photos(images: Path | None) -> list[Path]:
    """A person's own images; none if they are to be drawn. They are looked at before anything is made."""
    from ..demo import work

    return [] if images is None else work.find(images)


def _prepare(root: Path, photos: list[Path], story: Story) -> tuple[Dataset, Work]:
    story.step("Make a LanceDB dataset of " + ("your images" if photos else "images and labels, as a model left them"))
    with story.waiting("drawing and writing …"):
        from ..dataset import create_dataset
        from ..demo import work

        (root / "pictures").mkdir(parents=True, exist_ok=True)
        ds = create_dataset(root / "dataset")
        found = work.photos(ds, photos) if photos else work.streets(ds, root / "images")
    story.tell(f"{found.what}, {show.plural(ds.count_labels(), 'label')} in {', '.join(ds.label_fields())}.")
    return ds, found


def _send(ds: Dataset, work: Work, backend: str, place: Place, story: Story) -> AnnotationResults:
    story.step("Send it", f'ds.annotate("{KEY}", label_schema={{…}}, backend="{backend}")')
    options: dict[str, Any] = dict(place.options)
    results = ds.annotate(KEY, label_schema=work.schema, backend=backend, **options)
    fields = ", ".join(f"{name} ({spec['type']})" for name, spec in work.schema.items())
    story.tell(f"{show.plural(len(ds), 'image')} sent: {fields}.")
    return results


def _hand_over(root: Path, ds: Dataset, results: AnnotationResults, place: Place, story: Story) -> dict[str, Any]:
    """Leave the work to the person."""
    url = next((task["url"] for task in results.status()["tasks"].values() if task["url"]), None)
    story.step("Your turn")
    story.tell("Open an image, change labels, save (Ctrl+S):")
    if url:
        story.commands([url])
        webbrowser.open(url)
    options = [part for pair in place.options.items() for part in ("-o", "=".join(pair))]
    told = ["plan", "load", "undo"]
    commands = {name: _command(name, KEY, "-d", ds.uri, *(options if name != "undo" else ())) for name in told}
    commands |= {f"{name} the server": _command(*words) for name, words in place.commands().items()}
    story.tell("When you have saved, see what would change, load it, and, if you like, take it back:")
    story.commands(commands[name] for name in told)
    if "stop the server" in commands:
        story.tell("At the end, stop the server:")
        story.commands([commands["stop the server"]])
    return {"folder": str(root), "url": url, "commands": commands}


def _merge(
    root: Path, ds: Dataset, work: Work, results: AnnotationResults, place: Place, story: Story
) -> dict[str, Any]:
    """Work in the tool, plan, load, and show."""
    from . import merge
    from .changes import Filter, listed

    story.step(f"Work in {place.title}, as a person would" + (" with its web page" if place.has_page else ""))
    before = _labels(ds, work)
    hands = place.hands(results.receipts())
    for edit in work.edits:
        edit.do(hands)
        story.tell(f"· {edit.text}")
    if work.meanwhile:
        ds.set_labels([work.meanwhile])
        story.tell(f"Meanwhile, {work.meanwhile_text}.")
    story.step("Look at what would change", f'plan = ds.plan_annotations("{KEY}")')
    plan = results.plan()
    planned = merge.summary(ds, plan) | listed(ds, plan, Filter(), None)
    story.show(merge.plan_parts(planned))
    story.step("Load it, as one version of the labels", f'report = ds.load_annotations("{KEY}")')
    report = merge.summary(ds, loaded := results.load()) | {"version": loaded.version}
    story.show(merge.report_parts(report))
    if work.both:
        story.tell(work.both)
    story.step("Plan again")
    again = merge.summary(ds, results.plan())
    story.show(merge.plan_parts(again))
    pictures = _pictures(root, ds, work, before, place)
    commands = _next(ds, place, pictures, story)
    return {
        "folder": str(root), "plan": planned, "report": report, "again": again,
        "pictures": [str(p) for p in pictures], "commands": commands,
    }  # fmt: skip


def _labels(ds: Dataset, work: Work) -> dict[str, list[dict[str, Any]]]:
    """The labels of the two images on which most happens."""
    samples = list(dict.fromkeys(edit.sample for edit in work.edits))[:2]
    return {s: ds.select(s).labels().to_pylist() for s in samples}


def _pictures(root: Path, ds: Dataset, work: Work, before: dict[str, list[dict[str, Any]]], place: Place) -> list[Path]:
    from ..demo.pictures import side_by_side

    made = []
    after = _labels(ds, work)
    for sample, old in before.items():
        photo = Path(ds.select(sample).samples(["filepath"]).to_pylist()[0]["filepath"])
        target = root / "pictures" / f"{photo.stem}.png"
        made.append(side_by_side(target, photo, old, after[sample], ("before", f"after the work in {place.title}")))
    return made


def _next(ds: Dataset, place: Place, pictures: list[Path], story: Story) -> dict[str, str]:
    commands = {
        "info": _command("info", "-d", ds.uri),
        "undo": _command("undo", KEY, "-d", ds.uri),
    }
    start = place.commands()
    if start:
        options = [part for pair in place.options.items() for part in ("-o", "=".join(pair))]
        commands |= {
            "start the server": _command(*start["start"]),
            "plan": _command("plan", KEY, "-d", ds.uri, *options),
            "stop the server": _command(*start["stop"]),
        }
    story.step("Where to look next")
    story.tell("Before and after, in pictures:")
    story.commands(map(str, pictures))
    story.tell("The dataset, and taking the load back:")
    story.commands([commands["info"], commands["undo"]])
    if start:
        story.tell("The server is stopped; start it again to see its page, and plan once more:")
        story.commands([commands["start the server"], commands["plan"], commands["stop the server"]])
        story.tell("To do the work yourself, in the browser:")
        commands["open"] = _command("demo", "--open")
        story.commands([commands["open"]])
    return commands


def _command(*words: str) -> str:
    """A command line that works as it stands, from any shell and folder."""
    program = "annobridge"
    if sys.prefix != sys.base_prefix:  # in a virtual environment, which another shell may not have on its path
        beside = Path(sys.executable).with_name("annobridge")
        program = str(beside) if beside.exists() else f"{sys.executable} -m annobridge"
    return f"{shlex.quote(program) if ' -m ' not in program else program} {shlex.join(words)}"
