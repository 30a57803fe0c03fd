"""Groups of options that several commands have: a dataclass whose fields are options is one parameter of a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ..exceptions import InvalidOption
from .options import parse_one_or_pairs, parse_pairs

if TYPE_CHECKING:
    from ..core.agreement.consensus import Consensus
    from ..dataset import Dataset, View

LAST = "last"
DEFAULT, NONE = "default", "none"
CONSENSUS_PAIRS = '"quorum=…", "iou=…", "geometry=…", "classes=…"'  # in quotes, so that messages have them as they are


def with_option_groups(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that takes the options of its groups, for one whose parameters are groups."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: p.annotation for name, p in signature.parameters.items() if is_dataclass(p.annotation)
    }
    if not groups:
        return command

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return command(**given)

    parameters = list(_flattened(signature, groups))
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _flattened(signature: inspect.Signature, groups: dict[str, Any]) -> Iterator[inspect.Parameter]:
    """The parameters of a command, with those of its groups in their places."""
    for parameter in signature.parameters.values():
        if parameter.name not in groups:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        hints = get_type_hints(groups[parameter.name], include_extras=True)
        for field in fields(groups[parameter.name]):
            yield inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )


Conflicts = Annotated[
    list[str] | None,
    typer.Option(
        metavar="POLICY | PART=POLICY",
        help="Who wins where both sides changed one thing: theirs (the tool, by default), ours, fail; or for a part, as "
        "attributes=ours, *=fail (repeatable).",
    ),
]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which samples are sent."""

    where: Annotated[str | None, typer.Option(metavar="SQL", help="Only these samples, as \"split = 'train'\".")] = None
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only samples with this tag; repeatable: with one of them.")
    ] = None
    sample: Annotated[
        list[str] | None, typer.Option("--sample", metavar="ID", help="Only this sample; repeatable.")
    ] = None
    match_reviewed: Annotated[
        str | None,
        typer.Option(metavar="KEY|FIELD", help="Only samples that people have reviewed in this run or field."),
    ] = None
    exclude_reviewed: Annotated[
        str | None, typer.Option(metavar="KEY|FIELD", help="All samples but those that people have reviewed in it.")
    ] = None
    match_labels: Annotated[
        list[str] | None,
        typer.Option(
            "--match-labels", metavar="FIELD=SQL", help='Only samples with such a label, as "objects=score < 0.5".'
        ),
    ] = None

    def view(self, ds: Dataset) -> View:
        """The samples that the options select; they apply in the order in which the help lists them."""
        view: View = ds.match(self.where) if self.where else ds
        view = view.match_tags(*self.tag) if self.tag else view
        view = view.select(self.sample) if self.sample else view
        view = view.match_reviewed(self.match_reviewed) if self.match_reviewed else view
        view = view.exclude_reviewed(self.exclude_reviewed) if self.exclude_reviewed else view
        for field, condition in parse_pairs(self.match_labels, "--match-labels", "objects=score < 0.5").items():
            view = view.match_labels(field, condition)
        return view


@dataclass(frozen=True, slots=True)
class Merging:
    """How work from the tool is merged."""

    unexpected: Annotated[
        list[str] | None,
        typer.Option(help="Labels outside the schema: prompt, keep, ignore, return, or TYPE=FIELD (repeatable)."),
    ] = None
    conflicts: Conflicts = None
    dest_field: Annotated[
        list[str] | None,
        typer.Option("--dest-field", help="Put the labels into another field: NAME, or FIELD=NAME (repeatable)."),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Also when most labels of the run would be deleted.")] = False
    invalid: Annotated[
        str | None,
        typer.Option(
            help="Shapes over the border: clip, refuse or keep; by default, clip up to a pixel, refuse the rest."
        ),
    ] = None

    annotator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Load the answer of this annotator, where several answered.")
    ] = None
    consensus: Annotated[
        list[str] | None,
        typer.Option(
            metavar="default | none | NAME=VALUE",
            help="Load the consensus of all annotators: quorum=, iou=, geometry=, classes=, weights.ANNOTATOR= (repeatable). By "
            "default as the last load.",
        ),
    ] = None

    @property
    def choice(self) -> Any:
        """What happens to labels outside the schema."""
        return parse_one_or_pairs(self.unexpected, "--unexpected", "polylines=lanes") or "prompt"

    def arguments(self) -> dict[str, Any]:
        """The arguments of a plan or load."""
        return {
            "unexpected": self.choice, "conflicts": policy(self.conflicts), "force": self.force, "invalid": self.invalid,
            "dest_field": parse_one_or_pairs(self.dest_field, "--dest-field", "objects=checked"),
            "annotator": self.annotator, "consensus": consensus_of(self.consensus),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """Which samples of a run are loaded."""

    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="Load only these samples, as \"split = 'train'\".")
    ] = None
    only_sample: Annotated[
        list[str] | None, typer.Option("--only-sample", metavar="ID", help="Load only this sample; repeatable.")
    ] = None
    reviewed_only: Annotated[
        bool, typer.Option("--reviewed-only", help="Load only samples that people have reviewed in the tool.")
    ] = False
    since: Annotated[
        str | None,
        typer.Option(
            metavar="last | TIME",
            help="Load only what changed in the tool since the last such load, or since an ISO time.",
        ),
    ] = None

    def arguments(self, ds: Dataset) -> dict[str, Any]:
        """The arguments of a plan; ``where`` is a view."""
        view: View = ds.match(self.where) if self.where else ds
        view = view.select(self.only_sample) if self.only_sample else view
        where = view if self.where or self.only_sample else None
        return {"where": where, "reviewed_only": self.reviewed_only, "since": _since(self.since)}


@dataclass(frozen=True, slots=True)
class Running:
    """Where tasks are sent or loaded, or a source is read."""

    executor: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Where the work is done: local, dask, ray. Default: settings."),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many workers at once. Default: one for each core, or the cluster's."),
    ] = None
    executor_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where the cluster is, as tcp://10.0.0.1:8786.")
    ] = None

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``annotate``, of a load, or of an import."""
        return {"executor": self.executor, "workers": self.workers, "executor_address": self.executor_address}


def policy(texts: list[str] | None) -> Any:
    """The argument ``conflicts`` of texts as ``ours``, or ``attributes=ours``."""
    return parse_one_or_pairs(texts, "--conflicts", "attributes=ours") or "theirs"


def consensus_of(texts: list[str] | None) -> Consensus | bool | None:
    """The argument ``consensus`` of texts as ``quorum=0.6``, or ``default`` or ``none``."""
    from ..core.agreement.consensus import Consensus

    if not texts:
        return None
    if texts == [NONE]:
        return False
    given: dict[str, Any] = {"weights": {}}
    pairs = parse_pairs([text for text in texts if text != DEFAULT], "--consensus", "quorum=0.6")
    for name, text in pairs.items():
        option, dot, annotator = name.partition(".")
        if option not in Consensus.__dataclass_fields__ or bool(dot) != (option == "weights"):
            raise InvalidOption(
                f'--consensus "{name}={text}" is not known; give "default", "none", {CONSENSUS_PAIRS}, or "weights.ANNOTATOR=…".'
            )
        value = text if option in ("geometry", "classes") else _number(text, name)
        if dot:
            given["weights"][annotator] = value
        else:
            given[option] = value
    try:
        return Consensus(**given)
    except InvalidOption as error:
        raise InvalidOption(_as_pair(str(error), given)) from None


def _as_pair(message: str, given: dict[str, Any]) -> str:
    """A message about one of the options of a consensus, with the option as it was given on the command line."""
    name = message.partition("=")[0]
    if name not in given:
        return message
    return f'--consensus "{name}={given[name]}"{message.removeprefix(f"{name}={given[name]!r}")}'


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidOption(f'--consensus "{name}={text}" is not a number; write one, as "{name}=0.6".') from None


def _since(text: str | None) -> str | datetime | None:
    """``last``, or a time; one without a time zone is local."""
    if text is None or text == LAST:
        return text
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise InvalidOption(f"--since {text!r} should be last, or a time as 2026-11-29T08:30.") from None
