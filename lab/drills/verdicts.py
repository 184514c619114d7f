"""What moderation says of recorded texts: `lab/drills/verdicts.jsonl`, a golden file.

A line of that file is a policy, as an object, and each line after it a text that was judged by it:
the text, what is emitted (null: nothing, it is rejected), and the hits. The texts come from the
tests of moderation. The verdicts were recorded: a change of them is seen here, and whether it is
right is said by those tests. `pytest --rewrite tests/lab/drills/test_drills.py` writes them anew.
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
    """One policy, and what it says."""

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
