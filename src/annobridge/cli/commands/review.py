"""The command ``review``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import show
from ..option_groups import Merging, Part
from ..options import DatasetOption, FormatOption, KeyArgument, LoadOptions, PathOption, open_dataset, parse_options
from ..plan_text import why_stopped

if TYPE_CHECKING:
    from ...bridge.merge_plan import MergePlan
    from ...review.server import ReviewServer

LOOPBACK = "127.0.0.1"
DecisionsFile = Annotated[
    Path | None,
    typer.Option(
        "--decisions", metavar="FILE",
        help="Where decisions are stored, and read from if it is there. Default: KEY.decisions.jsonl in the current folder.",
    ),
]  # fmt: skip
Port = Annotated[int, typer.Option(min=0, help="The port of the page; 0 takes a free one.")]
Host = Annotated[
    str, typer.Option(help="The address to listen on. Any but 127.0.0.1 lets other machines reach the page.")
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Only print the address of the page.")]
Reviewer = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who decides. Default: the user of this computer.")
]


def review(
    *,
    key: KeyArgument,
    dataset: DatasetOption = None,
    decisions: DecisionsFile = None,
    port: Port = 0,
    host: Host = LOOPBACK,
    no_browser: NoBrowser = False,
    by: Reviewer = None,
    merging: Merging,
    part: Part,
    path: PathOption = None,
    format: FormatOption = None,  # noqa: A002 - the word that everybody looks for
    option: LoadOptions = None,
) -> None:
    """Look at each change of a plan, accept or refuse it, and load, on a page in the browser.

    KEY is a run, or a file that plan.save() wrote. Every decision is stored at once; Ctrl-C ends the page, and nothing is lost.
    """
    from ...review.server import require_extra

    require_extra()
    if Path(key).is_file():
        from ...bridge.load_plan import load_plan

        merge_plan = load_plan(key, dataset, **parse_options(option))
    else:
        ds = open_dataset(dataset)
        merge_plan = ds.plan_annotations(
            key, path=path, format=format, **merging.arguments(), **part.arguments(ds), **parse_options(option)
        )
        if why := why_stopped(merge_plan, merging.choice):
            show.warning(why, "UnexpectedLabels")
    server = merge_plan.review(decisions, port, by, host)
    with server:
        try:
            _tell(server, merge_plan, no_browser, host)
            server.wait()
        except KeyboardInterrupt:
            show.console(stderr=True).print("Ending …")
        decided = server.session.decided
    show.console().print(_ended(merge_plan, decided, server.session.log.path), markup=False, soft_wrap=True)


def _tell(server: ReviewServer, merge_plan: MergePlan, no_browser: bool, host: str) -> None:
    """Print where the page is, and open it."""
    from ...review.server import is_remote

    out = show.console()
    count = show.plural(merge_plan.changes.num_rows, "change")
    out.print(f"Review of {merge_plan.anno_key}: {count}. The page:", markup=False)
    out.print(server.url, markup=False, soft_wrap=True)
    for note in (*server.session.log.notes, *filter(None, [server.session.unknown])):
        out.print(f"Note: {note}", markup=False, soft_wrap=True)
    if is_remote(host):
        show.warning(
            f"Everybody who can reach {host} and has this address sees the images, and can decide and load; it is sent without "
            "encryption.",
            "RemoteAccess",
        )
    if not no_browser and not server.open_browser():
        out.print("There is no browser here; open the address in one.", markup=False)
    out.print(
        f"Decisions are stored in {server.session.log.path}. Ctrl-C ends the review.", markup=False, soft_wrap=True
    )


def _ended(merge_plan: MergePlan, decided: int, log: Path) -> str:
    """What is in the file, and how to load it."""
    from ...bridge.reviewed import words_of

    words = words_of(merge_plan.outcome.options)
    arguments = ["annobridge", "load", merge_plan.anno_key, "-d", merge_plan.dataset_uri, *words, "--decisions", log]
    return f"{show.plural(decided, 'change')} decided, in {log}. Load with:\n  {shlex.join(map(str, arguments))}"
