"""Whatever peers send, of any kind and up to the largest size, all that a node answers and tells
fits into a packet.

The packets here are allowed by the wire and mean no good: names of 128 bytes, as many lines, folds,
tags, runs and receipts as there is room for, forks, positions far ahead.
"""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain.dot import Dot
from gossip.config import GossipConfig
from gossip.entry import GENESIS
from gossip.packets import (
    LINES_MAX,
    Ack,
    Body,
    EpochFold,
    Feedback,
    Line,
    Opinion,
    Push,
    Receipt,
    Run,
    Same,
    Stored,
    Syn,
    SynAck,
    Unfold,
)
from gossip.wire import PACKET_BYTES_MAX, WireError
from tests.gossip.builders import chain
from tests.gossip.engines import Flying, Net, run_of, sent_by

LONG = "\U0001f40d" * 31  # 124 bytes of a name; one more character tells them apart
MAX = 2**63 - 1
ROOT = bytes(16)


def name(number: int) -> str:
    return LONG + chr(0x1F400 + number % 4096)


def data_of(origin: str, epoch: int, seq: int, branch: str = "", size: int = 0) -> bytes:
    return (GENESIS + f"{Dot(origin, epoch, seq)}{branch} ".encode()).ljust(size, b".")


class Wicked:
    """Parts of packets that fill a given room, from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)

    def runs(self, room: int) -> list[Run]:
        shape = self.rng.choice(("one", "many", "forks", "scattered", "origins"))
        runs: list[Run] = []
        size = self.rng.choice((0, 0, 300, 60_000))
        while room > 400 + max(size, 200):
            at = len(runs)
            origin, epoch, seq, branch = "n2", 1, at + 1, ""
            if shape == "forks":
                seq, branch = 1 + at % 3, f"b{self.rng.randrange(10**6)}"
            elif shape == "scattered":
                seq = 2 + 2 * self.rng.randrange(10**5)
            elif shape == "origins":
                origin, epoch, seq = name(self.rng.randrange(2100)), 1 + at % 3, 1 + at % 2
            data = data_of(origin, epoch, seq, branch, size)
            room -= len(data) + len(origin.encode()) + 30
            if shape == "one" and runs:
                runs[0].data.append(data)
            else:
                runs.append(Run(origin, epoch, seq, [data]))
            if len(runs) == 16_384 or len(runs[0].data) == 16_384:
                break
        return runs

    def lines(self, room: int) -> list[Line]:
        lines: list[Line] = []
        while room > 6_000 and len(lines) < LINES_MAX:
            origin = self.rng.choice(("n1", "n2", "n3", name(len(lines))))
            ranges = [(at, at) for at in range(10, 10 + 2 * self.rng.choice((0, 1, 250)), 2)]
            tags = self.rng.randbytes(8 * self.rng.choice((0, 0, 1, 100)))
            prefix = self.rng.choice((0, 1, 5))
            head, above = bytes(8 if prefix else 0), bytes(8 if ranges else 0)
            epoch, first = self.rng.choice((1, 2, 3, MAX)), self.rng.choice((1, 2, 3, 900))
            last = self.rng.choice((0, 3, MAX))
            lines.append(Line(origin, epoch, prefix, head, ranges, tags, first, last, above))
            room -= 170 + 10 * len(ranges) + len(tags)
        return lines

    def folds(self, room: int) -> list[EpochFold]:
        epochs = sorted({self.rng.randrange(1, 10**6) for _ in range(min(room // 60, 4096))})
        firsts = [1, *(epoch + 1 for epoch in epochs)][: len(epochs)]
        return [
            EpochFold("n2", a, b, 3, ROOT) for a, b in zip(firsts, epochs, strict=True) if a <= b
        ]

    def stored(self) -> list[Stored]:
        return [Stored(self.rng.choice(("n1", "n2")), 1, 3, bytes(8)) for _ in range(64)]

    def members(self) -> list[Opinion]:
        numbers = (0, 1024, 2**40, MAX)
        return [
            Opinion(self.rng.choice(("n1", "n2", "n3")), at % 3, self.rng.choice(numbers))
            for at in range(256)
        ]

    def body(self, room: int) -> Body:
        half = room // 2
        makers: list[Callable[[], Body]] = [
            lambda: Syn(ROOT, self.budget(), self.lines(half), True, [], self.folds(half)),
            lambda: Syn(ROOT, self.budget(), None, True, self.members()),
            lambda: Same(self.token(), ROOT, self.stored(), self.members()),
            lambda: SynAck(
                self.token(), ROOT, self.budget(), self.lines(half), self.runs(half), True,
                self.stored(), self.members(), self.folds(1000),
            ),
            lambda: Ack(
                self.token(), self.runs(half), True, self.lines(half), self.budget(), []
            ),
            lambda: Push(self.runs(room), direct=self.rng.random() < 0.3, receipt=True),
            lambda: Feedback(self.token(), [self.rng.random() < 0.5] * 16_384),
            lambda: Receipt(self.stored()),
            lambda: Unfold(
                self.token(), self.runs(half), True, self.lines(half), self.folds(1000),
                self.budget(), self.rng.randrange(17),
            ),
        ]  # fmt: skip
        return self.rng.choice(makers)()

    def budget(self) -> int:
        return self.rng.choice((0, 1, 1000, 256 * 1024, MAX))

    def token(self) -> int:
        return self.rng.choice((256 * self.rng.randrange(30) + 1, MAX))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    delta_bytes_max=st.sampled_from((144 * 1024, 256 * 1024, 960 * 1024)),
    direct=st.booleans(),
    rooms=st.lists(st.sampled_from((0, 8_000, 200_000, 900_000)), min_size=1, max_size=8),
)
@example(33219830, 147456, False, [0, 0, 0, 200_000, 0, 0, 900_000])  # an empty window of tags
def test_all_that_is_sent_fits_into_a_packet(
    seed: int, delta_bytes_max: int, direct: bool, rooms: list[int]
) -> None:
    config = GossipConfig(delta_bytes_max=delta_bytes_max, direct_peers_max=32 if direct else 0)
    net, wicked = Net("n1", "n2", "n3", config=config), Wicked(seed)
    for number, room in enumerate(rooms, 1):
        data = sent_by("n2", wicked.body(room), number)
        net.arrive(Flying("n2", "n1", data))  # encodes all that it sends, or raises WireError
        net.tick(50, "n1")
        net.call("n1", "n3")
        net.emit("n1", 1, size=wicked.rng.choice((0, 60_000)))
        net.flying.clear()


def test_a_push_of_the_largest_size_is_told_on_in_parts() -> None:
    net = Net("n1", "n2", "n3", config=GossipConfig(direct_peers_max=0))
    room = PACKET_BYTES_MAX - len(
        sent_by("n2", Push([run_of(*chain("n2", 17, size=60_000))], False))
    )
    entries = chain("n2", 16, size=60_000)
    entries += chain("n2", 1, after=entries[-1], size=60_000 + room - 2)  # its header grows
    data = sent_by("n2", Push([run_of(*entries)], False))
    assert len(data) == PACKET_BYTES_MAX
    net.arrive(Flying("n2", "n1", data))
    told: set[int] = set()
    for _ in range(10):
        net.tick(50, "n1")
        for one in net.flying:
            assert len(one.data) <= PACKET_BYTES_MAX
            if isinstance(one.packet.body, Push):
                told |= {
                    run.first + at for run in one.packet.body.runs for at in range(len(run.data))
                }
        net.flying.clear()
    assert told == set(range(1, 18))


def test_what_is_too_large_is_not_encoded() -> None:
    body = Push([Run("n1", 1, 1, [bytes(PACKET_BYTES_MAX)])], direct=True)
    with pytest.raises(WireError, match="a Push of 1048") as caught:
        sent_by("n1", body)
    assert caught.value.reason == "oversize"
