"""The commands `chatlab lab table`, `compare` and `sweep`: run experiments and print their figures
side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, emit, settings_of
from lab.cli.lab_common import Jobs, complete_scenario, jobs_or_all, scenario_named
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.campaign.comparison import Variant

SEEDS = 20
TABLES = ("pushpull", "demers")
ScenarioName = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="A name of `lab list`, or a YAML file.",
        autocompletion=complete_scenario,
    ),
]
Seeds = Annotated[
    int, typer.Option("--seeds", min=1, max=100_000, metavar="N", help="Runs of each.")
]
First = Annotated[
    int, typer.Option("--first", min=0, max=2**62, metavar="N", help="The first seed.")
]


def _complete_table(incomplete: str) -> list[str]:
    return [name for name in TABLES if name.startswith(incomplete)]


def table(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help=f"One of {', '.join(TABLES)}.",
            autocompletion=_complete_table,
        ),
    ],
    full: Annotated[
        bool, typer.Option("--full", help="As many trials as the notes say: minutes.")
    ] = False,
    trials: Annotated[int | None, typer.Option("--trials", min=1, max=100_000, metavar="N")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**62, metavar="N")] = 1,
    json: Json = False,
) -> None:
    """Measure a published table with the real engines, beside the published figures.

    pushpull: rounds of push-pull anti-entropy until all nodes know one rumor. demers: table 1 of
    Demers et al. 1987. Exit 7: a figure that should be met is not.
    """
    if name not in TABLES:
        raise Problem(f"no table {name[:40]!a}: there are {', '.join(TABLES)}", Exit.USAGE)
    code = _pushpull(full, trials, seed, json) if name == "pushpull" else 0
    if name == "demers":
        _demers(full, trials, seed, json)
    raise typer.Exit(code)


def _pushpull(full: bool, trials: int | None, seed: int, json: bool) -> int:
    from lab.experiments import pushpull

    pushpull.tune()
    sizes = pushpull.FULL if full else pushpull.SHORT
    counts = [(nodes, trials or usual) for nodes, usual in sizes]
    with _trials(sum(nodes * count for nodes, count in counts)) as tried:
        rows = [pushpull.run(nodes, n, seed, partial(tried, nodes)) for nodes, n in counts]
    for row in rows if json else ():
        emit({"table": "pushpull", "published": row.published, "met": row.met, **_told(row)})
    if not json:
        print(pushpull.describe(rows))
    return int(Exit.VERDICT_FALSE if any(row.met is False for row in rows) else Exit.DONE)


def _demers(full: bool, trials: int | None, seed: int, json: bool) -> None:
    from lab.experiments import demers

    count = trials or (demers.FULL_TRIALS if full else demers.SHORT_TRIALS)
    with _trials(count * len(demers.JUDGEMENTS) * len(demers.PUBLISHED)) as tried:
        rows = demers.table_1(count, seed, partial(tried, 1))
    for row in rows if json else ():
        emit({"table": "demers", "published": demers.PUBLISHED[row.k], **_told(row)})
    if not json:
        print(demers.describe(rows))


@contextmanager
def _trials(work: int) -> Iterator[Callable[[int], None]]:
    """A progress bar. The yielded function takes the work of each trial, in the units of `work`."""
    from lab.cli.verdict_view import Bar

    bar, done = Bar(), [0]

    def tried(part: int) -> None:
        done[0] += part
        bar.show(done[0] / work, "of the trials")

    try:
        yield tried
    finally:
        bar.clear()


def _told(row: object) -> dict[str, object]:
    import msgspec

    built: dict[str, object] = msgspec.to_builtins(row)
    return built


# --- side by side ---------------------------------------------------------------------------------


def compare(
    context: typer.Context,
    scenario: ScenarioName = "lossy",
    ways: Annotated[
        list[str] | None,
        typer.Option("--way", metavar="WAY", help="Compare only this one; may be repeated."),
    ] = None,
    seeds: Seeds = SEEDS,
    first: First = 1,
    jobs: Jobs = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="List the ways, and do nothing else.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare ways of spreading in one scenario under the same seeds.

    How late events come, and what each costs in packets and bytes. Exit 7 if any run fails.
    """
    from lab.campaign.comparison import WAYS
    from lab.campaign.comparison import ways as spread
    from lab.terminal.tables import table as as_table

    if only_list:
        for way in WAYS if json else ():
            emit({"way": way.name, "about": way.about, "gossip": way.gossip})
        if not json:
            rows = [[way.name, way.about] for way in WAYS]
            print(as_table(["WAY", "WHAT IT DOES"], rows, settings_of(context).paint))
        return
    _show(context, lambda: spread(scenario_named(scenario), ways or ()), seeds, first, jobs, json)


def sweep(
    context: typer.Context,
    scenario: ScenarioName,
    knobs: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH=VALUE,VALUE…",
            help="What to change, by its place in the scenario's file: gossip.fanout=1,2,3 or "
            "faults.loss.share=0,0.1,0.2. Several make a grid.",
        ),
    ],
    seeds: Seeds = SEEDS,
    first: First = 1,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Vary settings of a scenario, and compare the results under the same seeds.

    Exit 7 if any run fails. While a cluster is small, news goes to all peers at once, and fanout
    and rumor_k do nothing: direct_peers_max=0 makes them act, as in
    `chatlab lab sweep lossy gossip.direct_peers_max=0 gossip.fanout=1,3 --seeds 5`.
    """
    from lab.campaign.comparison import grid

    _show(context, lambda: grid(scenario_named(scenario), knobs), seeds, first, jobs, json)


def _show(
    context: typer.Context,
    make: "Callable[[], Sequence[Variant]]",
    seeds: int,
    first: int,
    jobs: int | None,
    json: bool,
) -> None:
    from lab.campaign.comparison import measured, table_of
    from lab.campaign.explore import tune
    from lab.cli.verdict_view import Bar
    from lab.plan.scenario import ScenarioError

    try:
        variants = make()
    except ScenarioError as error:
        raise Problem(str(error), Exit.USAGE) from None
    bar = Bar()
    tune()
    try:
        rows = measured(
            variants,
            seeds,
            first,
            jobs_or_all(jobs),
            lambda done, of: bar.show(done / of, f"{done}/{of} runs"),
        )
    finally:
        bar.clear()
    for row in rows if json else ():
        emit(row)
    if not json:
        print(table_of(rows, settings_of(context).paint))
    failed = any(row.failed for row in rows)
    raise typer.Exit(int(Exit.VERDICT_FALSE if failed else Exit.DONE))
