"""The evidence: docs/evidence/mutants.md, written from the rows of a long run."""

from collections.abc import Sequence
from statistics import median

from lab.checkers import RULES
from tests.mutants import ablation
from tests.mutants.scoreboard import Catalogue, Row

HEAD = """# Planted bugs, and who sees them

Written by `CHATLAB_LONG=1 pytest tests/mutants/test_detection.py`; do not edit. A mutant replaces
one function of the real modules (`tests/mutants/`), and each has a test that it is wired. A *look*
is one run under a seed, on benches of kind `batches` a batch of 30 runs. *p* is the share of looks
in which some checker failed, with its 95 % Wilson interval; *looks to detection* are median and
largest. *First* are the checkers whose witness came first in the trace, with how often; *also* are
those that failed in other looks or later in the same. `LAB` is the laboratory itself, which could
not go on.
"""


ABLATION = """## Which faults are needed

Written by `python -m tests.mutants.ablating`; do not edit. Each mutant is looked for again with one
kind of fault left out of every plan of its benches ({looks} looks at each). It *needs* a kind if it
is seen on none of its benches without that, and at its rate with all faults that would be chance
less than one time in twenty. Where the sound core is accused too, because the bench makes no sense
without that kind, nothing counts as seen. Faults that a bench puts in by a script stay. `kill` is
every kill; `power`, `flip`, `disk_empty` and `disk_older` are what some kills also do.
"""


def ablation_text(rows: Sequence[ablation.Row]) -> str:
    """The section: by kind, who needs it; by mutant, what it needs and what makes it rarer."""
    if not rows:
        return ""
    looks = max(row.whole.looks // len(row.benches) for row in rows)
    needs = ablation.needs(rows)
    lines = [ABLATION.format(looks=looks), "| kind left out | invisible then |", "|---|---|"]
    lines += [
        f"| {kind} | {' '.join(f'`{name}`' for name in names) or '-'} |"
        for kind, names in needs.items()
    ]
    free = [row.mutant for row in rows if not row.invisible_without]
    told = ", ".join(f"`{name}`" for name in free)
    lines += ["", f"{len(rows) - len(free)} of {len(rows)} mutants need some kind of fault. Others"]
    lines += [f"are seen whichever one is left out: {told}.", ""]
    lines += [
        "| mutant | caught with all | invisible without | rarer without |",
        "|---|---|---|---|",
    ]
    for row in rows:
        if row.without:
            name, *cells = ablation.cells(row)
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def with_ablation(page: str, section: str) -> str:
    """The page with this section at its end, in the place of an older one."""
    head = page.partition("## Which faults are needed")[0].rstrip("\n")
    return f"{head}\n\n{section}" if section else f"{head}\n"


def percent(rate: float) -> str:
    return f"{100 * rate:.0f} %"


def told(counts: dict[str, int]) -> str:
    return " ".join(f"{rule}×{count}" for rule, count in counts.items())


def row_text(row: Row) -> str:
    low, high = row.interval
    gaps = row.seeds_to_detection
    wait = f"{median(gaps):.0f} / {gaps[-1]}" if gaps else "never"
    also = {rule: n for rule, n in row.failing.items() if rule not in row.first}
    kind = "directed" if row.directed else "random"
    cells = [
        f"`{row.mutant}`",
        f"{row.bench} ({kind})",
        f"{row.caught} of {row.runs}",
        f"{percent(row.rate)} ({percent(low)} to {percent(high)})",
        wait,
        told(row.first),
        told(also),
    ]
    return f"| {' | '.join(cells)} |"


def report(catalogue: Catalogue, rows: Sequence[Row], bare: Sequence[ablation.Row] = ()) -> str:
    clean = [row for row in rows if not row.mutant]
    of: dict[str, list[Row]] = {}
    for row in rows:
        if row.mutant:
            of.setdefault(row.mutant, []).append(row)
    caught = [name for name, those in of.items() if any(row.caught for row in those)]
    alarms = sum(row.caught for row in clean)
    looks = sum(row.runs for row in clean)
    lines = [
        HEAD,
        f"**{len(caught)} of {len(of)} mutants are caught.** The sound core: {alarms} alarms in",
        f"{looks} looks on the same seeds.\n",
        "| mutant | bench | caught | p | looks to detection | first | also |",
        "|---|---|---|---|---|---|---|",
        *[row_text(row) for those in of.values() for row in those],
    ]
    unseen = [catalogue.mutants[name] for name in of if name not in caught]
    if unseen:
        lines += ["", "## Not seen by any checker", ""]
        lines += [f"- `{one.id}`: {one.wrong} {one.blind}".rstrip() for one in unseen]
    lines += ["", "## The mutants", "", "| mutant | what is wrong | where | expected |"]
    lines += ["|---|---|---|---|"]
    for name in of:
        one = catalogue.mutants[name]
        lines.append(f"| `{name}` | {one.wrong} | `{one.where}` | {' '.join(one.expected)} |")
    lines += ["", "## The sound core on the same seeds", ""]
    lines += ["| bench | alarms | looks | what the bench is |", "|---|---|---|---|"]
    for row in clean:
        about = catalogue.benches[row.bench].about.strip()
        lines.append(f"| {row.bench} | {row.caught} | {row.runs} | {' '.join(about.split())} |")
    seen = {rule for row in rows if row.mutant for rule in row.failing}
    silent = [f"{rule.id} ({rule.name})" for rule in RULES.values() if rule.id not in seen]
    lines += ["", f"Checkers that saw no mutant at all: {', '.join(silent) or 'none'}."]
    return with_ablation("\n".join(lines), ablation_text(bare))
