"""Rounding: one drawn mutant on real processes, where no simulated cluster executes its line.

    with tree() as copy:
        by_rounds(copy, site)       the first round that fails, or nothing

The launcher and its nodes are started from the copy, so they run what was changed there. A round
that fails must fail again and pass on the sound copy at once, or it does not count: others use the
machine as well. What a round leaves running
is ended: those processes name the folder of the round in their command line, and no other does.
"""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from lab.campaign.explore import RoundResult
from tests.mutants.drawing import Site
from tests.mutants.trying import TAIL, mutated, run

ROUNDS = 3
FIRST = 1
ROUNDS_S_MAX = 100.0  # sound ones take a fifth of it


class ByRounds(Struct, frozen=True):
    """What rounds say. `by` is "" where none fails."""

    ran: int
    by: str = ""  # rule and seed
    why: str = ""


def by_rounds(copy: Path, site: Site, rounds: int = ROUNDS) -> ByRounds:
    with mutated(copy, site):
        found, seed = _tried(copy, FIRST, rounds)
        if found.by and not _tried(copy, seed, 1)[0].by:
            return ByRounds(found.ran, "", f"fails once, and not again: {found.why}"[:TAIL])
    if found.by and _tried(copy, seed, 1)[0].by:
        return ByRounds(found.ran, "", f"fails on the sound core as well: {found.why}"[:TAIL])
    return found


def sound(copy: Path, rounds: int = ROUNDS) -> ByRounds:
    return _tried(copy, FIRST, rounds)[0]


def _tried(copy: Path, first: int, count: int) -> tuple[ByRounds, int]:
    """And the seed that failed."""
    folder = copy.parent / "rounds"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = ["-m", "tests.mutants.seeing", "rounds", str(folder), str(first), str(count)]
    try:
        code, told = run(copy, command, limit_s=ROUNDS_S_MAX)
    finally:
        end_all_in(folder)
        shutil.rmtree(folder, ignore_errors=True)
    lines = [line for line in told.splitlines() if line[:1] == "{"]
    seen = [msgspec.json.decode(line, type=RoundResult) for line in lines]
    last = seen[-1] if seen else None
    if last is not None and last.outcome == "fail":
        return ByRounds(len(seen), f"{last.rule} {last.seed}", last.reason[:TAIL]), last.seed
    if code == 0:
        return ByRounds(len(seen)), 0
    seed = first + min(len(seen), count - 1)
    return ByRounds(len(seen), f"{'died' if code else 'timeout'} {seed}", told[-TAIL:]), seed


def end_all_in(folder: Path) -> None:
    """Kill every process whose command line names this folder."""
    name = os.fsencode(folder) + b"/"
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and name in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)
