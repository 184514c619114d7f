"""The command `chatlab lab replay`: repeats a run exactly from its token; it can also shrink it,
print its story, and search for the moment when its failure became inevitable.
"""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lab.cli.common import Json, emit, hear_ctrl_c, hint, settings_of
from lab.cli.lab_common import (
    Jobs,
    PerfettoFile,
    ShivizFile,
    TraceFile,
    code_of,
    export,
    failing_rule,
    jobs_or_all,
    opened_source,
    show,
)
from lab.cli.planted import planted
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.campaign.judged_run import JudgedRun
    from lab.campaign.replay_token import ReplayToken
    from lab.explain.shrink import Shrunk


Shrink = Annotated[
    bool, typer.Option("--shrink", help="Search for a smaller plan that fails the same checker.")
]
RuleId = Annotated[
    str | None,
    typer.Option("--rule", metavar="ID", help="Look at the failure of this checker."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the shrunk plan to this file, as JSON."),
]
Seconds = Annotated[
    float,
    typer.Option("--time", min=1, metavar="S", help="Seconds for shrinking and for --when, each."),
]
When = Annotated[bool, typer.Option("--when", help="Estimate when the failure became inevitable.")]
Branches = Annotated[
    int,
    typer.Option("--seeds", min=10, max=10_000, metavar="N", help="Branches at a moment, at most."),
]
Later = Annotated[
    Literal["drop", "keep", "fresh"],
    typer.Option("--faults", help="With --when: the plan's faults after the moment."),
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="With --when: draw the curve, as SVG."),
]


def replay(
    context: typer.Context,
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN",
            help="A token that a run or `lab mutants NAME` printed, or the JSON file of a plan.",
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Replay although the code has changed.")
    ] = False,
    shrink: Shrink = False,
    story: Annotated[bool, typer.Option("--story", help="Explain the run in sentences.")] = False,
    rule: RuleId = None,
    out: Out = None,
    time: Seconds = 30.0,
    when: When = False,
    seeds: Branches = 100,
    faults: Later = "drop",
    plot: Plot = None,
    jobs: Jobs = None,
    json: Json = False,
    trace: TraceFile = None,
    shiviz: ShivizFile = None,
    perfetto: PerfettoFile = None,
) -> None:
    """Repeat a run exactly from its token; shrink it, explain it in sentences, and say when its
    failure became inevitable.
    """
    from lab.campaign.judged_run import run_judged
    from lab.cli.inevitable_view import WhenLimits, answer_when, need_plot
    from lab.cli.verdict_view import judged_json, show_shrunk, show_story, shrunk_json, story_json
    from lab.explain.story import tell

    if plot is not None:
        need_plot(when=when)
    mutant, bug, token = planted_in(token)
    context.with_resource(bug)
    judged = replayed(token, force=force)
    settings = settings_of(context)
    record = judged_json(judged, str(judged.token)) if json else {}
    if not json:
        show(judged, "", settings, json=False)
    if shrink:
        small = _shrunk(judged, rule, time)
        path = out or Path(f"shrunk-{judged.plan.scenario}-{judged.seed}-{small.rule}.json")
        _write_plan(path, small)
        judged = run_judged(small.plan)
        if json:
            record["shrunk"] = shrunk_json(small, str(path), str(judged.token))
        else:
            show_shrunk(small, settings.paint)
            print(f"\nthe plan: {path}; run it: {_again(mutant, path)}")
    if story:
        told = tell(judged)
        if json:
            record["story"] = story_json(told)
        else:
            print()
            show_story(told, settings.paint)
    if when:
        limits = WhenLimits(seeds, jobs_or_all(jobs), time)
        record |= answer_when(judged, rule, faults, limits, plot, None if json else settings.paint)
    export(judged, trace, shiviz, perfetto)
    if json:
        emit(record)
    raise typer.Exit(code_of(judged.outcome))


def _again(mutant: str, plan: Path) -> str:
    return f"chatlab lab replay {mutant}+{plan}" if mutant else f"chatlab lab run {plan}"


def planted_in(text: str) -> "tuple[str, AbstractContextManager[None], str]":
    """The bug that a token plants, what plants it, and the token of the run. Mostly there is none.

    The same goes for a plan's file: MUTANT+FILE.
    """
    from lab.campaign.replay_token import PLANTED

    mutant, mark, token = text.partition(PLANTED)
    if not mark or not mutant or os.path.exists(text):  # False also for a name that is too long
        return "", nullcontext(), text
    return mutant, planted(mutant), token


def _token(text: str) -> "ReplayToken | None":
    """None: it is the file of a plan."""
    from lab.campaign.replay_token import TokenError, parse

    if text.endswith(".json"):
        return None
    try:
        return parse(text)
    except TokenError as error:
        raise Problem(str(error), Exit.USAGE) from None


def replayed(text: str, *, force: bool, exact: bool = True) -> "JudgedRun":
    """The run of a token or of a plan's file, once more. Raises Problem, also for another build.

    Without `exact` its trace may be another than that of the token, as without a bug that it had.
    """
    from lab.campaign.judged_run import run_judged
    from lab.campaign.replay_token import TokenError

    token = _token(text)
    if token is None:
        return run_judged(opened_source(text))
    try:
        differs = token.differs()
        source = token.resolved()
    except TokenError as error:
        raise Problem(str(error), Exit.USAGE) from None
    if differs and not force:
        what = " and ".join([", ".join(differs[:-1]), differs[-1]] if differs[1:] else differs)
        raise Problem(
            f"the token is of another build: {what} changed since; use that build, or --force",
            Exit.USAGE,
        )
    judged = run_judged(source, token.seed)
    if token.made(judged.trace.hash) or not exact:
        return judged
    if not differs:
        raise Problem("the same build and seed gave another trace: that is a bug of the simulator")
    hint("the trace is not that of the token: what you see is what this build does")
    return judged


def _shrunk(judged: "JudgedRun", rule: str | None, time_s: float) -> "Shrunk":
    from lab.cli.verdict_view import Bar
    from lab.explain.shrink import ShrinkProgress, shrink

    wanted = failing_rule(judged, rule, "nothing to shrink")
    bar = Bar()

    def on_progress(progress: ShrinkProgress) -> None:
        done = 1 - progress.left_s / time_s
        bar.show(done, f"{progress.steps} steps, {progress.runs} runs, {progress.doing}")

    hear_ctrl_c()
    try:
        return shrink(judged.plan, wanted, budget_s=time_s, on_progress=on_progress)
    finally:
        bar.clear()


def _write_plan(path: Path, small: "Shrunk") -> None:
    from lab.plan.faults import plan_to_json

    path.write_bytes(plan_to_json(small.plan) + b"\n")
