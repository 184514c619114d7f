"""Translates ack levels: the text in a request to the replica's level, outcomes to replies. Pure.

`written`, `durable` and `replicated:K` are what a client may ask; the empty text asks for what the
node's durability promises. A level that this node cannot reach raises `AckError`, before anything
is submitted.
"""

from typing import Literal, assert_never

from msgspec import Struct

from node.control.messages import Accepted, Failed, Refused, Reply
from node.core.interface import Acked, Denied, Outcome, Unmet
from node.core.ports import AckLevel, Durability

TIMEOUT_MS_MAX = 3_600_000
_REPLICATED = "replicated:"


class AckError(ValueError):
    """A promise that this node cannot give. The text is one clear line."""


class Ack(Struct, frozen=True, gc=False):
    level: AckLevel
    copies: int = 0  # other nodes, for REPLICATED


_WRITTEN, _DURABLE = Ack(AckLevel.WRITTEN), Ack(AckLevel.DURABLE)


def parse_ack(asked: str, durability: Durability, peers: int, timeout_ms: int) -> Ack:
    """Nothing asked: as safe as this node's durability promises. Raises AckError."""
    if not 1 <= timeout_ms <= TIMEOUT_MS_MAX:
        raise AckError(f"timeout_ms is {timeout_ms}: it lies between 1 and {TIMEOUT_MS_MAX}")
    if asked == "":
        return _DURABLE if durability == "always" else _WRITTEN
    if asked == "written":
        return _WRITTEN
    if asked == "durable":
        _refuse_without_sync(asked, durability)
        return _DURABLE
    copies = asked.removeprefix(_REPLICATED)
    if copies == asked or not (copies.isascii() and copies.isdigit() and len(copies) <= 4):
        raise AckError(f"ack {asked[:40]!r} is unknown: use written, durable, or replicated:K")
    if not 1 <= int(copies) <= peers:
        raise AckError(f"ack {asked}: this node has {peers} peers, so K lies between 1 and {peers}")
    _refuse_without_sync(asked, durability)
    return Ack(AckLevel.REPLICATED, int(copies))


def _refuse_without_sync(asked: str, durability: Durability) -> None:
    if durability == "none":
        raise AckError(f"ack {asked}: this node never syncs (durability: none); use written")


def reply_of(request: int, outcome: Outcome) -> Reply:
    if type(outcome) is Acked:
        level = str(outcome.level)
        if outcome.level is AckLevel.REPLICATED:
            level = f"{_REPLICATED}{outcome.copies}"
        rules = list(outcome.rules)
        verdict: Literal["clean", "censored"] = "censored" if rules else "clean"
        return Accepted(
            id=request, dot=outcome.dot, ack=level, verdict=verdict, text=outcome.text, rules=rules
        )
    if type(outcome) is Denied:
        return Refused(request, outcome.by, outcome.reason, list(outcome.rules))
    if type(outcome) is Unmet:
        return Failed(request, outcome.code, outcome.reason, outcome.dot)
    assert_never(outcome)
