"""Helpers that the commands of `chatlab lab` share: opening scenarios and plans by name, printing
verdicts, writing exports.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.common import Settings, emit, hint
from lab.terminal.errors import Exit, Problem

if TYPE_CHECKING:
    from lab.campaign.judged_run import JudgedRun
    from lab.campaign.replay_token import Source
    from lab.checkers import Outcome
    from lab.plan.scenario import Scenario

TraceFile = Annotated[
    Path | None, typer.Option("--trace", metavar="FILE", help="Write the trace, as JSON lines.")
]
ShivizFile = Annotated[
    Path | None, typer.Option("--shiviz", metavar="FILE", help="Write a diagram for ShiViz.")
]
PerfettoFile = Annotated[
    Path | None,
    typer.Option("--perfetto", metavar="FILE", help="Write a time line for Perfetto."),
]


Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, max=512, metavar="J", help="Default: all cores."),
]


def jobs_or_all(jobs: int | None) -> int:
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return jobs or 1


def complete_scenario(incomplete: str) -> list[str]:
    from lab.plan.scenario import names

    return [name for name in names() if name.startswith(incomplete)]


def opened_source(text: str) -> "Source":
    from lab.campaign.judged_run import opened
    from lab.plan.scenario import ScenarioError

    try:
        return opened(text)
    except ScenarioError as error:
        raise Problem(str(error), Exit.USAGE) from None


def scenario_named(text: str) -> "Scenario":
    from lab.plan.faults import Plan

    source = opened_source(text)
    if isinstance(source, Plan):
        raise Problem(f"{text} is a plan: it has one seed, so use `lab run`", Exit.USAGE)
    return source


def show(judged: "JudgedRun", token: str, settings: Settings, json: bool) -> None:
    from lab.cli.verdict_view import judged_json, say_replay, show_judged
    from lab.terminal.display import display_safe

    if json:
        emit(judged_json(judged, token))
        return
    show_judged(judged, settings.paint)
    if settings.debug:
        for text in judged.failures:
            for line in text.splitlines():
                hint(display_safe(line))
    if token:
        print(f"token {token}")
        say_replay(token)


def export(
    judged: "JudgedRun", trace: Path | None, shiviz: Path | None, perfetto: Path | None
) -> None:
    if trace is not None:
        from lab.trace.file import write_lines

        with trace.open("wb") as file:
            file.writelines(write_lines(judged.trace))
        hint(f"{len(judged.trace)} events in {trace}")
    if shiviz is not None:
        from lab.exports import write_shiviz

        write_shiviz(judged.trace, shiviz, _around(judged))
        hint(f"for shiviz: {shiviz}")
    if perfetto is not None:
        from lab.exports import write_perfetto

        write_perfetto(judged.trace, perfetto)
        hint(f"for perfetto: {perfetto}")


def _around(judged: "JudgedRun") -> int | None:
    """The event that a diagram should be cut around: the first that a failure names."""
    failed = judged.failed
    return min(failed.witnesses) if failed is not None and failed.witnesses else None


def failing_rule(judged: "JudgedRun", rule: str | None, otherwise: str) -> str:
    """The rule that is meant, or that fails first. Raises Problem, beginning with `otherwise`."""
    from lab.explain.shrink import broken_by

    failed = judged.failed
    if failed is None:
        raise Problem(f"{otherwise}: no checker fails in this run", Exit.USAGE)
    wanted = rule or failed.rule
    if not broken_by(judged, wanted):
        raise Problem(f"{wanted} does not fail in this run: {failed.rule} does", Exit.USAGE)
    return wanted


def code_of(outcome: "Outcome") -> int:
    codes = {"pass": Exit.DONE, "fail": Exit.VERDICT_FALSE, "unknown": Exit.VERDICT_UNKNOWN}
    return int(codes[outcome])
