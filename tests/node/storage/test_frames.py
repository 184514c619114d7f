"""A frame vouches for itself: whatever is damaged, nothing wrong is read and nothing whole lost."""

from itertools import pairwise

import pytest
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st

from node.storage import frames
from node.storage.frames import HEADER_BYTES, MAGIC, Damage, Frame, FrameTooNew

payloads = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6)


def file_of(payloads: list[bytes]) -> bytes:
    out, crc = b"", 0
    for number, payload in enumerate(payloads, 1):
        frame, crc = frames.encode(
            payload, type=frames.BLOCK, offset=len(out), previous=crc, number=number, count=1
        )
        out += frame
    return out


def read(data: bytes) -> list[bytes]:
    return [frames.payload_of(data, f) for f in frames.scan(data) if type(f) is Frame]


def found(data: bytes) -> list[Frame | Damage]:
    return list(frames.scan(data))


def test_the_header_is_laid_out_as_documented() -> None:
    frame, crc = frames.encode(
        b"payload", type=frames.BLOCK, offset=0x01020304, previous=5, number=6, count=7, flags=1
    )
    assert crc == crc32c(b"payload") == 0xF4E36970
    assert frame == bytes.fromhex(
        "f76c6162 01020100 07000000 07000000 04030201 05000000 06000000 00000000 "
        "7069e3f4 083c50cb 7061796c 6f6164"
    )
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


@given(payloads)
def test_what_was_framed_is_read_back(payloads: list[bytes]) -> None:
    data = file_of(payloads)
    assert read(data) == payloads
    whole = [item for item in found(data) if type(item) is Frame]
    assert [frame.number for frame in whole] == list(range(1, len(payloads) + 1))
    assert all(after.previous == before.crc for before, after in pairwise(whole))


@given(payloads, st.data())
def test_a_cut_leaves_exactly_the_whole_frames(payloads: list[bytes], data: st.DataObject) -> None:
    whole = file_of(payloads)
    cut = data.draw(st.integers(0, len(whole)))
    expected: list[bytes] = []
    at = 0
    for payload in payloads:
        at += HEADER_BYTES + len(payload)
        if at <= cut:
            expected.append(payload)
    assert read(whole[:cut]) == expected


def test_a_flip_of_any_bit_costs_one_frame_and_no_other() -> None:
    payloads = [b"first one", b"second", b"third"]
    whole = file_of(payloads)
    starts = [0, 49, 95]
    for at in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            hit = max(i for i, start in enumerate(starts) if start <= at)
            expected = [p for i, p in enumerate(payloads) if i != hit]
            try:
                assert read(bytes(damaged)) == expected, (at, bit)
            except FrameTooNew:
                pytest.fail(f"a flip at byte {at} passed for a newer version")


@given(payloads, st.binary(max_size=60))
def test_garbage_between_frames_is_told_as_damage(payloads: list[bytes], garbage: bytes) -> None:
    before = file_of(payloads)
    data = before + garbage
    frame, _ = frames.encode(b"last", type=2, offset=len(data), previous=0, number=9)
    assert read(data + frame)[-1] == b"last"
    damage = [item for item in found(data + frame) if type(item) is Damage]
    assert sum(item.end - item.offset for item in damage) == len(garbage)


def test_zeros_are_never_a_frame() -> None:
    (damage,) = found(bytes(4096))
    assert type(damage) is Damage
    assert (damage.offset, damage.end, damage.moved) == (0, 4096, False)


def test_a_payload_of_length_0_is_invalid() -> None:
    with pytest.raises(AssertionError):
        frames.encode(b"", type=2, offset=0, previous=0, number=1)
    head = frames._LAYOUT.pack(MAGIC, 1, 2, 0, 0, 0, 0, 0, 1, 0)
    data = head + frames._CRC.pack(crc32c(head))
    (damage,) = found(data)
    assert type(damage) is Damage
    assert "payload length 0" in damage.cause


def test_a_frame_that_was_moved_is_not_read_and_is_noticed() -> None:
    inner = file_of([b"planted"])
    (damage,) = found(b"xxx" + inner)
    assert type(damage) is Damage
    assert damage.moved


def test_a_frame_inside_a_payload_is_never_read() -> None:
    outer = file_of([file_of([b"planted"])])
    assert read(outer) == [file_of([b"planted"])]
    damaged = b"?" + outer[1:]
    assert read(damaged) == []


def test_a_newer_frame_version_is_refused() -> None:
    data = bytearray(file_of([b"x"]))
    data[4] = 2
    head = bytes(data[:36])
    data[36:40] = frames._CRC.pack(crc32c(head))
    with pytest.raises(FrameTooNew, match="frame version 2"):
        read(bytes(data))


def test_the_cause_names_expected_and_actual_crc() -> None:
    data = bytearray(file_of([b"x"]))
    data[-1] ^= 1
    (damage,) = found(bytes(data))
    assert type(damage) is Damage
    assert "payload CRC expected" in damage.cause
    assert "actual" in damage.cause
