"""Decodes a frame of requests: yields each one, or a `Bad` with the reason. Never raises. Pure.

The whole list is decoded at once. Only if that fails are its parts decoded one by one, so that a
bad request costs its own reply and not those of its neighbours.
"""

from collections.abc import Iterator
from typing import final

import msgspec
from msgspec import Struct

from node.control.messages import Request, requests_decoder

FRAME_REQUESTS_MAX = 16_384
REASON_MAX = 300


@final
class Bad(Struct, frozen=True):
    """What a part of a frame was instead of a request. `id` is 0 where it had none."""

    id: int
    reason: str


class _Id(Struct):
    id: int = 0


_parts = msgspec.msgpack.Decoder(list[msgspec.Raw])
_request = msgspec.msgpack.Decoder(Request)
_id = msgspec.msgpack.Decoder(_Id)


def read_frame(frame: bytes) -> Iterator[Request | Bad]:
    try:
        requests = requests_decoder.decode(frame)
    except Exception as error:  # also RecursionError: the frame boundary
        yield from _one_by_one(frame, error)
        return
    if len(requests) > FRAME_REQUESTS_MAX:
        yield Bad(0, f"{len(requests)} requests in a frame: {FRAME_REQUESTS_MAX} are the limit")
        return
    yield from requests


def _one_by_one(frame: bytes, why: Exception) -> Iterator[Request | Bad]:
    try:
        parts = _parts.decode(frame)
    except Exception:
        yield Bad(0, f"not a list of requests: {why}"[:REASON_MAX])
        return
    if len(parts) > FRAME_REQUESTS_MAX:
        yield Bad(0, f"{len(parts)} requests in a frame: {FRAME_REQUESTS_MAX} are the limit")
        return
    for part in parts:
        try:
            yield _request.decode(part)
        except Exception as error:
            yield Bad(_id_of(part), f"not a request: {error}"[:REASON_MAX])


def _id_of(part: msgspec.Raw) -> int:
    try:
        return _id.decode(part).id
    except Exception:
        return 0
