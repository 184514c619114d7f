"""The wire units of gossip, as values. `gossip.wire` turns them into bytes and back.

Every packet carries who sent it (name and incarnation) and a number that the sender never uses
twice in one start, so that a trace can tie each receipt to its send. A reply names what it answers
by its token: that number and a part of the start (`gossip.incarnation.token_of`). Every leg of an
exchange is self-contained: lost, repeated, late or reordered packets are harmless.

    caller                              responder
    Syn(root, budget, lines?)  ->
                               <-       Same(root)                roots equal: proved, done
                               <-       SynAck(root, lines, runs) my frontier, and what you lack
    Ack(runs, lines?)          ->                                 what you lack
                               <-       Ack(runs)                 only if the Syn had no lines

Logs of one origin that nobody writes in any more are told in one line, a fold. Where two folds are
not equal, and neither side sees at once what the other lacks, Unfolds go back and forth in place
of the last leg, each with smaller folds and at last with lines.

A caller that expects agreement sends the root alone, which keeps the in-sync exchange under 100
bytes whatever the history; one that expects a difference sends its lines at once, which saves the
last leg.
"""

from typing import Annotated, final

from msgspec import Meta, Struct
from msgspec.structs import replace

from domain.arrival import TAG_BYTES
from domain.dot import EPOCH_MAX, ORIGIN_CHARS_MAX
from domain.seqset import SEQ_MAX
from gossip.incarnation import NUMBER_MAX

PROTOCOL_VERSION = 1
ROOT_BYTES = 16
# Entries of one packet that its receiver opens, and runs that it looks at; so no node sends more.
# The smallest events are so small that a packet could hold 20,000, and each takes 10 to 20
# microseconds to check, hash and record.
ENTRIES_MAX = 2048
LOGS_BEGUN_MAX = 1024  # by one packet: to begin a log takes as long as an entry does
LINES_MAX = (
    8192  # a summary has 4700 at most (`gossip.epoch_folds`); each takes 3 microseconds to compare
)
TAGS_MAX = 8192  # entries of a forked log that one line can name
STORED_PER_PACKET_MAX = 64

# What a decoder accepts. Everything a stranger sends is bounded before it is looked at.
Name = Annotated[str, Meta(min_length=1, max_length=ORIGIN_CHARS_MAX)]
Epoch = Annotated[int, Meta(ge=1, le=EPOCH_MAX)]
Seq = Annotated[int, Meta(ge=1, le=SEQ_MAX)]
Prefix = Annotated[int, Meta(ge=0, le=SEQ_MAX)]
Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Root = Annotated[bytes, Meta(min_length=ROOT_BYTES, max_length=ROOT_BYTES)]
Head = Annotated[bytes, Meta(max_length=TAG_BYTES)]
Tags = Annotated[bytes, Meta(max_length=TAG_BYTES * TAGS_MAX)]
Ranges = Annotated[list[tuple[Seq, Seq]], Meta(max_length=256)]
Opinions = Annotated[list["Opinion"], Meta(max_length=256)]
Lines = Annotated[list["Line"], Meta(max_length=LINES_MAX)]
Folds = Annotated[list["EpochFold"], Meta(max_length=4096)]
Runs = Annotated[list["Run"], Meta(max_length=16_384)]
Storeds = Annotated[list["Stored"], Meta(max_length=STORED_PER_PACKET_MAX)]
Data = Annotated[list[bytes], Meta(min_length=1, max_length=16_384)]


class Run(Struct, frozen=True, array_like=True, gc=False):
    """Consecutive entries of one log: `data[i]` claims the dot (origin, epoch, first + i)."""

    origin: Name
    epoch: Epoch
    first: Seq
    data: Data


class Line(Struct, frozen=True, array_like=True, gc=False):
    """What the sender holds of one log: 1..prefix, and the ranges above it.

    `head` is the tag of the entry at `prefix` (empty at prefix 0): one tag vouches for the whole
    chain behind it. `above` is the sum of the tags above the prefix (empty without ranges), which
    no chain vouches for yet. `tags` is empty, unless the log is known to be forked: then it lists
    the tags of all entries held, because positions alone no longer say which branch is meant. A
    long list goes in parts: `tags` is complete from `tags_first` to `tags_last` (0: to the end).
    So do many ranges: without tags, `ranges` and `above` tell all from `tags_first` to `tags_last`,
    and nothing of what is above the prefix elsewhere.
    """

    origin: Name
    epoch: Epoch
    prefix: Prefix
    head: Head
    ranges: Ranges
    tags: Tags = b""
    tags_first: Seq = 1
    tags_last: Prefix = 0
    above: Head = b""

    @property
    def partial(self) -> bool:
        """It tells some of the ranges, and leaves others to later lines."""
        return not self.tags and (self.tags_first > 1 or self.tags_last > 0)


class EpochFold(Struct, frozen=True, array_like=True, gc=False):
    """What the sender holds of many logs of one origin, in one line: those with epochs
    first..last that have no line of their own in this packet.

    `count` is the number of their entries, `root` is made of these as a root is of all. A count of
    0 says that the lines of this packet are all that there is.
    """

    origin: Name
    first: Epoch
    last: Epoch
    count: Number
    root: Root


class Stored(Struct, frozen=True, array_like=True, gc=False):
    """The sender holds 1..prefix of this log on disk, durably; `head` is the tag at the prefix.

    Without the tag, a word about the log as it was, before an older copy of its origin's disk was
    put back, would be taken for one about what the origin wrote at the same positions since.
    """

    origin: Name
    epoch: Epoch
    prefix: Prefix
    head: Head


class Opinion(Struct, frozen=True, array_like=True, gc=False):
    """What the sender believes of a third node: SWIM's (state, incarnation), section 4.2."""

    name: Name
    state: Annotated[int, Meta(ge=0, le=2)]  # 0 alive, 1 suspect, 2 dead
    incarnation: Number


@final
class Syn(Struct, frozen=True, array_like=True, tag=1, gc=False):
    root: Root
    budget: Number  # bytes of delta the caller wants at most
    lines: Lines | None = None  # None: not said, as against []: I hold nothing
    receipt: bool = False  # the caller waits to hear how much of its own logs is durable there
    members: Opinions = []
    folds: Folds = []  # without lines: none
    writes: Number = 0  # with lines: the epoch in which the caller writes now; 0: none


@final
class Same(Struct, frozen=True, array_like=True, tag=2, gc=False):
    """`re` is the token of the Syn. Both sides have now named the same root."""

    re: Number
    root: Root
    stored: Storeds = []
    members: Opinions = []


@final
class SynAck(Struct, frozen=True, array_like=True, tag=3, gc=False):
    re: Number
    root: Root
    budget: Number
    lines: Lines
    runs: Runs
    more: bool  # the budget cut the delta: call again
    stored: Storeds = []
    members: Opinions = []
    folds: Folds = []
    writes: Number = 0  # the epoch in which the sender writes now; 0: none


@final
class Ack(Struct, frozen=True, array_like=True, tag=4, gc=False):
    re: Number  # of the Syn that began the exchange
    runs: Runs
    more: bool
    lines: Lines | None = None
    budget: Number = 0
    folds: Folds = []


@final
class Push(Struct, frozen=True, array_like=True, tag=5, gc=False):
    """A rumor: new entries, pushed. `direct`: the origin sent it to all, nobody forwards it.

    `receipt` asks the receiver to tell the origin once the entries are durable.
    """

    runs: Runs
    direct: bool
    receipt: bool = False


@final
class Feedback(Struct, frozen=True, array_like=True, tag=6, gc=False):
    """To a Push that was not direct: did it bring anything new? (Demers 1987, section 1.4)"""

    re: Number  # of the Push
    useful: Annotated[list[bool], Meta(max_length=16_384)]  # one per run


@final
class Receipt(Struct, frozen=True, array_like=True, tag=7, gc=False):
    stored: Storeds


@final
class Unfold(Struct, frozen=True, array_like=True, tag=8, gc=False):
    """To folds that are not equal: what the sender holds there, in smaller folds and in lines.

    It speaks of the epochs of its folds and of nothing else. `legs` is how many more may answer
    each other like this; an Ack ends it.
    """

    re: Number  # of the Syn that began the exchange
    runs: Runs
    more: bool
    lines: Lines
    folds: Folds
    budget: Number
    legs: Annotated[int, Meta(ge=0, le=16)]


Body = Syn | Same | SynAck | Ack | Push | Feedback | Receipt | Unfold
WITH_RUNS = (Push, SynAck, Ack, Unfold)


class Packet(Struct, frozen=True, array_like=True, gc=False):
    version: Annotated[int, Meta(ge=0, le=255)]
    # 32-bit hash of the cluster's name: strangers are told apart at the door.
    cluster: Annotated[int, Meta(ge=0, le=2**32 - 1)]
    sender: Name
    incarnation: Number
    number: Number
    body: Body


def without_runs(packet: Packet) -> Packet:
    """The same packet, as if its entries had not fitted into the budget."""
    body = packet.body
    if isinstance(body, WITH_RUNS):
        return replace(packet, body=replace(body, runs=[]))
    return packet
