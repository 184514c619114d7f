"""The command `chatlab lab report`: a run, or two of them, as one HTML file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import hint
from lab.cli.replay import planted_in, replayed
from lab.terminal.display import display_safe
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.web.report import Side

TRACE_BYTES_MAX = 512 * 1024 * 1024


def report(
    run: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN|RUN|TRACE",
            help="What a run printed, or a plan's JSON file; a folder with recordings of nodes; a "
            "trace (*.jsonl).",
        ),
    ],
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="Where the report goes.")],
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[OTHER]", help="A second run, beside it: both are marked where they part."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if the code is not what it was.")
    ] = False,
) -> None:
    """Write a run as one HTML file: story, diagram to zoom and click, who held what, verdicts.

    The file is whole: it opens in a browser without this program, and makes no request.
    """
    from lab.web.report import write_report

    sides = [_side(run, force=force)]
    if other is not None:  # the same token without its bug makes another trace, which is the point
        sides.append(_side(other, force=force, exact=run.partition("+")[2] != other))
    try:
        size = write_report(sides, html)
    except OSError as error:
        raise Problem(f"{html}: {error.strerror or error}", Exit.USAGE) from None
    events = " and ".join([f"{len(side.run.trace):,}" for side in sides])
    print(f"{html}: {events} events, {size / 1e6:.1f} MB; open it in a browser")


def _side(text: str, *, force: bool, exact: bool = True) -> "Side":
    from lab.web.report import Side

    path = Path(text)
    if os.path.isdir(text):  # a token may be too long for a path, which `is_dir` raises
        return _recorded(path)
    if path.suffix in (".jsonl", ".trace"):
        return _traced(path)
    mutant, bug, token = planted_in(text)
    with bug:
        judged = replayed(token, force=force, exact=exact)
    plan = token.endswith(".json")
    name = f"{judged.plan.scenario} {judged.seed}" + (f" with {mutant}" if mutant else "")
    again = (
        f"chatlab lab replay {text if plan else f'{mutant}+' * bool(mutant) + str(judged.token)}"
    )
    return Side(display_safe(name), judged, again)


def _traced(path: Path) -> "Side":
    from lab.campaign.judged_run import judged_trace
    from lab.trace.file import TraceError, read_lines
    from lab.web.report import Side

    try:
        if path.stat().st_size > TRACE_BYTES_MAX:
            raise Problem(f"{path}: too large for a trace", Exit.USAGE)
        with path.open("rb") as lines:
            return Side(display_safe(path.name), judged_trace(read_lines(lines)))
    except TraceError as error:
        raise Problem(f"{path}: {error}", Exit.USAGE) from None
    except OSError as error:
        raise Problem(f"{path}: {error.strerror or error}", Exit.USAGE) from None


def _recorded(folder: Path) -> "Side":
    from lab.campaign.judged_run import judged
    from lab.real import recorded_run
    from lab.web.report import Side

    try:
        run = recorded_run(folder)
    except (OSError, ValueError) as error:
        raise Problem(str(error), Exit.USAGE) from None
    for why in run.incomplete:
        hint(f"recorded in part: {display_safe(why)}")
    return Side(display_safe(folder.name), judged(run, run.plan, 0))
