"""Drill of `domain.moderation`: recorded texts must get their recorded verdicts (a golden file).

The model is `lab/drills/verdicts.jsonl`. A line of it is a policy, as an object; each line after it
is a text judged by that policy: the text, what is emitted (null if it is rejected), and the hits.
A drill samples `EACH` texts. They come from the tests of moderation, and those tests say whether a
changed verdict is right; this drill only finds that it changed.
`pytest --rewrite tests/lab/drills/test_drills.py` records the verdicts again.
"""

from functools import cache
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from domain.moderation import Moderator, Policy
from domain.verdict import Censored, Clean, Hit, Rejected, Verdict
from lab.drills.beside import same

FILE = Path(__file__).resolve().parent / "verdicts.jsonl"
EACH = 16  # texts of one drill


class Row(Struct, frozen=True, array_like=True):
    text: str
    emitted: str | None
    hits: tuple[tuple[str, int, int, str], ...]


class Judged(Struct, frozen=True):
    """One policy, and its recorded verdicts."""

    policy: Policy
    rows: list[Row]


@cache
def read() -> list[Judged]:
    found: list[Judged] = []
    for line in FILE.read_bytes().splitlines():
        if line.startswith(b"{"):
            found.append(Judged(msgspec.json.decode(line, type=Policy), []))
        else:
            found[-1].rows.append(msgspec.json.decode(line, type=Row))
    return found


@cache
def moderator(at: int) -> Moderator:
    return Moderator(read()[at].policy)


@cache
def _all() -> list[tuple[int, Row]]:
    return [(at, row) for at, judged in enumerate(read()) for row in judged.rows]


def verdicts(rng: Random) -> None:
    for at, row in rng.sample(_all(), EACH):
        same(repr(row.text), row_of(row.text, moderator(at).judge(row.text)), row)


def row_of(text: str, verdict: Verdict) -> Row:
    if type(verdict) is Clean:
        return Row(text, text, ())
    assert type(verdict) is Censored or type(verdict) is Rejected
    emitted = verdict.text if type(verdict) is Censored else None
    return Row(text, emitted, tuple(map(_plain, verdict.hits)))


def _plain(hit: Hit) -> tuple[str, int, int, str]:
    return hit.rule, hit.start, hit.end, hit.view
