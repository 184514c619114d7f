"""`chatlab lab`: runs under a seed, many runs, replays, and what they mean.

The larger commands have a module each; here they are put together.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, Settings, emit, hear_the_end, hint, settings_of
from lab.cli.conform import conform
from lab.cli.experiments import compare, sweep, table
from lab.cli.explore import explore
from lab.cli.replay import replay
from lab.cli.runs import (
    Jobs,
    PerfettoFile,
    ShivizFile,
    TraceFile,
    code_of,
    complete_scenario,
    export,
    jobs_or_all,
    opened_source,
    scenario_named,
    show,
)
from lab.cli.search import search
from lab.display import display_safe
from lab.problem import Exit, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.mutants import Catalogue, Row
    from lab.token import Source

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Experiments: a cluster in a simulator, with faults, under a seed, judged by checkers.",
)
SEED_MAX = 2**63 - 1


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """The scenarios that come along, with what goes wrong in each."""
    from lab.scenario import named, names
    from lab.tables import table as as_table

    found = [named(name) for name in names()]
    if json:
        for one in found:
            emit({"name": one.name, "about": one.about, "nodes": one.nodes})
        return
    rows = [[one.name, one.about] for one in found]
    print(as_table(["SCENARIO", "WHAT GOES WRONG"], rows, settings_of(context).paint))


@app.command()
def run(
    context: typer.Context,
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO",
            help="A name of `lab list`, a YAML file, or the JSON file of a plan.",
            autocompletion=complete_scenario,
        ),
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_MAX, metavar="N")] = 1,
    real: Annotated[
        bool, typer.Option("--real", help="On real processes instead of the simulator.")
    ] = False,
    json: Json = False,
    trace: TraceFile = None,
    shiviz: ShivizFile = None,
    perfetto: PerfettoFile = None,
) -> None:
    """One experiment. Prints what each checker says, and a token that replays it."""
    from lab.judging import run_judged

    source = opened_source(scenario)
    if real:
        _run_real(source, seed, settings_of(context), json, trace, shiviz, perfetto)
        return
    judged = run_judged(source, seed)
    export(judged, trace, shiviz, perfetto)
    show(judged, str(judged.token), settings_of(context), json)
    raise typer.Exit(code_of(judged.outcome))


def _run_real(
    source: "Source",
    seed: int,
    settings: Settings,
    json: bool,
    trace: Path | None,
    shiviz: Path | None,
    perfetto: Path | None,
) -> None:
    """The same on processes. It cannot be replayed by a token, but its trace can be kept."""
    from lab.cli.verdicts import judged_json
    from lab.faults import Plan
    from lab.judging import judged
    from lab.real import run_plan_real, run_real

    hear_the_end()
    result = run_plan_real(source) if isinstance(source, Plan) else run_real(source, seed)
    done = judged(result, source, seed)
    export(done, trace, shiviz, perfetto)
    conformance = result.conformance
    if json:
        record = judged_json(done, "")
        record["real"] = {
            "not_possible": result.not_possible,
            "adapted": result.adapted,
            "put_off": result.put_off,
            "turns": conformance.turns,
            "differences": conformance.differences,
            "incomplete": conformance.incomplete,
        }
        emit(record)
    else:
        show(done, "", settings, json=False)
        for text in result.not_possible:
            hint(f"left out: {display_safe(text)}")
        for text in result.adapted:
            hint(f"done in another way: {display_safe(text)}")
        print(f"conformance: {display_safe(conformance.text())}")
    raise typer.Exit(int(Exit.VERDICT_FALSE) if conformance.differences else code_of(done.outcome))


@app.command()
def calibrate(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO…]",
            help="Default: all that come along.",
            autocompletion=complete_scenario,
        ),
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Measure what the sound core shows, for C20: how late events come, and what they cost.

    It takes minutes, and is done anew when a scenario or the protocol changes.
    """
    from lab.bands import measure, store
    from lab.scenario import names

    for name in scenarios or names():
        scenario = scenario_named(name)
        store(scenario, measure(scenario, jobs_or_all(jobs)))
        hint(f"{name}: calibrated")


@app.command()
def mutants(
    context: typer.Context,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MUTANT…]", help="Default: all that there are."),
    ] = None,
    looks: Annotated[
        int, typer.Option("--seeds", min=1, max=10_000, metavar="N", help="Looks at each.")
    ] = 10,
    jobs: Jobs = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Only what is planted, and where.")
    ] = False,
    ablate: Annotated[
        bool,
        typer.Option("--ablate", help="Instead: which kinds of faults are needed to see them."),
    ] = False,
    json: Json = False,
) -> None:
    """Planted bugs, and which checker sees them first. Exit 7 if the sound core is accused.

    With names it ends with a token for each: `lab replay TOKEN --shrink --story` plants the bug
    again, makes the run small and tells it. The bugs are in tests/mutants of a checkout.
    """
    from lab.mutants import MutantsError, load, pairs_of
    from lab.tables import table as as_table

    try:
        catalogue = load()
        chosen = dict.fromkeys(mutant for mutant, _ in pairs_of(catalogue, ids or ()))
    except MutantsError as error:
        raise Problem(display_safe(str(error)), Exit.USAGE) from None
    if only_list:
        planted = [catalogue.mutants[one] for one in chosen]
        for one in planted if json else ():
            emit({"mutant": one.id, "wrong": one.wrong, "where": one.where})
        if not json:
            cells = [[one.id, one.wrong] for one in planted]
            print(as_table(["MUTANT", "WHAT IS WRONG"], cells, settings_of(context).paint))
        return
    if ablate:
        _ablate(context, catalogue, tuple(chosen), looks, jobs, json=json)
        return
    _score(context, catalogue, tuple(chosen), looks, jobs, told=ids or (), json=json)


def _score(
    context: typer.Context,
    catalogue: "Catalogue",
    chosen: tuple[str, ...],
    looks: int,
    jobs: int | None,
    *,
    told: "Sequence[str]",
    json: bool,
) -> None:
    """How often each is caught; and of those that are `told` a run that shows it."""
    from lab.cli.verdicts import Bar
    from lab.mutants import HEADINGS, cells, record, scoreboard, thrifty
    from lab.tables import table as as_table
    from lab.tables import width_max_of

    paint = settings_of(context).paint
    bar = Bar()
    try:
        rows = scoreboard(
            catalogue,
            chosen,
            seeds=thrifty(catalogue, looks),
            workers=jobs_or_all(jobs),
            progress=lambda done, of: bar.show(done / of, f"{done}/{of} looks"),
        )
    finally:
        bar.clear()
    tokens = _tokens(catalogue, rows) if told else {}
    for row in rows if json else ():
        emit(record(row) | {"token": tokens.get(row.mutant, "")})
    if not json:
        print(as_table(HEADINGS, [cells(row) for row in rows], paint, width_max_of(sys.stdout)))
        _show_tokens(catalogue, told, tokens)
    accused = any(row.caught for row in rows if not row.mutant)
    raise typer.Exit(int(Exit.VERDICT_FALSE if accused else Exit.DONE))


def _show_tokens(catalogue: "Catalogue", ids: "Iterable[str]", tokens: dict[str, str]) -> None:
    """Of each bug that was asked for: what it is, and where to see it."""
    for mutant in ids:
        token = tokens.get(mutant)
        if token:
            print(f"{mutant}: {catalogue.mutants[mutant].wrong}\ntoken {token}")
            hint(f"see it: chatlab lab replay {token} --shrink --story")
        else:
            hint(f"{mutant}: no single run shows it; more looks may find one: --seeds")


def _tokens(catalogue: "Catalogue", rows: "list[Row]") -> dict[str, str]:
    """By mutant: a run to replay, from the bench on which it is caught most often."""
    from lab.mutants import token_for

    tokens: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: -row.rate):
        if row.mutant and row.mutant not in tokens and (token := token_for(catalogue, row)):
            tokens[row.mutant] = token
    return tokens


def _ablate(
    context: typer.Context,
    catalogue: "Catalogue",
    ids: tuple[str, ...],
    looks: int,
    jobs: int | None,
    *,
    json: bool,
) -> None:
    """Each mutant again with each kind of fault left out."""
    from lab.ablation import HEADINGS, ablated, cells, record
    from lab.cli.verdicts import Bar
    from lab.tables import table as as_table

    bar = Bar()
    try:
        rows = ablated(
            catalogue,
            ids,
            looks=looks,
            workers=jobs_or_all(jobs),
            progress=lambda done, of: bar.show(done / of, f"{done}/{of} of mutants and kinds"),
        )
    finally:
        bar.clear()
    for row in rows if json else ():
        emit(record(row))
    if not json:
        print(as_table(HEADINGS, [cells(row) for row in rows], settings_of(context).paint))


app.command()(explore)
app.command()(replay)
app.command()(conform)
app.command()(table)
app.command()(compare)
app.command()(sweep)
app.command()(search)
