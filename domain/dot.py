"""A `Dot` is the identity of an event: (origin, epoch, seq). It names one event for ever.

`origin` is the name of the emitting node. `epoch` is the number of one of that node's logs: 63
random bits, never taken from a clock. `seq` counts from 1 without gaps. A dot is never reused:
wherever a node could reuse one (after a restored backup, say), it opens a new epoch instead. The
order of dots has no meaning in time.
"""

from msgspec import Struct

ORIGIN_CHARS_MAX = 32
ORIGIN_FORM = rf"[a-z0-9][a-z0-9-]{{0,{ORIGIN_CHARS_MAX - 1}}}"  # of clients' names, too
EPOCH_MAX = 2**63 - 1


def epoch_hex(epoch: int) -> str:
    """An epoch in lower-case hexadecimal, the only spelling. Output for programs has all digits,
    output for users the first four. A number would be rounded by readers that use floating point,
    which is exact up to 2^53 only.
    """
    return f"{epoch:x}"


class LogId(Struct, frozen=True, order=True, gc=False):
    """One log: everything that one origin emitted in one epoch."""

    origin: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.origin}.{epoch_hex(self.epoch)}"


class Dot(Struct, frozen=True, order=True, gc=False):
    """The identity of one event. Ordered by origin, epoch, seq, which means nothing in time."""

    origin: str
    epoch: int
    seq: int

    @property
    def log(self) -> LogId:
        return LogId(self.origin, self.epoch)

    def __str__(self) -> str:
        return f"{self.origin}.{epoch_hex(self.epoch)}:{self.seq}"
