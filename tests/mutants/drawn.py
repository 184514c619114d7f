"""`scripts/evidence mutants --random N --seed S`: mutants drawn over the core, and who sees them.

What has been tried is kept in runs/mutants/ and not tried again while the sources are the same: a
run that was stopped goes on. `--keep` goes further: a mutant that was once caught stays so, and
only what nobody saw is tried again. What seeds and tests reach is recorded first, of tests once for
each file, and again when that file has changed.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from time import monotonic
from typing import TypeVar

import msgspec
from msgspec import Struct

from lab.campaign.replay_token import sources_of
from tests.mutants.boarding import MutantRow, section, with_section
from tests.mutants.choosing import RECORD, ROOT, Executed
from tests.mutants.drawing import Site, drawn
from tests.mutants.reaching import Reached
from tests.mutants.rounding import ByRounds, by_rounds
from tests.mutants.rounding import sound as sound_rounds
from tests.mutants.seeing import Ran
from tests.mutants.trying import BySeeds, ByTests, Sound, by_seeds, by_tests, pytest, run, tree

KEPT = ROOT / "runs" / "mutants"
EVIDENCE = ROOT / "docs" / "evidence" / "mutants.md"
SEEDS = 1000
UNIT = ("tests/gossip/", "tests/domain/", "tests/node/", "tests/reliability/")
Trees = SimpleQueue[Path]


def stamp(*folders: str) -> str:
    """A hash of all sources in these."""
    made = blake2b(digest_size=6)
    for path in sorted(path for one in folders for path in (ROOT / one).rglob("*.py")):
        made.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return made.hexdigest()


def main(arguments: list[str] | None = None) -> int:
    given = _given(arguments)
    sites = [s for s in drawn(ROOT, 1 << 30, given.seed) if s.file.startswith(given.file)]
    sites = sites[: given.random]
    sources = sources_of("lab.sim.world", without="lab.drills")
    driven = {f"{one.replace('.', '/')}.py" for one in sources}
    if given.undriven:
        sites = [site for site in sites if site.file not in driven]
    KEPT.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        trees: Trees = SimpleQueue()
        for _ in range(given.jobs):
            trees.put(stack.enter_context(tree()))
        explored: dict[str, BySeeds] = {}
        tested: dict[str, ByTests] = {}
        rounded: dict[str, ByRounds] = {}
        if given.only in (None, "unit"):
            tests = recorded_tests(trees, given.jobs)
            tested = _column(
                "unit", f"{stamp('gossip', 'domain', 'node', 'tests')}", ByTests, sites, given,
                trees, lambda copy, site: by_tests(copy, site, tests),
            )  # fmt: skip
        if given.only in (None, "explore"):
            sound = recorded_seeds(trees, given.jobs, given.seeds)
            explored = _column(
                "explore", f"{given.seeds}-{stamp('gossip', 'domain', 'node', 'lab')}", BySeeds,
                sites, given, trees, lambda copy, site: by_seeds(copy, site, sound),
            )  # fmt: skip
        if given.only != "unit":
            unreached = [s for s in sites if _unreached(s, driven, explored)]
            real = f"{stamp('gossip', 'domain', 'node', 'lab')}"
            _check_rounds(trees, real)
            rounded = _column("real", real, ByRounds, unreached, given, trees, by_rounds)
    rows = [
        MutantRow(s, s.file in driven, explored.get(s.key), tested.get(s.key), rounded.get(s.key))
        for s in sites
    ]
    text = section(rows, given.seed, given.seeds)
    if given.dry or given.only or given.file or given.undriven:
        print(text)
    else:
        EVIDENCE.write_text(with_section(EVIDENCE.read_text(encoding="utf-8"), text), "utf-8")
    return 0


def _given(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/evidence mutants", description=__doc__)
    parser.add_argument("--random", type=int, default=200, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the draw")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help="to explore")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes")
    parser.add_argument("--only", choices=("explore", "unit", "real"), help="one column")
    parser.add_argument("--keep", action="store_true", help="once caught is caught")
    parser.add_argument("--file", default="", metavar="START", help="only in files of that name")
    parser.add_argument("--undriven", action="store_true", help="only where no seed can come")
    parser.add_argument("--dry", action="store_true", help="write no evidence")
    return parser.parse_args(arguments)


def _unreached(site: Site, driven: set[str], explored: Mapping[str, BySeeds]) -> bool:
    """Whether no simulated cluster executes its line; a drill may have, and seen nothing."""
    seen = explored.get(site.key)
    if seen is None or seen.by:
        return site.file not in driven and seen is None
    return site.file not in driven or not seen.reached


def _check_rounds(trees: Trees, stamp_: str) -> None:
    """Rounds that fail on the sound core would say nothing of a mutant. Looked at once."""
    path = KEPT / f"rounds-{stamp_}"
    if path.exists():
        return
    copy = trees.get()
    try:
        found = sound_rounds(copy)
    finally:
        trees.put(copy)
    if found.by:
        raise SystemExit(f"rounds fail on the sound core: {found.by}: {found.why}")
    path.touch()


# --- columns, which go on where they stopped ------------------------------------------------------


class Kept(Struct):
    """A line of a file that is only added to."""

    stamp: str
    key: str
    result: msgspec.Raw
    took_s: float


Result = TypeVar("Result", BySeeds, ByTests, ByRounds)


def _column(
    name: str,
    stamp_: str,
    kind: type[Result],
    sites: list[Site],
    given: argparse.Namespace,
    trees: Trees,
    tried: Callable[[Path, Site], Result],
) -> dict[str, Result]:
    path = KEPT / f"{name}.jsonl"
    found: dict[str, Result] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        kept = msgspec.json.decode(line, type=Kept)
        result = msgspec.json.decode(kept.result, type=kind)
        if kept.stamp == stamp_ or (given.keep and result.by):
            found[kept.key] = result
    waiting = [site for site in sites if site.key not in found]
    lock = Lock()

    def one(site: Site) -> None:
        copy, began = trees.get(), monotonic()
        try:
            result = tried(copy, site)
        finally:
            trees.put(copy)
        took_s = round(monotonic() - began, 1)
        with lock, path.open("ab") as out:
            found[site.key] = result
            kept = Kept(stamp_, site.key, msgspec.Raw(msgspec.json.encode(result)), took_s)
            out.write(msgspec.json.encode(kept) + b"\n")
            print(f"{name} {len(found)} {site.id}: {result.by or '-'} ({took_s} s)", flush=True)

    with ThreadPoolExecutor(given.jobs) as pool:
        for _ in pool.map(one, waiting):
            pass
    return found


# --- what is recorded of the sound core -----------------------------------------------------------


def recorded_seeds(trees: Trees, jobs: int, count: int) -> Sound:
    path = KEPT / f"seeds-{count}-{stamp('gossip', 'domain', 'node', 'lab')}.json"
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Sound)
    share = -(-count // jobs)

    def part(at: int) -> tuple[list[Ran], Reached]:
        copy = trees.get()
        try:
            out, first = copy.parent / "seeds", 1 + at * share
            sizes = [str(first), str(min(share, count - at * share))]
            command = ["-m", "tests.mutants.seeing", "record", str(out), *sizes]
            code, told = run(copy, command, limit_s=3600)
            assert code == 0, told[-2000:]
            reached = msgspec.json.decode(out.read_bytes(), type=Reached)
        finally:
            trees.put(copy)
        lines = [line for line in told.splitlines() if line[:1] == "{"]
        return [msgspec.json.decode(line, type=Ran) for line in lines], reached

    with ThreadPoolExecutor(jobs) as pool:
        parts = list(pool.map(part, range(jobs)))
    sound = Sound([one for ran, _ in parts for one in ran], joined([r for _, r in parts]))
    path.write_bytes(msgspec.json.encode(sound))
    return sound


def joined(parts: list[Reached]) -> Reached:
    """One recording, of the contexts of all."""
    whole, shift = Reached([]), 0
    for part in parts:
        whole.contexts += part.contexts
        for file, lines in part.lines.items():
            of = whole.lines.setdefault(file, {})
            for key, bits in lines.items():
                of[key] = hex(int(of.get(key, "0"), 16) | int(bits, 16) << shift)
        shift += len(part.contexts)
    return whole


def recorded_tests(trees: Trees, jobs: int) -> Mapping[str, Executed]:
    found: dict[str, Executed] = {}

    def one(file: str) -> None:
        name = file.removesuffix(".py").replace("/", ".")
        digest = blake2b((ROOT / file).read_bytes(), digest_size=6).hexdigest()
        path = KEPT / f"{name}-{digest}.json"
        if not path.exists():
            copy = trees.get()
            try:
                out = copy.parent / "tests"
                out.unlink(missing_ok=True)
                code, _ = pytest(copy, [file], {RECORD: str(out)})
                print(f"recorded {file}: exit {code}", flush=True)
                data = out.read_bytes() if out.exists() else msgspec.json.encode(NOTHING)
            finally:
                trees.put(copy)
            for old in KEPT.glob(f"{name}-*.json"):
                old.unlink()
            path.write_bytes(data)
        found[file] = msgspec.json.decode(path.read_bytes(), type=Executed)

    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(one, test_files()):
            pass
    return dict(sorted(found.items()))


NOTHING = Executed({}, Reached())


def test_files() -> Iterator[str]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        if file.startswith(UNIT):
            yield file


if __name__ == "__main__":
    sys.exit(main())
