"""The command `chatlab lab conform`: replays the recordings of nodes through the core, and compares
the outputs (`lab.sim.conformance`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, emit, hint
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.sim.conformance import Conformance, OutputDifference


def conform(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            help="A recording (*.rec), a folder with recordings below it, or a trace of detail "
            "full.",
        ),
    ],
    json: Json = False,
) -> None:
    """Feed a recorded run to the core again, and compare every output.

    With `trace: true` in the cluster file each life of a node leaves a recording in its folder.
    Exit 7: an output differs, and the first that does is told; 8: there was nothing to compare.
    """
    from lab.sim.conformance import conform as fed_back
    from lab.terminal.display import display_safe

    try:
        found = fed_back(path)
    except ValueError as error:
        text = str(error)
        raise Problem(text if str(path) in text else f"{path}: {text}", Exit.USAGE) from None
    except OSError as error:
        raise Problem(f"{path}: {error.strerror or error}", Exit.USAGE) from None
    if json:
        emit(_record(found))
    else:
        print(display_safe(found.text()))
        for why in found.incomplete:
            hint(f"recorded in part: {display_safe(why)}")
    raise typer.Exit(int(_code(found)))


def _code(found: "Conformance") -> Exit:
    if found.differences:
        return Exit.VERDICT_FALSE
    return Exit.DONE if found.turns else Exit.VERDICT_UNKNOWN


def _record(found: "Conformance") -> dict[str, object]:
    return {
        "lives": found.lives,
        "turns": found.turns,
        "differences": found.differences,
        "first": None if found.first is None else _told(found.first),
        "incomplete": found.incomplete,
    }


def _told(one: "OutputDifference") -> dict[str, object]:
    return {
        "node": one.node,
        "life": one.inc,
        "turn": one.turn or None,
        "seq": one.seq if one.seq >= 0 else None,
        "recorded": one.recorded,
        "got": one.got,
        "detail": one.detail,
    }
