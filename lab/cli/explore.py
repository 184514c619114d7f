"""The command `chatlab lab explore`: runs many seeds on all cores, and prints failures with their
replay tokens (`lab.campaign.explore`).
"""

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, emit, hear_ctrl_c, hear_the_end, hint, settings_of
from lab.cli.lab_common import Jobs, code_of, complete_scenario, jobs_or_all, scenario_named
from lab.cli.planted import planted
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.campaign.explore import ExploreResult, Options
    from lab.plan.scenario import Scenario
    from lab.terminal.tables import Paint

Reached = Annotated[
    bool,
    typer.Option("--reached", help="Also tell what these runs reached; 1000 without a row fail."),
]
Plant = Annotated[
    str,
    typer.Option(
        "--plant", metavar="MUTANT", help="With this bug of `lab mutants --list` in the core."
    ),
]
Rules = Annotated[
    list[str] | None,
    typer.Option("--rule", metavar="ID", help="Judge by this checker alone; may be repeated."),
]
Rounds = Annotated[
    int,
    typer.Option(
        "--real", min=0, metavar="N", help="Then N short rounds on real processes as well."
    ),
]


def explore(
    context: typer.Context,
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO…]",
            help="Names or YAML files; seeds take turns. Default: all built-in ones.",
            autocompletion=complete_scenario,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=0, metavar="N", help="How many runs. Default: 1000."),
    ] = None,
    first: Annotated[
        int, typer.Option("--first", min=0, max=2**62, metavar="N", help="The first seed.")
    ] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin at a random seed.")] = False,
    jobs: Jobs = None,
    time: Annotated[
        float | None,
        typer.Option("--time", min=0, metavar="S", help="Stop after so many seconds."),
    ] = None,
    first_failure: Annotated[
        bool, typer.Option("--first-failure", help="Stop at the first seed that fails.")
    ] = False,
    reached: Reached = False,
    rule: Rules = None,
    plant: Plant = "",
    real: Rounds = 0,
    json: Json = False,
) -> None:
    """Run many seeds on all cores. Exit 7 if any fails; print a token for each failure."""
    from lab.campaign.calibration import bands
    from lab.campaign.explore import Options
    from lab.plan.scenario import names

    if seeds == 0 and not real:
        raise Problem("no seeds and no rounds: nothing would run", Exit.USAGE)
    if plant:
        context.with_resource(_bug(plant, real))
    options = Options(
        scenarios=_meant(scenarios or names()),
        first=int.from_bytes(os.urandom(5), "big") if fresh else first,
        seeds=seeds if seeds is not None or time is not None else 1000,
        jobs=jobs_or_all(jobs),
        time_s=time,
        first_failure=first_failure,
        bands={} if rule else bands(),
        reached=reached,
        real=real,
        real_scenarios=_meant(scenarios or []),
        only=_rules(rule or [], real),
        planted=plant,
    )
    if fresh:
        hint(f"first seed: {options.first}")
    found = _explored(options)
    _show(found, json, settings_of(context).paint)
    if found.ended == "interrupted" and not found.failures_count:
        raise typer.Exit(int(Exit.INTERRUPTED))
    raise typer.Exit(code_of(found.outcome))


def _rules(given: list[str], real: int) -> tuple[str, ...]:
    from lab.checkers import SINGLE

    if given and real:
        raise Problem("--rule with --real: rounds are judged by all checkers", Exit.USAGE)
    for one in given:
        if one not in SINGLE:
            text = f"no checker of one run is called {one[:20]!a}: there are {', '.join(SINGLE)}"
            raise Problem(text, Exit.USAGE)
    return tuple(given)


def _bug(mutant: str, real: int) -> AbstractContextManager[None]:
    """Planted while it is entered, here and in the workers that are forked meanwhile."""
    if real:
        text = "--plant with --real: a bug is planted in this process, and real nodes are others"
        raise Problem(text, Exit.USAGE)
    return planted(mutant)


def _show(found: "ExploreResult", json: bool, paint: "Paint") -> None:
    from lab.cli.verdict_view import found_json, show_found

    if json:
        for failure in found.failures:
            emit(failure)
        emit(found_json(found))
    else:
        show_found(found, paint)


def _explored(options: "Options") -> "ExploreResult":
    from lab.campaign.explore import explore as explored
    from lab.campaign.explore import tune
    from lab.cli.verdict_view import Bar

    bar = Bar()
    hear_ctrl_c()
    tune()
    try:
        found = explored(options, lambda one: bar.show(*_progress(one)))
        if options.real:
            from lab.real.rounds import explore_rounds  # lazy: real processes

            hear_the_end()

            explore_rounds(found, lambda one: bar.show(*_progress(one)))
    finally:
        bar.clear()
    return found


def _meant(texts: list[str]) -> "tuple[Scenario, ...]":
    meant = tuple([scenario_named(text) for text in dict.fromkeys(texts)])
    if len({one.name for one in meant}) < len(meant):
        raise Problem("two of these scenarios have the same name", Exit.USAGE)
    return meant


def _progress(found: "ExploreResult") -> tuple[float | None, str]:
    options = found.options
    if found.real:
        return len(found.real) / options.real, f"{len(found.real)}/{options.real} rounds"
    done = found.runs / options.seeds if options.seeds else None
    if options.time_s:
        done = max(done or 0.0, min(found.wall_s / options.time_s, 1.0))
    of = f"/{options.seeds}" if options.seeds else ""
    failed = f", {found.failures_count} failed" if found.failures_count else ""
    return done, f"{found.runs}{of} seeds, {found.seeds_s:.0f}/s{failed}"
