"""Drills: parts of the core by themselves, each beside a plain model of it, on what a seed draws.

    for part, reason in differences(rng): ...      none, unless a part does what its model does not

A run shows what a part does only as far as its cluster asks for it, and what it does wrong is often
repaired before anybody looks. So each run ends with two drills: random steps, limits and what a
stranger may send, done to the part and to a model. A model keeps everything and works it out anew
each time: no sums, no caches and no fast path. It is written from the part's contract, so where
the two differ one of them is wrong. Checker C21 judges what is found.

A drill takes a millisecond or two, reads no clock, and draws from its generator alone. Whatever
comes out of a part besides what it promises to raise is a difference, too.
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
    """The drills of one run, and what they find, as (drill, reason)."""
    for name in rng.sample(sorted(DRILLS), EACH_RUN):
        reason = drilled(name, Random(rng.getrandbits(64)))
        if reason:
            yield name, reason


def drilled(name: str, rng: Random) -> str:
    """What differs in one drill, in one line; "" if nothing does."""
    try:
        DRILLS[name](rng)
    except Difference as difference:
        return str(difference)
    except Exception as error:
        return " ".join(f"raised {type(error).__name__}: {error}".split())[:300]
    return ""
