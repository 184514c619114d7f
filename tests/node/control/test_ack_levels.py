"""What can be asked of an acknowledgement, and what a node cannot promise."""

from typing import Any

import pytest

from node.control.ack_levels import Ack, AckError, parse_ack
from node.core.ports import AckLevel


@pytest.mark.parametrize(
    ("asked", "durability", "level", "copies"),
    [
        ("", "always", AckLevel.DURABLE, 0),
        ("", "interval", AckLevel.WRITTEN, 0),
        ("", "none", AckLevel.WRITTEN, 0),
        ("written", "always", AckLevel.WRITTEN, 0),
        ("durable", "interval", AckLevel.DURABLE, 0),
        ("replicated:1", "always", AckLevel.REPLICATED, 1),
        ("replicated:4", "interval", AckLevel.REPLICATED, 4),
    ],
)
def test_acks_are_understood(asked: str, durability: Any, level: AckLevel, copies: int) -> None:
    assert parse_ack(asked, durability, 4, 5000) == Ack(level, copies)


@pytest.mark.parametrize(
    ("asked", "durability", "words"),
    [
        ("durable", "none", "never syncs"),
        ("replicated:1", "none", "never syncs"),
        ("replicated:5", "always", "4 peers"),
        ("replicated:0", "always", "between 1 and 4"),
        ("replicated:-1", "always", "unknown"),
        ("replicated:two", "always", "unknown"),
        ("replicated:²", "always", "unknown"),
        ("replicated:", "always", "unknown"),
        ("replicated:9999", "always", "4 peers"),
        ("replicated:00001", "always", "unknown"),  # more digits than any number of peers
        ("replicated:99999999999", "always", "unknown"),
        ("Durable", "always", "unknown"),
        ("x" * 1000, "always", "unknown"),
    ],
)
def test_acks_that_cannot_be_given_say_why(asked: str, durability: Any, words: str) -> None:
    with pytest.raises(AckError, match=words) as caught:
        parse_ack(asked, durability, 4, 5000)
    assert len(str(caught.value)) < 200


def test_a_timeout_has_limits() -> None:
    for timeout_ms in (0, -1, 10**9):
        with pytest.raises(AckError, match="timeout_ms"):
            parse_ack("", "always", 4, timeout_ms)
