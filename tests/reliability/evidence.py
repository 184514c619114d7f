"""The checks behind docs/evidence/reliability.md: each shows one promise, and gives its figure.

`scripts/evidence` runs them. The short form of each is seconds, the long one what the promise says.
A check that does not hold raises, and what it raises is the figure.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec
from msgspec import Struct

from lab.bench.figures import Figure
from tests.cluster.conftest import Lab
from tests.node.storage.test_recovery_crashes import Life
from tests.reliability import fuzzing, load, malicious, outputs, realnode
from tests.reliability.errors import faults, promises_hold
from tests.reliability.journals import (
    Peer,
    cut_at,
    cut_sealed_at,
    flip_at,
    repaired,
    sampled,
    stranger_is_not_read,
    strangers,
    tail_is_cut,
    tails,
    whole,
)
from tests.reliability.restarts import restarted

ROOT = Path(__file__).resolve().parents[2]
Figures = TypeVar("Figures")


class Check(Struct, frozen=True):
    name: str
    promise: str  # rows of reliability.md, section 8
    what: str
    run: Callable[[bool], str]  # of whether the long form is wanted; returns the figure


CHECKS: dict[str, Check] = {}


def check(promise: str, what: str) -> Callable[[Callable[[bool], str]], Callable[[bool], str]]:
    def registered(run: Callable[[bool], str]) -> Callable[[bool], str]:
        name = run.__name__
        CHECKS[name] = Check(name, promise, what, run)
        return run

    return registered


# --- the journal ----------------------------------------------------------------------------------


@check("R1", "the log cut at every byte: exactly the whole frames before the cut")
def cuts(long: bool) -> str:
    one = whole()
    places = sampled(one.places(), None if long else 1000, 11)
    for name, at in places:
        cut_at(name, at)
    sealed = [(name, at) for name, at in one.places() if name != one.names[-1]]
    sealed = sampled(sealed, None if long else 1000, 12)
    for name, at in sealed:
        cut_sealed_at(name, at)
    count = len(places) + len(sealed)
    return (
        f"{count} cuts of {len(one.held)} records in {len(one.names)} segments: "
        "0 exceptions, 0 records invented, 0 whole ones dropped"
    )


@check("R2", "one bit flipped at every byte, and repair from one healthy peer")
def flips(long: bool) -> str:
    places = sampled(whole().places(), None if long else 1000, 13)
    for name, at in places:
        flip_at(name, at)
    peer, lost = Peer(), 0
    mended = sampled(whole().places(), 2000 if long else 40, 14)
    for name, at in mended:
        after, found, journal = flip_at(name, at)
        lost += repaired(peer, journal, found, after)
    return (
        f"{len(places)} flips: 0 wrong payloads, 0 later records dropped silently; "
        f"{len(mended)} of them repaired from a peer: all {lost} lost records came back"
    )


@check("R1 R2", "zeros, garbage, doubled, stale and foreign frames at the end")
def ends(long: bool) -> str:
    count = 0
    for seed in range(200 if long else 10):
        for tail in tails(Random(seed)):
            tail_is_cut(tail)
            count += 1
        for _, data in strangers(Random(seed)):
            stranger_is_not_read(data)
            count += 1
    return f"{count} endings: every torn tail kept in a copy, no foreign frame read or cut off"


@check("R3", "power cuts by the page-cache model, also inside recovery")
def power(long: bool) -> str:
    seeds = 1800 if long else 60
    for mode in ("always", "interval", "none"):
        for seed in range(seeds):
            Life(1000 + seed, mode).run(starts=8)
    return (
        f"{3 * 8 * seeds} starts after a kill or a power cut, 3 modes: 0 durable records lost, "
        "0 dots with two payloads"
    )


@check("R4", "real nodes killed by kill -9 under 500 messages/s")
def kills(long: bool) -> str:
    return in_lab(lambda lab: load.kills(lab, 2000 if long else 20))


@check("R5", "the nth call to the disk fails, n = 1 to 20, once and from then on")
def errors(long: bool) -> str:
    count = fired = refused = 0
    for mode in ("always", "interval", "none"):
        for fault in faults(20 if long else 8):
            told = promises_hold(fault, mode)
            count += 1
            fired += told.fired
            refused += told.refused_start
    more = ""
    if long:
        ran_pytest("tests/reliability/test_real_errors.py")
        more = "; 6 on real processes by strace and tmpfs"
    return (
        f"{count} faults in 3 modes, {fired} met, {refused} starts refused in one line: 0 acks "
        f"without their promise, 0 hangs, 0 tracebacks, 0 acknowledged events lost{more}"
    )


@check("R12", "one node of three restarts in a new epoch again and again: digests stay flat")
def restarts(long: bool) -> str:
    return restarted(1000 if long else 200)


@check("R6", "the simulator with all faults, under seeds that nobody has chosen")
def seeds(long: bool) -> str:
    count = 100_000 if long else 300
    command = ["lab", "explore", "all", "--fresh", "--seeds", str(count)]
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "lab.cli", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    last = next(line for line in reversed(ran.stdout.splitlines()) if line.strip())
    return f"{count} seeds, 0 violations; {last[:200]}"


# --- load -----------------------------------------------------------------------------------------


@check("R7", "one peer under SIGSTOP while the others take messages")
def stopped(long: bool) -> str:
    # In the short form a machine that others use says more in its p99 than the stopped peer.
    seconds, p99_ratio_max = (300.0, 2.0) if long else (8.0, 20.0)
    return in_lab(lambda lab: load.stopped(lab, seconds, p99_ratio_max))


@check("R8", "1,000 control clients at once")
def clients(long: bool) -> str:
    return in_lab(lambda lab: load.clients(lab, 1000, 10 if long else 2))


@check("R9", "idle raw connections, ten times the limit of files")
def idle(long: bool) -> str:
    return in_lab(lambda lab: load.idle(lab, 256, 2560 if long else 1000))


@check("R11", "opening, stopping, and a second start on the same directory")
def opening(long: bool) -> str:
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as folder:
        opened = load.opening(Path(folder), 1_000_000 if long else 100_000)
    return opened + "; " + in_lab(load.stopping)


# --- strangers ------------------------------------------------------------------------------------


@check("R10", "hostile packets, requests, frames and files, without sockets")
def fuzz(long: bool) -> str:
    each = 1_000_000 if long else 10_000
    seed = 77
    figures = [
        fuzzing.fuzz_packets(each, seed),
        fuzzing.fuzz_requests(each, seed),
        fuzzing.fuzz_events(each, seed),
        fuzzing.fuzz_segments(each // 50, seed),
        fuzzing.fuzz_cluster_files(each // 100, seed),
        fuzzing.fuzz_scenarios(each // 100, seed),
    ]
    return "; ".join(figures)


@check("R10", "hostile frames at the sockets of a real node")
def flood(long: bool) -> str:
    each = 1_000_000 if long else 5000
    return in_lab(lambda lab: realnode.flood(lab, each, each, each))


@check("R13", "a malicious peer with a good key, at full rate, while people talk")
def malice(long: bool) -> str:
    seconds = 60.0 if long else 8.0
    measured = in_lab(lambda lab: malicious.measured(lab, seconds, seed=13))
    assert measured.grown_mib <= measured.grown_mib_max, f"too much memory: {measured}"
    assert measured.turn_ms <= malicious.TURN_MS_MAX, f"a turn takes too long: {measured}"
    assert measured.p99_ratio <= malicious.P99_RATIO_MAX, f"people wait too long: {measured}"
    return str(measured)


@check("S1", "every key at every door, with the doors alive and dead")
def doors(long: bool) -> str:
    doors = "tests/node/security/test_zap_authenticator.py"
    count = ran_pytest(doors, "tests/cluster/test_keys.py")
    return f"{count} tests on real sockets: exactly the allowed cells are served; dead doors: none"


@check("S3", "every code point and 1,000 escape sequences through each human output")
def text(long: bool) -> str:
    shown = 0
    for name in outputs.OUTPUTS:
        points = outputs.code_points() if long else iter(list(outputs.code_points())[:6])
        shown += outputs.check(name, points)
        shown += outputs.check(name, outputs.escapes(1000 if long else 100))
    points_shown = 0x110000 if long else 6 * 2048
    return (
        f"{points_shown} code points and {1000 if long else 100} sequences through "
        f"{len(outputs.OUTPUTS)} outputs ({shown} texts): nothing but printable text and newlines"
    )


@check("M1 M2 M3 M4", "moderation on the project's own corpus")
def moderation(long: bool) -> str:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "lab.bench", "moderation", "--json"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    found = msgspec.json.decode(b"[" + b",".join(ran.stdout.splitlines()) + b"]", type=list[Figure])
    told = [f"{one.name} {one.median:.4g} {one.unit}".strip() for one in found if one.met]
    missed = [f"{one.name} {one.median:.4g}" for one in found if one.met is False]
    assert ran.returncode == 0, f"missed: {', '.join(missed)}; {ran.stderr[-300:].decode()}"
    corpora = ("tests/domain/test_moderation_corpus.py", "tests/domain/test_moderation_standard.py")
    return f"{'; '.join(told)}; {sum(map(ran_pytest, corpora))} tests of the two corpora"


def in_lab(run: Callable[[Lab], Figures]) -> Figures:
    """With a cluster of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as folder:
        lab = Lab(Path(folder))
        try:
            return run(lab)
        finally:
            lab.clean()


def ran_pytest(*paths: str) -> int:
    """How many tests passed; raises if one did not."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]
    last = ran.stdout.splitlines()[-1]
    return int(last.partition(" passed")[0].split()[-1])
