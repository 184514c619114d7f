"""Packets to bytes and back: MessagePack by position, one packet a frame.

Rules: version and cluster are checked before the body is believed; every size is bounded; whatever
the bytes are, `decode` returns a Packet or raises WireError and nothing else; `encode` too raises
nothing else, and only for a packet that is too large. A recorded packet
encodes to the same bytes again, so that a trace can be replayed byte for byte.
"""

from hashlib import blake2b

import msgspec

from domain.arrival import TAG_BYTES
from domain.seqset import SEQ_MAX
from gossip.packets import (
    PROTOCOL_VERSION,
    WITH_RUNS,
    Ack,
    EpochFold,
    Line,
    Packet,
    Run,
    Same,
    Syn,
    SynAck,
    Unfold,
)

PACKET_BYTES_MAX = 1024 * 1024

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Packet)


class WireError(ValueError):
    """These bytes are not a packet that this node accepts. `reason` is a counter's name."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def cluster_hash(name: str, cluster_id: str = "") -> int:
    """What packets say of their cluster: the first 32 bits of its id (hex), or, where it has none,
    a hash of its name.
    """
    if cluster_id:
        return int(cluster_id[:8], 16)
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big")


def encode(packet: Packet) -> bytes:
    """Raises WireError if the packet is too large: nobody would take it, so it is not sent."""
    data = _encoder.encode(packet)
    if len(data) > PACKET_BYTES_MAX:
        kind = type(packet.body).__name__
        raise WireError(
            "oversize", f"a {kind} of {len(data)} bytes; the limit is {PACKET_BYTES_MAX}"
        )
    return data


def decode(data: bytes) -> Packet:
    """Raises WireError."""
    if len(data) > PACKET_BYTES_MAX:
        raise WireError("oversize", f"packet of {len(data)} bytes; the limit is {PACKET_BYTES_MAX}")
    # MessagePack of a short array whose first element, the version, fits in seven bits.
    if len(data) > 1 and data[0] >> 4 == 0x9 and data[1] < 0x80 and data[1] != PROTOCOL_VERSION:
        raise _other_version(data[1])
    try:
        packet = _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WireError("malformed", f"not a packet: {error}") from None
    if packet.version != PROTOCOL_VERSION:  # it was written in more bytes
        raise _other_version(packet.version)
    _check(packet)
    return packet


def _other_version(version: int) -> WireError:
    return WireError(
        "version", f"packet of protocol version {version}; this node speaks {PROTOCOL_VERSION}"
    )


def _check(packet: Packet) -> None:
    """What types alone cannot say."""
    body = packet.body
    if type(body) is Same:  # many are
        return
    if isinstance(body, (Syn, SynAck, Ack, Unfold)):
        for line in body.lines or ():
            _check_line(line)
        if body.folds:
            _check_folds(body.folds)
    if isinstance(body, WITH_RUNS):
        for run in body.runs:
            _check_run(run)


def _check_line(line: Line) -> None:
    after = line.prefix + 1
    for first, last in line.ranges:
        if not after < first <= last:
            raise WireError("malformed", f"ranges of {line.origin} overlap or are out of order")
        after = last + 1
    sizes_fit = (
        len(line.head) == (TAG_BYTES if line.prefix else 0) and not len(line.tags) % TAG_BYTES
    )
    if not sizes_fit or (line.above and len(line.above) != TAG_BYTES):
        raise WireError("malformed", f"tags of {line.origin} have a wrong size")


def _check_folds(folds: list[EpochFold]) -> None:
    """In order and apart, so that comparing them costs one walk over what is held."""
    origin, last = "", 0
    for fold in folds:
        after = last if fold.origin == origin else 0
        if fold.origin < origin or not after < fold.first <= fold.last:
            raise WireError("malformed", f"folds of {fold.origin} overlap or are out of order")
        origin, last = fold.origin, fold.last


def _check_run(run: Run) -> None:
    if run.first + len(run.data) > SEQ_MAX + 1:
        raise WireError("malformed", f"run of {run.origin} leaves the sequence space")
