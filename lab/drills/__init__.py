"""Drills: compare one part of the core with a plain model of it, on random steps from a seed.

Purpose. A run of the simulator uses a part only as its cluster needs it, and a later packet often
repairs an error before a checker sees it. So each run also drills `EACH_RUN` parts: it gives the
part and its model the same random steps, limit values and malformed input, and compares results.
Checker C21 judges what is found:

    for part, reason in differences(rng): ...   # nothing, unless a part differs from its model

Who may import this room: `lab.sim.world`, and tests. A drill imports `domain`, `gossip`, `node`
and the helpers of this room (`beside`, `chains`, `loops`, `sockets`); it imports no simulator.

Rules:
- A model is written from the contract of the part, not from its code. It keeps everything and
  computes each answer anew: no sums, no caches, no fast path. Where both differ, one is wrong.
- A drill takes all randomness from its generator and reads no clock, so a seed replays it. It may
  write files only below a temporary folder. It opens no socket and starts no thread.
- A drill compares with `same`, `holds` and `refused` of `beside`. These raise `Difference`, a text
  of one line. Any other exception that leaves a drill counts as a difference, too.

To add a drill: write `def NAME(rng: Random) -> None` in `NAME.py`; import it here; put it into
`DRILLS`; add its row to the table in docs/lab.md; and plant a fault that it must find (`PLANTED` in
tests/lab/drills/test_drills.py).
The seed of a run draws from the sorted names, so a new drill changes which ones old seeds draw.

Cost. Most drills take 0.1 to 4 ms of one core; `exchanging` takes about 7 ms. A run pays for two.
"""

from collections.abc import Callable, Iterator
from random import Random

from lab.drills import verdicts
from lab.drills.admitting import admitting
from lab.drills.believing import believing
from lab.drills.beside import Difference
from lab.drills.blocks import blocks
from lab.drills.committing import committing
from lab.drills.configuring import configuring
from lab.drills.controlling import controlling
from lab.drills.deciding import deciding
from lab.drills.directories import directories
from lab.drills.entries import entries
from lab.drills.examining import examining
from lab.drills.exchanging import exchanging
from lab.drills.framing import framing
from lab.drills.holding import holding
from lab.drills.inboxes import inboxes
from lab.drills.journals import journals
from lab.drills.links import links
from lab.drills.living import living
from lab.drills.packets import packets
from lab.drills.passing import passing
from lab.drills.promising import promising
from lab.drills.ranges import ranges
from lab.drills.receipting import receipting
from lab.drills.recording import recording
from lab.drills.sealing import sealing
from lab.drills.sending import sending
from lab.drills.sharing import sharing
from lab.drills.supervising import supervising
from lab.drills.timelines import timelines

Drill = Callable[[Random], None]

DRILLS: dict[str, Drill] = {
    one.__name__: one
    for one in (
        admitting,
        believing,
        blocks,
        committing,
        configuring,
        controlling,
        deciding,
        directories,
        entries,
        examining,
        exchanging,
        framing,
        holding,
        inboxes,
        journals,
        links,
        living,
        packets,
        passing,
        promising,
        ranges,
        receipting,
        recording,
        sealing,
        sending,
        sharing,
        supervising,
        timelines,
        verdicts.verdicts,
    )
}
EACH_RUN = 2


def differences(rng: Random) -> Iterator[tuple[str, str]]:
    """Run the drills of one run; yield (drill, reason) for each difference that they find."""
    for name in rng.sample(sorted(DRILLS), EACH_RUN):
        reason = drilled(name, Random(rng.getrandbits(64)))
        if reason:
            yield name, reason


def drilled(name: str, rng: Random) -> str:
    """Run one drill. Returns the difference that it finds, in one line; "" if none."""
    try:
        DRILLS[name](rng)
    except Difference as difference:
        return str(difference)
    except Exception as error:
        return " ".join(f"raised {type(error).__name__}: {error}".split())[:300]
    return ""
