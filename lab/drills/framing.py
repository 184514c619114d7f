"""Drill of `node.storage.frames`: the frames of a segment file, with header and checksums.

The model is the list of frames, with headers packed by `struct` in this file. The drill encodes
some frames and scans them back, then damages the bytes: cut at a random place, one bit flipped, a
frame moved, a header with a valid checksum and impossible values. Each damage must cost exactly
the frames it touches. Left out: what a payload means (see `blocks`).
"""

import struct
from random import Random

from google_crc32c import value as crc32c

from lab.drills.beside import Difference, holds, refused, same
from node.storage.frames import (
    BLOCK,
    CHECKPOINT,
    COUNT_MAX,
    FRAME_VERSION,
    HEADER_BYTES,
    MAGIC,
    NUMBER_MAX,
    PAYLOAD_BYTES_MAX,
    SEGMENT_HEADER,
    Damage,
    Frame,
    FrameTooNew,
    encode,
    parse,
    payload_of,
    scan,
)


def framing(rng: Random) -> None:
    whole, frames, payloads = _made(rng)
    same("scanned", list(scan(whole)), frames)
    for frame, payload in zip(frames, payloads, strict=True):
        same("parsed", parse(whole, frame.offset), frame)
        same("payload", payload_of(whole, frame), payload)
        base = frame.offset
        same("parsed apart", parse(whole[base:], 0, base), frame)
        same("payload apart", payload_of(whole[base:], frame, base), payload)
    _cut(rng, whole, frames)
    _flipped(rng, whole, frames)
    _moved(rng, whole, frames)
    _strange(rng, whole)


def _made(rng: Random) -> tuple[bytes, list[Frame], list[bytes]]:
    data, frames, payloads, previous = b"", list[Frame](), list[bytes](), 0
    for _ in range(rng.randint(2, 5)):
        payload = rng.choice((b"x", rng.randbytes(30), b"ab" + MAGIC + b"cd" * 20))
        kind, flags = rng.randint(SEGMENT_HEADER, CHECKPOINT), rng.randrange(2)
        number, count = rng.choice((0, 5, NUMBER_MAX - COUNT_MAX)), rng.choice((0, 1, COUNT_MAX))
        crc = int(crc32c(payload))
        head = struct.pack(
            "<4sBBHIIIIQI", MAGIC, FRAME_VERSION, kind, flags, len(payload), count, len(data),
            previous, number, crc,
        )  # fmt: skip
        wanted = head + struct.pack("<I", crc32c(head)) + payload
        made = encode(
            payload, type=kind, offset=len(data), previous=previous, number=number, count=count,
            flags=flags,
        )  # fmt: skip
        same("encoded", made, (wanted, crc))
        end = len(data) + len(wanted)
        frames.append(
            Frame(
                offset=len(data),
                end=end,
                type=kind,
                flags=flags,
                count=count,
                previous=previous,
                number=number,
                crc=crc,
            )
        )
        payloads.append(payload)
        data, previous = data + wanted, crc
    return data, frames, payloads


def _cut(rng: Random, whole: bytes, frames: list[Frame]) -> None:
    """A torn end: the whole frames before it are read, the rest is one damage."""
    at = rng.randrange(1, len(whole))
    before = [one for one in frames if one.end <= at]
    start = before[-1].end if before else 0
    found = list(scan(whole[:at]))
    same("before a cut", [one for one in found if type(one) is Frame], before)
    left = [(one.offset, one.end, one.moved) for one in found if type(one) is Damage]
    same("after a cut", left, [(start, at, False)] if start < at else [])


def _flipped(rng: Random, whole: bytes, frames: list[Frame]) -> None:
    """A flipped bit damages its own frame and no other."""
    hit = rng.randrange(len(frames))
    frame = frames[hit]
    at = rng.randrange(frame.offset, frame.end)
    data = bytearray(whole)
    data[at] ^= 1 << rng.randrange(8)
    found = list(scan(bytes(data)))
    wanted = frames[:hit] + frames[hit + 1 :]
    same("beside a flipped bit", [one for one in found if type(one) is Frame], wanted)
    damaged = [(one.offset, one.end) for one in found if type(one) is Damage]
    same("damaged", damaged, [(frame.offset, frame.end)])
    reason = parse(bytes(data), frame.offset)
    if type(reason) is not str:
        raise Difference(f"a flipped bit at {at} is not seen")
    in_magic, in_payload = at < frame.offset + 4, at >= frame.offset + HEADER_BYTES
    part = "no frame" if in_magic else "payload CRC" if in_payload else "header CRC"
    holds(f"{part} in {reason!r}", part in reason)


def _moved(rng: Random, whole: bytes, frames: list[Frame]) -> None:
    """A frame at another offset than its header says is not read, but is found whole."""
    first = rng.choice(frames)
    piece = whole[first.offset : first.end]
    shift = rng.randint(1, 9)
    found = list(scan(whole + bytes(shift) + piece))
    tail = found[len(frames) :]
    same("before what was moved", found[: len(frames)], frames)
    ends = [(one.offset, one.end, getattr(one, "moved", None)) for one in tail]
    same("moved", ends, [(len(whole), len(whole) + shift + len(piece), True)])


def _strange(rng: Random, whole: bytes) -> None:
    """Headers with a valid checksum and impossible values."""
    at = len(whole)
    same("too short", type(parse(whole + b"\xf7", at)), str)
    for length, number, version in (
        (0, 1, FRAME_VERSION),
        (PAYLOAD_BYTES_MAX + 1, 1, FRAME_VERSION),
        (4, NUMBER_MAX - COUNT_MAX + 1, FRAME_VERSION),
        (9, 1, FRAME_VERSION),
    ):
        header = _header(version, length, at, number)
        same(f"length {length}, number {number}", type(parse(whole + header + b"abcd", at)), str)
    newer = whole + _header(FRAME_VERSION + 1, 4, at, 1) + b"abcd"
    refused("a later version", FrameTooNew, lambda: parse(newer, at))
    elsewhere = whole + _header(FRAME_VERSION + 1, 4, at + rng.randint(1, 5), 1) + b"abcd"
    same("a later version elsewhere", type(parse(elsewhere, at)), str)


def _header(version: int, length: int, offset: int, number: int) -> bytes:
    crc = crc32c(b"abcd")
    head = struct.pack("<4sBBHIIIIQI", MAGIC, version, BLOCK, 0, length, 0, offset, 0, number, crc)
    return head + struct.pack("<I", crc32c(head))
