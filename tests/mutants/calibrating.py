"""Calibrating: what the sound core shows over many batches, for C20. Writes bands.json.

    python -m tests.mutants.calibrating        a few minutes on two cores

A calibration holds for the core as it is. When the core gets better, or its defaults change, the
band must be made anew, and the difference reviewed.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random

import msgspec

from lab.checkers import Band, Judge, Sample, calibrate
from lab.sim.world import World
from tests.mutants import plans
from tests.mutants.benches import BATCHED
from tests.mutants.looking import BANDS, Plans, bands, swarm
from tests.mutants.scoreboard import BATCH_RUNS

PLANS: dict[str, Plans] = {name: swarm(of) for name, of in BATCHED.items()}
PLANS |= {
    "starving": plans.starving,
    "through-one": plans.through_one,
    "catching-up": plans.catching_up,
    "two-gaps": plans.two_gaps,
}


RUNS = 900
DRAWN = 20_000  # batches, of runs that were had once: the highest mean is one in many thousand


def sampled(name: str, seeds: range) -> list[Sample]:
    samples: list[Sample] = []
    for seed in seeds:
        judging = Judge(only=("none",))
        judging.see_all(World(PLANS[name](seed)).run().trace)
        samples.append(judging.sample())
    return samples


def band_of(name: str, pool: ProcessPoolExecutor) -> Band:
    parts = [range(at, at + BATCH_RUNS) for at in range(0, RUNS, BATCH_RUNS)]
    samples = [one for part in pool.map(sampled, [name] * len(parts), parts) for one in part]
    rng = Random(f"batches of {name}")
    found = calibrate([rng.choices(samples, k=BATCH_RUNS) for _ in range(DRAWN)])
    assert found is not None, "nothing was shown anywhere"
    return found


def main(names: Sequence[str]) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        made = {name: band_of(name, pool) for name in names or PLANS}
    BANDS.write_bytes(msgspec.json.format(msgspec.json.encode(bands() | made), indent=1) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
