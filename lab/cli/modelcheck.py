"""The command `chatlab lab search`: a bounded exhaustive search over two or three nodes
(`lab.modelcheck`).
"""

from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, emit
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.modelcheck import SearchResult, Workload

SECONDS = 60.0
STATES = 1_000_000


def _bound(name: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--{name}", min=0, max=20, metavar="N", help=text
    )
    return option


def search(
    posts: Annotated[
        str,
        typer.Option(
            "--posts", metavar="N,N[,N]", help="Messages posted at n1, n2 and perhaps n3."
        ),
    ] = "1,1",
    rounds: Annotated[int, _bound("rounds", "Rounds that begin.")] = 1,
    crashes: Annotated[int, _bound("crashes", "Crashes, each with a restart.")] = 1,
    drops: Annotated[int, _bound("drops", "Packets that are lost.")] = 0,
    copies: Annotated[int, _bound("copies", "Packets that come twice.")] = 0,
    timeouts: Annotated[int, _bound("timeouts", "Exchanges that are given up.")] = 0,
    states: Annotated[
        int, typer.Option("--states", min=1, metavar="N", help="Stop after so many states.")
    ] = STATES,
    time: Annotated[
        float, typer.Option("--time", min=0, metavar="S", help="Stop after so many seconds.")
    ] = SECONDS,
    json: Json = False,
) -> None:
    """Search every order of a few events (model checking).

    Prints the number of states, and the shortest path to a violation, or else to a state in which
    every node shows every message; if there is none, how near the nodes came to one. Exit 7: a
    violation, or no agreement; 8: the search was cut off.
    """
    from lab.cli.verdict_view import Bar
    from lab.modelcheck import Bounds
    from lab.modelcheck import search as searched

    bounds = Bounds(
        rounds=rounds,
        drops=drops,
        copies=copies,
        crashes=crashes,
        timeouts=timeouts,
        states=states,
        seconds=time,
    )
    bar = Bar()
    try:
        found = searched(_workload(posts), bounds, on_progress=bar.show)
    finally:
        bar.clear()
    if json:
        _emit(found)
    else:
        from lab.terminal.display import display_safe

        for line in found.describe().splitlines():
            print(display_safe(line))
    raise typer.Exit(int(_code(found)))


def _workload(posts: str) -> "Workload":
    from lab.modelcheck import Workload

    counts = posts.split(",")
    if not 2 <= len(counts) <= 3 or not all(one.isdecimal() and len(one) < 3 for one in counts):
        raise Problem(f"--posts {posts[:40]!a}: two or three numbers, as in 1,1", Exit.USAGE)
    return Workload(tuple([int(one) for one in counts]))


def _code(found: "SearchResult") -> Exit:
    if found.violation is not None:
        return Exit.VERDICT_FALSE
    if not found.complete:
        return Exit.VERDICT_UNKNOWN
    return Exit.DONE if found.goal is not None else Exit.VERDICT_FALSE


def _emit(found: "SearchResult") -> None:
    violation, nearest = found.violation, found.nearest
    emit(
        {
            "states": found.states,
            "steps": found.steps,
            "depth": found.depth,
            "seconds": round(found.seconds, 3),
            "complete": found.complete,
            "violation": None if violation is None else violation.what,
            "path": list((violation.path if violation else found.goal) or ()),
            "goals": found.goals,
            "missing": nearest.missing,
            "nearest": list(nearest.path),
        }
    )
