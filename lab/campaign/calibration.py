"""Calibration measures the figures that the correct core shows over batches of runs of a scenario.
C20 compares later batches with these bands, which are kept in bands.json.

`chatlab lab calibrate` measures them: 3000 runs under seeds that no exploration uses. Batches are
resampled from these runs many times (a bootstrap), so that the highest batch mean is that of one
batch in many thousand, and exploring a hundred thousand seeds raises no false alarm. A band is kept
under the hash of its scenario: if the scenario has changed, there is no band, and C20 does not
judge.

Known limits. What a swarm draws differs so much from run to run that the limit of lag is 1.3 (calm)
to 3.4 times its mean, mostly twice: a core that spreads twice as slowly may pass. Packets and the
share that is relayed are distinguished far better (1.1 to 1.2 times; a floor at 0.3 to 0.6). Where
nearly nothing is relayed or repaired (calm), its share has no floor. Batches are resampled from the
runs that were measured: rarer ones are not in the band, and only the margin of 15 % allows for
them. The bands in the repository are of 600 runs each; scenarios of a single special case have
none.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from lab.campaign.explore import Options, explore
from lab.campaign.replay_token import config_of
from lab.checkers import Band, calibrate
from lab.checkers.lag_band import RUNS_MIN
from lab.plan.random_streams import stream
from lab.plan.scenario import Scenario

FILE = Path(__file__).parent / "bands.json"
FIRST_SEED = 1 << 48
RUNS = 3000
DRAWN = 20_000  # batches


class Kept(Struct, frozen=True):
    config: str  # of the scenario
    band: Band


def bands(path: Path = FILE) -> dict[str, Band]:
    """The bands, by the hash of the scenario for which each was measured."""
    return {kept.config: kept.band for kept in _read(path).values()}


def measure(scenario: Scenario, jobs: int, runs: int = RUNS) -> Band:
    samples = explore(Options((scenario,), FIRST_SEED, runs, jobs)).samples[scenario.name]
    rng = stream(FIRST_SEED, "batches")
    band = calibrate([rng.choices(samples, k=RUNS_MIN) for _ in range(DRAWN)])
    assert band is not None, "nothing was shown anywhere"
    return band


def store(scenario: Scenario, band: Band, path: Path = FILE) -> None:
    kept = _read(path)
    kept[scenario.name] = Kept(config_of(scenario), band)
    text = msgspec.json.format(msgspec.json.encode(dict(sorted(kept.items()))), indent=1)
    path.write_bytes(text + b"\n")


def _read(path: Path) -> dict[str, Kept]:
    if not path.is_file():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Kept])
