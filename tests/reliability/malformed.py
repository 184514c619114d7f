"""Frames that are malformed for certain, of those in `tests.reliability.hostile`, for each door.

So that a flood of them measures what refusing costs, and not what the sound ones among them leave
behind: a damaged frame is often a true one still.
"""

from collections.abc import Iterator
from random import Random

from gossip.wire import decode
from node.control.decoding import Bad, read_frame
from node.control.messages import FRAME_BYTES_MAX
from node.network.compression import expanded
from tests.reliability.hostile import Packets, requests


def malformed_packets(packets: Packets, count: int) -> Iterator[list[bytes]]:
    """The parts of a message each: none is a packet, or there are too many of them."""
    rng, left = packets.rng, count
    while left:
        for data in packets.frames(min(left, 1000), wicked=0):
            if rng.random() < 0.01:
                yield rng.choice(([b""], [data, data], [b"", b"", data]))
            elif is_packet(data):
                continue
            else:
                yield [data]
            left -= 1


def is_packet(data: bytes) -> bool:
    try:
        decode(expanded(data))
    except Exception:
        return False
    return True


def malformed_requests(rng: Random, count: int) -> Iterator[tuple[bytes, int]]:
    """Frames of which no part is a request, and how many parts each has."""
    left = count
    while left:
        for frame in requests(rng, 10_000):
            read = list(read_frame(frame))
            if read and len(frame) <= FRAME_BYTES_MAX and all(type(one) is Bad for one in read):
                yield frame, len(read)
                left -= 1
                if not left:
                    return


def topic(rng: Random) -> bytes:
    """A request of an observer, as ZMTP frames, for anything but everything."""
    body, draw = rng.randbytes(rng.randrange(1, 40)), rng.random()
    if draw < 0.4:
        body = b"\1" + body
    elif draw < 0.6:
        body = b"\0" + body
    elif draw < 0.9:
        body = bytes([rng.randrange(2, 256)]) + body
    else:
        part = b"\x01" + bytes([len(body)]) + body
        return part * rng.randrange(1, 5) + b"\0" + bytes([len(body)]) + body
    return b"\0" + bytes([len(body)]) + body


def no_frame(rng: Random) -> bytes:
    """Where ZMTP expects a frame: one that is above every limit, or noise."""
    body = rng.randbytes(rng.randrange(1, 400))
    if rng.random() < 0.5:
        return b"\x02" + rng.choice((2**20, 2**40, 2**63 - 1)).to_bytes(8, "big") + body
    return body
