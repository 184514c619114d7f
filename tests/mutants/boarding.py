"""The scoreboard of drawn mutants: a section of docs/evidence/mutants.md."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.mutants.drawing import Site
from tests.mutants.rounding import FIRST, ROUNDS, ByRounds
from tests.mutants.trying import BySeeds, ByTests

TITLE = "## Drawn at random over the core"
NEXT = "## Which faults are needed"
EQUIVALENT = Path(__file__).parent / "equivalent.json"
HEAD = """{title}

Written by `scripts/evidence mutants --random {count} --seed {seed} --seeds {seeds}`; do not edit.
Small changes by an operator, anywhere in `gossip`, `domain` and `node`, drawn by a seed
(`tests/mutants/drawing.py`). *explore*: the first rule that fails, and the seed, of {seeds} seeds
over all scenarios. *traces*: of the seeds that ran, until one failed, how many had another trace,
and how many seeds execute the line at all. Where none does, the first of {rounds} rounds on real
processes that fails (`lab explore --real {rounds}`, from seed {real_first} on); it is marked
*real*, and the table tells what simulated seeds alone see. *unit*: the first test that fails, of
those that execute the line and need no processes of their own; of lines that none of these
executes, the first of tests/cluster. A run that hangs, dies or cannot be imported is caught.
*Equivalent* ones were judged by hand (`tests/mutants/equivalent.json`), and count nowhere.
*Driven* are the modules that the simulator imports: no seed can see a mutant elsewhere.
"""


class Equivalent(Struct, frozen=True):
    """A change that nobody could see, and why. Lines may move, so none is named."""

    file: str
    function: str
    was: str
    becomes: str
    why: str


class MutantRow(Struct, frozen=True):
    site: Site
    driven: bool  # by the simulator
    explored: BySeeds | None
    tested: ByTests | None
    rounded: ByRounds | None = None  # None: not tried, for seeds execute its line

    @property
    def simulated(self) -> bool:
        """Whether a simulated seed sees it."""
        return bool(self.explored and self.explored.by)

    @property
    def found(self) -> bool:
        """Whether exploring sees it, with its rounds on real processes."""
        return self.simulated or bool(self.rounded and self.rounded.by)

    @property
    def seen(self) -> bool:
        return self.found or bool(self.tested and self.tested.by)


def equivalents() -> dict[tuple[str, str, str, str], str]:
    every = msgspec.json.decode(EQUIVALENT.read_bytes(), type=list[Equivalent])
    return {(one.file, one.function, one.was, one.becomes): one.why for one in every}


def judged(row: MutantRow, known: dict[tuple[str, str, str, str], str]) -> str:
    """Why it is equivalent; "" if it is not. What somebody sees is not equivalent."""
    site = row.site
    return "" if row.seen else known.get((site.file, site.function, site.was, site.becomes), "")


def section(rows: Sequence[MutantRow], seed: int, seeds: int) -> str:
    known = equivalents()
    real = [row for row in rows if not judged(row, known)]
    lines = [
        HEAD.format(
            title=TITLE, count=len(rows), seed=seed, seeds=seeds, rounds=ROUNDS, real_first=FIRST
        )
    ]
    lines += [
        "| mutants | of them | explore | of it simulated | unit | neither |",
        "|---|---|---|---|---|---|",
    ]
    groups = {"all": real, "driven": [r for r in real if r.driven]}
    groups["not driven"] = [r for r in real if not r.driven]
    for folder in ("gossip", "domain", "node"):
        groups[f"`{folder}`"] = [r for r in real if r.site.file.startswith(f"{folder}/")]
    for name, those in groups.items():
        seen, simulated = sum(r.found for r in those), sum(r.simulated for r in those)
        tested = sum(bool(r.tested and r.tested.by) for r in those)
        neither = sum(not r.seen for r in those)
        shares = [_share(n, len(those)) for n in (seen, simulated, tested, neither)]
        lines.append(f"| {name} | {len(those)} | {' | '.join(shares)} |")
    lines += ["", f"Equivalent: {len(rows) - len(real)} of {len(rows)}.", ""]
    lines += ["| place | change | explore | traces | unit |", "|---|---|---|---|---|"]
    lines += [_row(row, judged(row, known)) for row in rows]
    return "\n".join(lines) + "\n"


def _share(hits: int, of: int) -> str:
    return f"{hits} ({100 * hits / of:.0f} %)" if of else "-"


def _row(row: MutantRow, why: str) -> str:
    site, seen, tested = row.site, row.explored, row.tested
    traces = f"{seen.changed} of {seen.ran}; {seen.reached}" if seen else ""
    by = (tested.by.rpartition("/")[2] or "-") if tested else ""
    cells = [
        f"{site.file}:{site.line} {site.operator}",
        f"{_code(site.was)} → {_code(site.becomes)}",
        _explored(row),
        traces,
        f"equivalent: {why}" if why else by[:90],
    ]
    return f"| {' | '.join(cells)} |"


def _explored(row: MutantRow) -> str:
    if row.rounded is not None:
        return f"{row.rounded.by} (real)" if row.rounded.by else "-"
    return (row.explored.by or "-") if row.explored else ""


def _code(text: str) -> str:
    short = text if len(text) <= 70 else f"{text[:69]}…"
    return "`" + short.replace("|", "\\|").replace("`", "'") + "`"


def with_section(page: str, text: str) -> str:
    """The page with this section before the last one, in the place of an older one."""
    head, _, rest = page.partition(NEXT)
    head = head.partition(TITLE)[0].rstrip("\n")
    return f"{head}\n\n{text}" + (f"\n{NEXT}{rest}" if rest else "")


def carried(before: str, page: str) -> str:
    """A page that was written anew, with the section that an older one has."""
    text = before.partition(TITLE)[2].partition(NEXT)[0].rstrip("\n")
    return with_section(page, f"{TITLE}{text}\n") if text else page
