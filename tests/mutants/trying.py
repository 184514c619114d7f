"""Trying: one drawn mutant in a copy of the tree, by the seeds and by the tests that reach it.

    with tree() as copy:
        by_seeds(copy, site, recording)      what exploring sees: rule and seed, or nothing
        by_tests(copy, site, tests)          the first test that fails, or ""

Everything runs in processes of its own, with limits on time and memory; who hangs, dies or cannot
be imported is caught. A test that fails must pass on the sound tree at once, or it does not count.
"""

import importlib.util
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from lab.campaign.calibration import bands
from lab.campaign.explore import ExploreResult, Options, SeedResult
from lab.plan.scenario import named, names
from tests.mutants.choosing import CHOSEN, ROOT, Executed
from tests.mutants.drawing import Site
from tests.mutants.reaching import Reached, keys_of
from tests.mutants.seeing import Ran

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".chatlab*", "runs", ".*_cache", ".compiled", ".tools"
)
MEMORY_BYTES_MAX = 6 << 30
TESTS_S_MAX = 60.0  # recorded seconds of the tests that are tried; the slowest are left out
TEST_S_MAX = 30
WALL_S_MAX = 420.0
FEW_FILES = 3
# Of lines that no other test executes, those of real processes.
PROCESSES = tuple(f"tests/cluster/test_{one}.py" for one in ("commands", "starting", "stopping"))
TAIL = 300


class BySeeds(Struct, frozen=True):
    """What seeds say. `by` is "" where none fails."""

    reached: int  # seeds that execute the line
    ran: int
    changed: int  # traces, of those that ran
    by: str = ""  # rule and seed
    why: str = ""


class ByTests(Struct, frozen=True):
    reached: int  # tests that execute the line
    by: str = ""  # the first that fails


class Sound(Struct):
    """The sound core under the same seeds."""

    ran: list[Ran]
    reached: Reached


def options(seeds: int = 1000) -> Options:
    return Options(tuple(named(name) for name in names()), first=1, seeds=seeds, bands=bands())


@contextmanager
def tree() -> Iterator[Path]:
    """A copy of this checkout."""
    with tempfile.TemporaryDirectory(prefix="cl-mutants-") as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        yield copy


@contextmanager
def mutated(copy: Path, site: Site) -> Iterator[None]:
    path = copy / site.file
    sound, stat = path.read_bytes(), path.stat()
    compiled = Path(importlib.util.cache_from_source(str(path)))
    try:
        compiled.unlink(missing_ok=True)
        path.write_bytes(site.mutated(sound))
        yield
    finally:
        compiled.unlink(missing_ok=True)
        path.write_bytes(sound)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def run(
    copy: Path,
    command: Sequence[str],
    text: str = "",
    more: Mapping[str, str] = {},
    limit_s: float = WALL_S_MAX,
) -> tuple[int | None, str]:
    """Its exit code (None: it took too long), and what it printed."""
    process = subprocess.Popen(
        ["nice", sys.executable, "-P", *command],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONHASHSEED": "0", "CI": "1", **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    try:
        told = process.communicate(text.encode(), limit_s)[0]
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        told, code = b"", None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code, told.decode(errors="backslashreplace")


# --- by seeds -------------------------------------------------------------------------------------


def by_seeds(copy: Path, site: Site, sound: Sound) -> BySeeds:
    """Runs the seeds that execute the line, in their order, until one fails; then the batches."""
    keys = [_keys(ROOT / site.file)[line] for line in site.lines]
    seeds = [int(name) for name in sound.reached.at(site.file, keys, site.function) if name]
    if not seeds:
        return BySeeds(0, 0, 0)
    with mutated(copy, site):
        lines = "\n".join(map(str, seeds))
        code, told = run(copy, ["-m", "tests.mutants.seeing", "run"], lines)
    ran = [msgspec.json.decode(line, type=Ran) for line in told.splitlines() if line[:1] == "{"]
    traces = {one.seed: one.trace for one in sound.ran}
    changed = sum(one.trace != traces[one.seed] for one in ran)
    by = why = ""
    last = msgspec.convert(ran[-1].seen, SeedResult) if ran else None
    if last is not None and last.outcome == "fail":
        by, why = f"{last.rule} {last.seed}", last.reason
    elif code != 0:
        slow = code is None or code == -signal.SIGALRM
        by = f"{'timeout' if slow else 'died'} {seeds[min(len(ran), len(seeds) - 1)]}"
        why = told[-TAIL:]
    else:
        by, why = _by_batches({one.seed: one for one in sound.ran} | {one.seed: one for one in ran})
    return BySeeds(len(seeds), len(ran), changed, by, " ".join(why.split())[:TAIL])


def _by_batches(ran: Mapping[int, Ran]) -> tuple[str, str]:
    """30 runs in a row are judged together as well: what did not run is as in the sound core."""
    found = ExploreResult(options(len(ran)))
    for seed in sorted(ran):
        found.take(msgspec.convert(ran[seed].seen, SeedResult))
    failure = found.failures[0] if found.failures else None
    return ("", "") if failure is None else (f"{failure.rule} {failure.seed}", failure.reason)


@cache
def _keys(path: Path) -> list[str]:
    return keys_of(path.read_text(encoding="utf-8"))


# --- by tests -------------------------------------------------------------------------------------


def by_tests(copy: Path, site: Site, tests: Mapping[str, Executed]) -> ByTests:
    """Runs the tests that execute the line: quick files first, and within each what is quick."""
    keys = [_keys(ROOT / site.file)[line] for line in site.lines]
    chosen: dict[str, dict[str, float]] = {}
    for file, of in tests.items():
        for name in of.reached.at(site.file, keys, site.function):
            if name in of.took_s:
                chosen.setdefault(file, {})[name] = of.took_s[name]
    if not chosen:
        return ByTests(0, _first_failing(copy, site, PROCESSES, "cluster"))
    own = f"test_{Path(site.file).stem}"

    def cost(file: str) -> tuple[bool, float]:
        return not Path(file).stem.startswith(own), sum(chosen[file].values())

    order = [name for file in sorted(chosen, key=cost) for name in _quick_first(chosen[file])]
    spent = 0.0
    took = {name: took for of in chosen.values() for name, took in of.items()}
    meant: set[str] = set()
    for name in sorted(order, key=lambda one: took[one]):
        spent += took[name]
        if spent <= TESTS_S_MAX or not meant:
            meant.add(name)
    order = [name for name in order if name in meant]
    early = sorted(chosen, key=cost)[:FEW_FILES]
    first = [name for name in order if name.partition("::")[0] in early]
    for stage in (first, [name for name in order if name not in set(first)]):
        by = _first_failing(copy, site, stage)
        if by:
            return ByTests(len(took), by)
    return ByTests(len(took))


def _quick_first(of: Mapping[str, float]) -> list[str]:
    return sorted(of, key=lambda name: (of[name], name))


def _first_failing(
    copy: Path, site: Site, names_: Sequence[str], marked: str = "not cluster"
) -> str:
    left = list(names_)
    while left:
        with mutated(copy, site):
            code, told = pytest(copy, left, marked=marked)
        if code == 0:
            return ""
        if code is None:
            return "timeout"
        failed = re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", told, re.MULTILINE)
        if code != 1 or not failed:
            return "import" if code in (2, 4) else "died"
        name: str = failed[0]
        if pytest(copy, [name], marked=marked)[0] == 0:
            return name
        left = left[left.index(name) + 1 :] if name in left else []
    return ""


def pytest(
    copy: Path, names_: Sequence[str], more: Mapping[str, str] = {}, marked: str = "not cluster"
) -> tuple[int | None, str]:
    """Runs these tests until one fails; or whole files, to the end, where they are recorded."""
    files = list(dict.fromkeys(name.partition("::")[0] for name in names_))
    command = ["-m", "pytest", "-q", "-m", marked, f"--timeout={TEST_S_MAX}", *files]
    for plugin in ("tests.mutants.choosing", "no:randomly", "no:cacheprovider"):
        command += ["-p", plugin]
    if not more:
        command.append("-x")
    if any("::" in name for name in names_):
        chosen = copy.parent / "chosen"
        chosen.write_text("\n".join(names_), encoding="utf-8")
        more = {**more, CHOSEN: str(chosen)}
    return run(copy, command, more=more)
