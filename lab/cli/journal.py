"""The commands `chatlab journal ...`: verify, print and repair a node's journal offline."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, Settings, emit, settings_of
from lab.cli.error_output import complain
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from node.storage.verify import Report

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Read a journal offline, and repair it.",
)
Paths = Annotated[
    list[str], typer.Argument(metavar="PATH…", help="A journal's folder, a node's, or its name.")
]
OnePath = Annotated[
    str, typer.Argument(metavar="PATH", help="A journal's folder, a node's, or its name.")
]


@app.command()
def verify(context: typer.Context, paths: Paths, json: Json = False) -> None:
    """Check every frame and every chain. Exit 7 on damage; names file and offset."""
    from lab.terminal.display import display_safe  # lazy: the codec
    from node.storage.files import StorageError
    from node.storage.verify import examine

    damaged = 0
    problems: list[str] = []
    for path in paths:
        try:
            report = examine(_journal_of(settings_of(context), path))
        except StorageError as error:
            problems.append(str(error))
            continue
        damaged += not report.whole
        if json:
            emit(_report_json(report))
            continue
        for finding in report.findings:
            print(display_safe(f"{finding.severity}: {report.path}/{finding}"))
        verdict = "whole" if report.whole else "DAMAGED"
        print(
            display_safe(
                f"{report.path}: {verdict}; node {report.node or '?'}, {report.events} events in "
                f"{report.logs} logs, {report.segments} segments, {report.size_bytes} bytes"
            )
        )
    for text in problems:
        complain(text, Exit.STORAGE)
    if problems:
        raise typer.Exit(int(Exit.STORAGE))
    if damaged:
        raise Problem(
            f"{damaged} of {len(paths)} journals are damaged: see `chatlab journal repair`",
            Exit.VERDICT_FALSE,
        )


@app.command()
def inspect(context: typer.Context, path: OnePath, json: Json = False) -> None:
    """Show everything in a journal, in order."""
    from lab.terminal.display import display_safe
    from node.storage.files import StorageError
    from node.storage.verify import inspect as items_of

    try:
        for item in items_of(_journal_of(settings_of(context), path)):
            if json:
                emit(item)
            else:
                print(display_safe(item_text(item)))
    except StorageError as error:
        raise Problem(str(error), Exit.STORAGE) from None


@app.command()
def repair(context: typer.Context, path: OnePath, json: Json = False) -> None:
    """Take damage out of a journal whose node is stopped. What was there is kept beside it."""
    from lab.terminal.display import display_safe
    from node.storage.files import StorageError
    from node.storage.verify import repair as repair_journal

    try:
        done = repair_journal(_journal_of(settings_of(context), path))
    except StorageError as error:
        raise Problem(str(error), Exit.STORAGE) from None
    if json:
        emit(done)
        return
    for action in done.actions:
        print(display_safe(action))
    if not done.actions:
        print("nothing to repair")
        return
    print(f"{done.lost} records could not be read; peers may still have them")
    print(display_safe(f"kept what was there before: {', '.join(done.kept) or 'nothing'}"))


def first_damage(path: Path) -> str:
    """What is wrong with a journal first; "" if it is sound."""
    from node.storage.files import StorageError
    from node.storage.verify import examine

    try:
        report = examine(path)
    except StorageError as error:
        return str(error)
    return next((str(one) for one in report.findings if one.severity != "note"), "")


def _journal_of(settings: Settings, path: str) -> Path:
    """A path as it is; or, when there is none of that name, the journal of the node."""
    given = Path(path)
    if given.exists() or os.sep in path:
        if not given.exists():
            raise Problem(f"no journal at {path}: there is no such folder", Exit.USAGE)
        return given
    try:
        place = settings.place()
    except Problem:
        raise Problem(f"no journal at {path}: there is no such folder", Exit.USAGE) from None
    return Path(place.node(path).journal_dir)


def _report_json(report: "Report") -> dict[str, object]:
    return {
        "path": report.path,
        "node": report.node,
        "whole": report.whole,
        "records": report.records,
        "events": report.events,
        "epochs": report.epochs,
        "logs": report.logs,
        "segments": report.segments,
        "size_bytes": report.size_bytes,
        "findings": report.findings,
    }


def item_text(item: dict[str, object]) -> str:
    """One record as a line; the JSON form has all of it."""
    from domain.dot import Dot
    from lab.terminal.formats import dot_text, epoch_text, utc_text

    place = f"{item['file']}:{item['offset']}"
    kind = item["kind"]
    if kind == "event" and isinstance(item.get("dot"), dict):
        dot = item["dot"]
        assert isinstance(dot, dict)
        received_at_ms = item["received_at_ms"]
        assert isinstance(received_at_ms, int)
        name = dot_text(Dot(dot["origin"], dot["epoch"], dot["seq"]))
        says = f" {item['text']}" if "text" in item else ""
        return (
            f"{place}  {utc_text(received_at_ms)} {item['via']}  {name}  "
            f"{item['event']} {item['author']}{says}"
        )
    if kind == "epoch":
        epoch = item["epoch"]
        assert isinstance(epoch, int)
        return f"{place}  opens epoch {epoch_text(epoch)}: {item['reason']}"
    rest = " ".join(f"{k}={v}" for k, v in item.items() if k not in ("file", "offset", "kind"))
    return f"{place}  {kind} {rest}"
