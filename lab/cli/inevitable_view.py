"""What `chatlab lab replay --when` does: it searches for the moment when a failure became
inevitable and shows the probability of failing from each moment, as a table, as JSON and as an SVG.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.cli.common import hear_ctrl_c, hint
from lab.cli.lab_common import failing_rule
from lab.cli.verdict_view import Bar
from lab.plan.plan_text import seconds, steps
from lab.terminal.display import display_safe
from lab.terminal.errors import Exit, Problem
from lab.terminal.formats import counted
from lab.terminal.tables import Paint, table, width_max_of

if TYPE_CHECKING:
    from lab.campaign.judged_run import JudgedRun
    from lab.explain.branches import FailedRun, Inevitable, LaterFaults
    from lab.explain.inevitable import Estimate, Search

CELLS = 20  # of the plot beside the table, from 0 to 1
PLOT_SIZE = (900, 360)
RED, GREY, BLUE = "#c0392b", "#8a9199", "#1f77b4"
LATER = {
    "drop": "faults of the plan that begin later do not happen",
    "keep": "the plan's later faults happen at their times",
    "fresh": "later faults are drawn afresh from the scenario",
}


FROM_THE_START = {
    "drop": "without any fault, whatever else is drawn",
    "keep": "by this plan, whatever else is drawn",
    "fresh": "whatever faults are drawn",
}


class WhenLimits(NamedTuple):
    seeds: int  # branches at a moment, at most
    jobs: int
    budget_s: float


def need_plot(*, when: bool) -> None:
    """Raises Problem if a plot cannot be drawn."""
    if not when:
        raise Problem("--plot draws what --when finds: give both", Exit.USAGE)
    if find_spec("leather") is None:
        text = "--plot needs leather, of the group `plots`: uv pip install --group plots, or leave"
        raise Problem(f"{text} it out", Exit.USAGE)


def answer_when(
    judged: "JudgedRun",
    rule: str | None,
    later: "LaterFaults",
    limits: WhenLimits,
    plot: Path | None,
    paint: Paint | None,
) -> dict[str, Any]:
    """Search, and print the answer unless `paint` is None. Returns it for `--json`."""
    from lab.explain.branches import FailedRun
    from lab.plan.scenario import ScenarioError

    wanted = failing_rule(judged, rule, "nothing became inevitable")
    run = FailedRun(judged.source, judged.seed, wanted, later)
    if later == "fresh":
        try:
            run.scenario()
        except ScenarioError as error:
            raise Problem(f"--faults fresh: {error}", Exit.USAGE) from None
    found = _searched(run, len(judged.trace) - 1, limits)
    if paint is not None:
        print()
        show_when(judged, run, found, paint)
    if plot is not None:
        plot_when(judged, run, found, plot)
    return {"when": when_json(judged, run, found)}


def _searched(run: "FailedRun", last: int, limits: WhenLimits) -> "Inevitable":
    from lab.explain.branches import inevitable

    bar = Bar()

    def on_progress(search: "Search", took_s: float) -> None:
        told = f"{search.runs} branches at {counted(len(search.estimates), 'moment')}"
        bar.show(min(took_s / limits.budget_s, 1.0), told)

    hear_ctrl_c()
    try:
        return inevitable(run, last, **limits._asdict(), on_progress=on_progress)
    finally:
        bar.clear()


def show_when(judged: "JudgedRun", run: "FailedRun", found: "Inevitable", paint: Paint) -> None:
    events = judged.trace.events
    print(f"When did {run.rule} become inevitable? Branches from moments of the run, drawn anew;")
    print(f"{LATER[run.later]}.\n")
    rows = []
    for one in found.search.estimates:
        when = f"{events[one.after].t_us / 1e6:.6f}"
        share = f"{one.share:.2f}"
        rows.append(
            [when, f"{one.after}", f"{one.failed}/{one.runs}", share, _span(one), _bar(one)]
        )
    axis = f"0{'1/2':^{CELLS - 1}}1"
    head = ["SECONDS", "AFTER EVENT", "FAILED", "P", "95 %", axis]
    print(table(head, rows, paint, width_max_of(sys.stdout)))
    print()
    for line in conclusion(judged, found.search, run.later):
        print(display_safe(line))
    ended = {"time": "; the time was over", "interrupted": "; interrupted"}.get(found.ended, "")
    print(f"\n{counted(found.search.runs, 'branch', 'branches')}, {found.took_s:.1f} s{ended}")


def _span(one: "Estimate") -> str:
    low, high = one.bounds
    return f"{low:.2f} to {high:.2f}"


def _bar(one: "Estimate") -> str:
    """The interval as a line and the share as an o, between 0 and 1."""
    low, high = (round(bound * CELLS) for bound in one.bounds)
    cells = ["-" if low <= at <= high else "." for at in range(CELLS + 1)]
    cells[CELLS // 2] = "|" if cells[CELLS // 2] == "." else "+"
    cells[round(one.share * CELLS)] = "o"
    return "".join(cells)


def conclusion(judged: "JudgedRun", search: "Search", later: "LaterFaults") -> list[str]:
    """Which event stands between mostly fine and mostly lost, in a few lines."""
    from lab.explain.story import sentence_of
    from lab.trace.kinds import Faulted, Invoke

    fine, lost = search.fine, search.lost
    if lost is None:
        return ["No moment is mostly lost so far: more branches, or more time, would tell."]
    if fine is None:
        if lost.after == 0:
            return [f"It was inevitable from the start: {FROM_THE_START[later]}."]
        return [f"No moment is mostly fine; from event {lost.after} on it is mostly lost."]
    before, after = f"before: {_of(fine)}", f"after:  {_of(lost)}"
    event = judged.trace.events[lost.after]
    when = seconds(event.t_us)
    if lost.after == fine.after + 1:
        lines = [
            f"The step is event {event.seq}, at {when}: {sentence_of(judged, event.seq)}.",
            before,
            after,
        ]
    else:
        begun = seconds(judged.trace.events[fine.after].t_us)
        lines = [
            f"Not one step: it is mostly fine until event {fine.after}, at {begun},",
            f"and mostly lost from event {lost.after} on, at {when}.",
            before,
            after,
        ]
    if isinstance(event.data, Faulted | Invoke):
        return lines
    around = [step for step in steps(judged.plan) if step.at_us <= event.t_us][-1:]
    return lines + [f"the plan's last step by then, {seconds(s.at_us)}: {s.text}" for s in around]


def _of(one: "Estimate") -> str:
    return f"{one.failed} of {one.runs} branches fail (95 %: {_span(one)})"


def when_json(judged: "JudgedRun", run: "FailedRun", found: "Inevitable") -> dict[str, Any]:
    events, search = judged.trace.events, found.search
    fine, lost = search.fine, search.lost
    moments = [
        {
            "after": one.after,
            "t_us": events[one.after].t_us,
            "runs": one.runs,
            "failed": one.failed,
            "p": round(one.share, 6),
            "low": round(one.bounds[0], 6),
            "high": round(one.bounds[1], 6),
        }
        for one in search.estimates
    ]
    step = None
    if fine is not None and lost is not None and lost.after == fine.after + 1:
        event = events[lost.after]
        step = {"seq": event.seq, "t_us": event.t_us, "kind": event.kind, "node": event.node}
    return {
        "rule": run.rule,
        "faults": run.later,
        "moments": moments,
        "fine": fine.after if fine is not None else None,
        "lost": lost.after if lost is not None else None,
        "step": step,
        "text": conclusion(judged, search, run.later),
        "runs": search.runs,
        "took_s": round(found.took_s, 3),
        "ended": found.ended,
    }


def plot_when(judged: "JudgedRun", run: "FailedRun", found: "Inevitable", path: Path) -> None:
    """The curve with its bounds as SVG, and a line where it is mostly lost."""
    import leather  # lazy: of developers, see the group `plots` of pyproject.toml

    estimates = found.search.estimates
    x = [judged.trace.events[one.after].t_us / 1e6 for one in estimates]
    chart = leather.Chart(f"{run.rule}: probability of failing from a moment on")
    for name, bound in (("lower bound, 95 %", 0), ("upper bound", 1)):
        points = [(at, one.bounds[bound]) for at, one in zip(x, estimates, strict=True)]
        chart.add_line(points, name=name, stroke_color=GREY, width=1)
    shares = [(at, one.share) for at, one in zip(x, estimates, strict=True)]
    chart.add_line(shares, name="share that fails", stroke_color=BLUE)
    if (lost := found.search.lost) is not None:
        at_s = judged.trace.events[lost.after].t_us / 1e6
        chart.add_line([(at_s, 0), (at_s, 1)], name="mostly lost", stroke_color=RED, width=1)
    chart.add_x_scale(0, max(x, default=0) or 1)
    chart.add_y_scale(0, 1)
    chart.add_x_axis(name="seconds of the run", tick_formatter=lambda value, *_: f"{value:g}")
    chart.add_y_axis(name="probability", tick_formatter=lambda value, *_: f"{value:g}")
    chart.to_svg(str(path), *PLOT_SIZE)
    hint(f"the plot: {path}")
