"""Output of verdicts, plans, stories and explorations, as text and as JSON."""

import sys
import textwrap
from time import monotonic
from typing import TYPE_CHECKING, Any

from lab.campaign.reached_rows import ROWS
from lab.cli.common import hint, is_compiled
from lab.plan.plan_text import lasting, seconds, steps
from lab.terminal.display import display_safe
from lab.terminal.tables import Paint, table, width_max_of

if TYPE_CHECKING:
    from lab.campaign.explore import ExploreResult
    from lab.campaign.judged_run import JudgedRun
    from lab.checkers import Outcome, Verdict
    from lab.explain.shrink import Shrunk
    from lab.explain.story import Story
    from lab.plan.faults import Plan

COLOURS = {"pass": "green", "fail": "red", "unknown": "yellow"}
FAILURES_SHOWN = 20
REASONS_SHOWN = 5
SCENARIOS_SHOWN = 3
STORY_WIDTH = 78


# --- one run --------------------------------------------------------------------------------------


def show_judged(judged: "JudgedRun", paint: Paint) -> None:
    from lab.campaign.judged_run import ALL_RULES

    rows = [
        [
            one.rule,
            ALL_RULES[one.rule].name,
            one.outcome,
            display_safe(one.reason) + _figures(one),
        ]
        for one in judged.verdicts
    ]
    text = table(["ID", "CHECKER", "VERDICT", "REASON"], rows, paint, width_max_of(sys.stdout))
    for outcome, colour in COLOURS.items():
        text = text.replace(f"  {outcome}  ", f"  {paint(outcome, colour)}  ")
    print(text)
    simulated = lasting(judged.simulated_us)
    print(
        f"\n{overall_text(judged.outcome, paint)}: {len(judged.plan.nodes)} nodes, {simulated}, "
        f"{len(judged.trace)} events, trace {judged.trace.hash}"
    )


def overall_text(outcome: "Outcome", paint: Paint) -> str:
    return paint(outcome.upper(), COLOURS[outcome])


def _figures(verdict: "Verdict") -> str:
    told = ", ".join(f"{name} {number(value)}" for name, value in verdict.figures.items())
    return f"  ({told})" if told else ""


def number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def judged_json(judged: "JudgedRun", token: str) -> dict[str, Any]:
    from lab.campaign.judged_run import ALL_RULES

    return {
        "scenario": judged.plan.scenario,
        "seed": judged.seed,
        "overall": judged.outcome,
        "token": token,
        "trace_hash": judged.trace.hash,
        "events": len(judged.trace),
        "nodes": judged.plan.nodes,
        "simulated_us": judged.simulated_us,
        "verdicts": [
            {
                "rule": one.rule,
                "name": ALL_RULES[one.rule].name,
                "verdict": one.outcome,
                "required": ALL_RULES[one.rule].required,
                "reason": one.reason,
                "figures": one.figures,
                "witnesses": one.witnesses,
            }
            for one in judged.verdicts
        ],
        "failures": judged.failures,
    }


# --- shrinking and telling ------------------------------------------------------------------------


def show_shrunk(small: "Shrunk", paint: Paint) -> None:
    over = "" if small.done else ", and not all was tried"
    print(
        f"\n{small.rule} fails with {small.steps} of {small.before} steps "
        f"({small.runs} runs, {small.took_s:.1f} s{over}):\n"
    )
    show_steps(small.plan, paint)


def show_steps(plan: "Plan", paint: Paint) -> None:
    found = steps(plan)
    rows = [
        [str(at), seconds(step.at_us), display_safe(step.text)]
        for at, step in enumerate(found, start=1)
    ]
    print(table(["STEP", "WHEN", "WHAT"], rows, paint, width_max_of(sys.stdout)))


def shrunk_json(shrunk: "Shrunk", path: str, token: str) -> dict[str, Any]:
    return {
        "rule": shrunk.rule,
        "steps_before": shrunk.before,
        "steps": [{"at_us": step.at_us, "text": step.text} for step in steps(shrunk.plan)],
        "runs": shrunk.runs,
        "done": shrunk.done,
        "plan": path,
        "token": token,
    }


def show_story(story: "Story", paint: Paint) -> None:
    for line in story_lines(story, paint):
        print(line)


def story_lines(story: "Story", paint: Paint) -> list[str]:
    """`>` marks what a checker names; at the right stands the event of the trace."""
    lines = [story.opening, ""]
    for one in story.lines:
        when = f"{one.t_us / 1e6:9.3f} s {'>' if one.witness else ' '} "
        machine = f"[{one.seq} {one.kind}{f' {one.node}' if one.node else ''}]"
        told = textwrap.wrap(one.text, STORY_WIDTH - len(when), break_long_words=False) or [""]
        for at, text in enumerate(told):
            head = when if at == 0 else " " * len(when)
            if at < len(told) - 1:
                lines.append(f"{head}{text}")
                continue
            padding = " " * max(STORY_WIDTH - len(head) - len(text), 1)
            shown = paint(text, "red") if one.witness else text
            lines.append(f"{head}{shown}{padding} {paint(machine, 'dim')}")
    for ending in story.endings:
        lines += ["", f"{paint('Broken', 'red')}: {ending.rule}, {ending.name}."]
        for label, text in (
            ("The promise", ending.promise),
            ("What happened", display_safe(ending.broken)),
            ("Why it matters", ending.lesson),
        ):
            if text:
                body = f"{label}: {text}"
                lines += textwrap.wrap(
                    body, STORY_WIDTH, initial_indent="  ", subsequent_indent="    "
                )
    return lines


def story_json(story: "Story") -> dict[str, Any]:
    return {
        "opening": story.opening,
        "lines": story.lines,
        "endings": story.endings,
        "names": story.names,
    }


# --- exploring ------------------------------------------------------------------------------------


def show_found(found: "ExploreResult", paint: Paint) -> None:
    for failure in found.failures[:FAILURES_SHOWN]:
        print(
            f"{paint('fail', 'red')}  {failure.scenario} seed {failure.seed}  "
            f"{failure.rule}: {display_safe(failure.reason)}"
        )
        print(f"      {failure.command}")
    if found.failures_count > FAILURES_SHOWN:
        print(
            f"... and {found.failures_count - FAILURES_SHOWN} more failures: --json tells them all"
        )
    for (rule, reason), count in found.unknown.most_common(REASONS_SHOWN):
        print(f"{paint('unknown', 'yellow')}  {count} x {rule}: {display_safe(reason)}")
    for scenario, verdict in found.coverage().items():
        if verdict.outcome != "pass":
            text = f"{verdict.rule} over all runs of {scenario}: {display_safe(verdict.reason)}"
            print(f"{paint(verdict.outcome, COLOURS[verdict.outcome])}  {text}")
    if found.failures or found.unknown:
        print()
    if found.fired:
        rows = [
            [what, f"{count:,}", f"{found.enabled[what]:,}" if found.enabled[what] else "-"]
            for what, count in sorted(found.fired.items())
        ]
        print(table(["FAULT", "FIRED", "RUNS WITH IT"], rows, paint))
        print()
    if found.options.reached:
        _show_reached(found, paint)
    if found.real:
        failed = sum(one.outcome == "fail" for one in found.real)
        took_s = sum(one.took_s for one in found.real)
        told = f"{len(found.real)} rounds on real processes, {failed} fail, {took_s:.1f} s"
        print(told if found.runs else f"{overall_text(found.outcome, paint)}: {told}")
    if not found.runs:
        return
    counts = found.outcomes
    print(
        f"{overall_text(found.outcome, paint)}: {found.runs:,} seeds "
        f"({found.options.first} to {found.last}), {counts['pass']:,} pass, "
        f"{counts['fail']:,} fail, {counts['unknown']:,} unknown ({found.unknown_share:.1%}); "
        f"{_batches(found)}"
    )
    jobs = found.options.jobs
    print(
        f"{found.simulated_us / 3.6e9:.2f} simulated hours, {found.deliveries:,} packets, "
        f"{found.wall_s:.1f} s, {found.seeds_s:.1f} seeds/s on {jobs} "
        f"job{'s' if jobs != 1 else ''}{', compiled' if is_compiled() else ''}{_ended(found)}"
    )


def _show_reached(found: "ExploreResult", paint: Paint) -> None:
    """The states and transitions of the core, and how many runs came there."""
    rows = [
        [
            one["row"] if one["runs"] else paint(one["row"], "red"),
            f"{one['runs']:,}",
            f"{one['share']:.1%}",
            f"{one['times']:,}",
            ", ".join(list(one["scenarios"])[:SCENARIOS_SHOWN]) or paint("never", "red"),
        ]
        for one in reached_json(found)
    ]
    print(table(["REACHED", "RUNS", "SHARE", "TIMES", "MOST OFTEN IN"], rows, paint))
    if found.never:
        print(paint(f"never reached: {', '.join(found.never)}", "red"))
    print()


def reached_json(found: "ExploreResult") -> list[dict[str, Any]]:
    """By row: runs and their share, times, and the share of the runs of each scenario."""
    known = [*ROWS, *sorted(found.reached.keys() - set(ROWS))]
    told: list[dict[str, Any]] = []
    for name in known:
        row = found.reached.get(name)
        runs = row.runs.total() if row is not None else 0
        shares = (
            {one: row.runs[one] / found.ran[one] for one in row.runs} if row is not None else {}
        )
        told.append(
            {
                "row": name,
                "runs": runs,
                "share": round(runs / found.runs, 6) if found.runs else 0.0,
                "times": row.times if row is not None else 0,
                "scenarios": {
                    one: round(share, 4)
                    for one, share in sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
                },
            }
        )
    return told


def _batches(found: "ExploreResult") -> str:
    if not found.batches:
        return "C20: no whole batch" if found.options.bands else "C20: not calibrated"
    passed = sum(one.outcome == "pass" for one in found.batches)
    return f"C20: {passed} of {len(found.batches)} batches pass"


def _ended(found: "ExploreResult") -> str:
    why = {"time": "the time was over", "failure": "stopped at the first failure"}
    why["interrupted"] = "interrupted"
    return f"; {why[found.ended]}" if found.ended in why else ""


def found_json(found: "ExploreResult") -> dict[str, Any]:
    return {
        "overall": found.outcome,
        "seeds": found.runs,
        "first": found.options.first,
        "last": found.last,
        "scenarios": [one.name for one in found.options.scenarios],
        "pass": found.outcomes["pass"],
        "fail": found.outcomes["fail"],
        "unknown": found.outcomes["unknown"],
        "unknown_share": round(found.unknown_share, 6),
        "unknown_reasons": [
            {"rule": rule, "reason": reason, "count": count}
            for (rule, reason), count in found.unknown.most_common()
        ],
        "failures_count": found.failures_count,
        "fired": dict(sorted(found.fired.items())),
        "enabled": dict(sorted(found.enabled.items())),
        "coverage": {
            name: {"verdict": one.outcome, "reason": one.reason}
            for name, one in found.coverage().items()
        },
        "batches": found.batches,
        "simulated_hours": round(found.simulated_us / 3.6e9, 4),
        "deliveries": found.deliveries,
        "events": found.events,
        "wall_s": round(found.wall_s, 3),
        "seeds_s": round(found.seeds_s, 2),
        "jobs": found.options.jobs,
        "ended": found.ended,
        "real": found.real,
        **({"reached": reached_json(found), "never": found.never} if found.options.reached else {}),
    }


class Bar:
    """Progress on one line of stderr, which is a terminal; elsewhere there is none. Mutable."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._width = 0
        self._began_s = monotonic()
        self._next_s = 0.0

    def show(self, done: float | None, text: str) -> None:
        """`done`: from 0 to 1, or None where nobody knows."""
        now_s = monotonic()
        if not self._on or now_s < self._next_s:
            return
        self._next_s = now_s + 0.1
        cells = 24
        bar = f"[{'#' * round((done or 0) * cells):<{cells}}] " if done is not None else ""
        line = f"{bar}{text}{_left(done, now_s - self._began_s)}"
        sys.stderr.write(f"\r{line:<{self._width}}")
        sys.stderr.flush()
        self._width = len(line)

    def clear(self) -> None:
        if self._on and self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r")
            sys.stderr.flush()
            self._width = 0


def _left(done: float | None, took_s: float) -> str:
    """How long it will take if it goes on like that; nothing while that is anybody's guess."""
    from lab.terminal.tables import duration

    if not done or took_s < 1:
        return ""
    return f", {duration(1000 * took_s * (1 - min(done, 1)) / done)} left"


def say_replay(token: str) -> None:
    hint(f"replay: chatlab lab replay {token}")
