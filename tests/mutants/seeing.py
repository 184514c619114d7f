"""In a process of its own: run seeds of all scenarios, and say of each what the checkers say.

`python -m tests.mutants.seeing run` reads seeds from its input, one a line, and runs them until one
fails. `... record FILE FIRST COUNT` runs all, and also writes which lines each of them executes.
One line of JSON for each seed: what exploring would take of it, and the hash of its trace. A run
that takes too long ends the process by SIGALRM.

`... rounds FOLDER FIRST COUNT` runs rounds on real processes until one fails, each in a folder of
its own there, and prints a line of JSON for each.
"""

import signal
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.mutants.reaching import recorded, recorder

ROOT = Path(__file__).resolve().parents[2]
SEED_S_MAX = 20.0


class Ran(Struct):
    seed: int
    trace: str
    seen: object  # lab.campaign.explore.SeedResult; that is imported after the recording began


def main() -> None:
    how, *more = sys.argv[1:]
    if how == "record":
        recording = recorder(ROOT)
        seeds = list(range(int(more[1]), int(more[1]) + int(more[2])))
        run(seeds, recording.switch_context, stop=False)
        Path(more[0]).write_bytes(
            msgspec.json.encode(recorded(recording, ROOT, [str(seed) for seed in seeds]))
        )
    elif how == "rounds":
        rounds(Path(more[0]), int(more[1]), int(more[2]))
    else:
        run([int(line) for line in sys.stdin], lambda _: None, stop=True)


def run(seeds: list[int], begin: object, *, stop: bool) -> None:
    from lab.campaign.explore import seen_of
    from lab.campaign.judged_run import run_judged
    from tests.mutants.trying import options

    assert callable(begin)
    what = options()
    for seed in seeds:
        begin(str(seed))
        signal.setitimer(signal.ITIMER_REAL, SEED_S_MAX)  # what it does by default: the end
        judged = run_judged(what.scenario_of(seed), seed)
        signal.setitimer(signal.ITIMER_REAL, 0)
        line = msgspec.json.encode(Ran(seed, judged.trace.hash, seen_of(judged)))
        sys.stdout.write(line.decode() + "\n")
        sys.stdout.flush()
        if stop and judged.outcome == "fail":
            return


def rounds(folder: Path, first: int, count: int) -> None:
    from lab.real.rounds import look, scenario_of

    for seed in range(first, first + count):
        where = folder / str(seed)
        where.mkdir()
        seen = look(scenario_of((), seed), seed, where)
        sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")
        sys.stdout.flush()
        if seen.outcome == "fail":
            return


if __name__ == "__main__":
    main()
