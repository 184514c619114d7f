"""A report: one run, or two on one axis, as one HTML file that makes no request.

    write_report([judged], path)         or two runs: [failing, sound]

The file has everything inside: the scripts of `static/` as one module, the style, and the runs as
JSON in a script element that is data. Its Content-Security-Policy allows these two by their hashes
and nothing else. Columns are those of `lab.view.columns`; events are named by their place in the
trace (`seq`).
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from lab.campaign.judged_run import ALL_RULES, JudgedRun
from lab.explain.story import tell
from lab.exports.labels import told
from lab.terminal.display import display_safe
from lab.trace.kinds import Run
from lab.trace.trace import Event, encoded
from lab.view.columns import Columns

STATIC = Path(__file__).parent / "static"
# In the order in which they need each other. Names at their top level differ: they share a scope.
SCRIPTS = ("axis.js", "rows.js", "diagram.js", "curves.js", "matrix.js", "page.js", "report.js")
LINES_MAX = 2000  # of a story
WITNESSES_MAX = 100  # of a verdict
_IMPORT = re.compile(r'^import [^;]* from "\./[\w-]+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=class|const|function)", re.MULTILINE)
_POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "base-uri 'none'; form-action 'none'"
)


class Side(Struct, frozen=True):
    """One run of a report. `again`: the command that has it again; "" where there is none."""

    name: str  # as the person called it: a token, a file
    run: JudgedRun
    again: str = ""


def write_report(sides: Sequence[Side], path: Path) -> int:
    """Write the file; returns its size in bytes. Raises OSError.

    With two sides each is marked where the first of their events differs.
    """
    parts = first_difference(*[side.run.trace.events for side in sides]) if sides[1:] else None
    data = {"runs": [run_data(side) for side in sides], "parts": parts}
    page = filled(_read("report.html"), one_script(), _read("common.css"), data)
    return path.write_bytes(page.encode())


def filled(page: str, script: str, style: str, data: object) -> str:
    """The page with its parts in it, and the policy that allows these."""
    policy = _POLICY.format(script=_hash(script), style=_hash(style))
    text = msgspec.json.encode(data).decode().replace("<", "\\u003c")
    parts = {"policy": policy, "style": style, "data": text, "script": script}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page)


def one_script(names: Sequence[str] = SCRIPTS) -> str:
    """The modules as one, without their imports and exports."""
    texts = [_EXPORT.sub("", _IMPORT.sub("", _read(name))) for name in names]
    return "\n".join(texts).replace("</script", "<\\/script")


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


# --- what is in it --------------------------------------------------------------------------------


def run_data(side: Side) -> dict[str, Any]:
    """A run as data for report.js, which describes the form."""
    run = side.run
    events = run.trace.events
    story = tell(run)
    columns = Columns().add_all(events).take()
    first = events[0].data if events else None
    source = first.source if type(first) is Run else "sim"
    endings = [
        [one.rule, one.name, one.promise, display_safe(one.broken), one.lesson]
        for one in story.endings
    ]
    return {
        "name": side.name,
        "again": side.again,
        "scenario": run.plan.scenario,
        "facts": f"{'real processes' if source == 'real' else f'seed {run.seed}'}, "
        f"{len(run.plan.nodes)} nodes, {run.simulated_us / 1e6:.2f} s, {len(events):,} events, "
        f"trace {run.trace.hash}",
        "outcome": run.outcome,
        "columns": columns,
        "names": [story.names.get(ref[0], "") for ref in columns["refs"]],
        "verdicts": [_verdict(run, at) for at in range(len(run.verdicts))],
        "opening": story.opening,
        "lines": [[one.seq, one.t_us, one.text, one.witness] for one in story.lines[:LINES_MAX]],
        "unsaid": max(len(story.lines) - LINES_MAX, 0),
        "endings": endings,
    }


def _verdict(run: JudgedRun, at: int) -> list[Any]:
    one = run.verdicts[at]
    rule = ALL_RULES[one.rule]
    witnesses = one.witnesses[:WITNESSES_MAX]
    return [rule.id, rule.name, rule.promise, one.outcome, display_safe(one.reason), witnesses]


def first_difference(one: Sequence[Event], other: Sequence[Event]) -> list[list[Any]] | None:
    """Where two runs part: [seq, what happens] of each; None if they are equal.

    What they were made from is not compared. A run that ends before the other: its last event.
    """
    for mine, yours in zip_longest(one, other):
        if mine is None or yours is None:
            last = (one if mine is None else other)[-1]
            seen = yours if mine is None else mine
            ends, goes_on = [last.seq, "the run has ended"], [seen.seq, _what(seen)]
            return [ends, goes_on] if mine is None else [goes_on, ends]
        if type(mine.data) is Run and type(yours.data) is Run:
            continue
        if encoded((mine,)) != encoded((yours,)):
            return [[mine.seq, _what(mine)], [yours.seq, _what(yours)]]
    return None


def _what(event: Event) -> str:
    return f"{event.t_us / 1e6:.6f} s, {event.node or 'the run'}: {told(event)}"
