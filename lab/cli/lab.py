"""The commands `chatlab lab ...`: list scenarios, run one, calibrate, and test mutants. It also
registers the larger commands of this group, which have modules of their own.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Json, Settings, emit, hear_the_end, hint, settings_of
from lab.cli.conform import conform
from lab.cli.experiments import compare, sweep, table
from lab.cli.explore import explore
from lab.cli.lab_common import (
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
from lab.cli.modelcheck import search
from lab.cli.planted import need_checkout
from lab.cli.play import play
from lab.cli.replay import replay
from lab.cli.report import report
from lab.terminal.display import display_safe
from lab.terminal.errors import Exit

if TYPE_CHECKING:
    from lab.campaign.replay_token import Source

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Run experiments: a simulated cluster with faults, under a seed, judged by checkers.",
)
SEED_MAX = 2**63 - 1


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List the built-in scenarios, and what goes wrong in each."""
    from lab.plan.scenario import named, names
    from lab.terminal.tables import table as as_table

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
    """Run one experiment. Print the verdict of each checker, and a token that replays the run."""
    from lab.campaign.judged_run import run_judged

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
    from lab.campaign.judged_run import judged
    from lab.cli.verdict_view import judged_json
    from lab.plan.faults import Plan
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
            help="Default: all built-in ones.",
            autocompletion=complete_scenario,
        ),
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Measure the lag and the cost of runs without bugs, which checker C20 compares others with.

    It takes minutes, and is done anew when a scenario or the protocol changes.
    """
    from lab.campaign.calibration import measure, store
    from lab.plan.scenario import names

    for name in scenarios or names():
        scenario = scenario_named(name)
        store(scenario, measure(scenario, jobs_or_all(jobs)))
        hint(f"{name}: calibrated")


@app.command()
def mutants(
    context: typer.Context,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MUTANT…]", help="Default: all of them."),
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
    """Plant known bugs, and show which checker finds each first.

    Given names, it prints a token for each: `lab replay TOKEN --shrink --story` plants the bug
    again, shrinks the run and explains it. The bugs are in tests/mutants of a checkout. Exit 7 if a
    checker fails without any bug.
    """
    need_checkout()
    from tests.mutants import command

    if only_list:
        command.show_list(context, ids or (), json=json)
    elif ablate:
        command.ablate(context, ids or (), looks, jobs, json=json)
    else:
        command.score(context, ids or (), looks, jobs, json=json)


app.command()(explore)
app.command()(replay)
app.command()(report)
app.command()(play)
app.command()(conform)
app.command()(table)
app.command()(compare)
app.command()(sweep)
app.command()(search)
