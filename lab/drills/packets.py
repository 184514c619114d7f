"""Drill of `gossip.wire`: encoding and decoding of packets.

The model is the plain form of a packet: nested lists, encoded by msgpack. Random packets of each
kind, with values at their limits, must decode and encode to the same bytes. Then one thing is made
wrong, and `decode` must refuse it with the expected reason. One drill of five tries the size limit
in both directions. Left out: what an engine does with a packet (see `exchanging`).
"""

from random import Random
from typing import Any

import msgspec

from domain.seqset import SEQ_MAX
from gossip.incarnation import NUMBER_MAX
from gossip.packets import PROTOCOL_VERSION
from gossip.wire import PACKET_BYTES_MAX, WireError, decode, encode
from lab.drills.beside import Difference, same

NAMES = ("n1", "a", "z" * 32)
# By the number of its kind: where a packet's body has lines, folds and runs.
LINES, FOLDS, RUNS = {1: 3, 3: 4, 4: 4, 8: 4}, {1: 6, 3: 9, 4: 6, 8: 5}, {3: 5, 4: 2, 5: 1, 8: 2}
NUMBERS = {1: 2, 2: 1, 3: 1, 4: 1, 6: 1, 8: 1}
STEPS = 3


def packets(rng: Random) -> None:
    for _ in range(STEPS):
        plain = _packet(rng)
        data = msgspec.msgpack.encode(plain)
        same("there and back", encode(decode(data)), data)
        for reason, broken in _broken(rng, plain):
            _refused(reason, msgspec.msgpack.encode(broken))
    _refused("malformed", b"\x96\x01")
    _refused("malformed", b"\xff" + rng.randbytes(9))
    if rng.random() < 0.2:
        _sizes(rng)


def _refused(reason: str, data: bytes) -> None:
    try:
        packet = decode(data)
    except WireError as error:
        same("reason", error.reason, reason)
        return
    raise Difference(f"{str(packet)[:200]} is taken, though it is {reason}")


def _sizes(rng: Random) -> None:
    """A packet of the largest size passes in both directions, and no larger one."""
    body = [5, [["n1", 1, 1, [b""]]], True, False]
    plain = [PROTOCOL_VERSION, 1, "n1", 1, 1, body]
    room = PACKET_BYTES_MAX - len(msgspec.msgpack.encode(plain)) - 3
    for more in (0, rng.randint(1, 9)):
        body[1] = [["n1", 1, 1, [bytes(room + more)]]]
        data = msgspec.msgpack.encode(plain)
        same("size", len(data), PACKET_BYTES_MAX + more)
        if more:
            _refused("oversize", data)
            large = msgspec.convert(plain, type(decode(msgspec.msgpack.encode(_small()))))
            try:
                encode(large)
            except WireError as error:
                same("reason", error.reason, "oversize")
            else:
                raise Difference("a packet above the limit is sent")
        else:
            same("the largest", encode(decode(data)), data)


def _small() -> list[Any]:
    return [PROTOCOL_VERSION, 1, "n1", 1, 1, [7, []]]


# --- what is a packet -----------------------------------------------------------------------------


def _packet(rng: Random) -> list[Any]:
    return [
        PROTOCOL_VERSION,
        rng.choice((0, 2**32 - 1)),
        rng.choice(NAMES),
        rng.choice((0, NUMBER_MAX)),
        rng.choice((1, NUMBER_MAX)),
        _body(rng),
    ]


def _body(rng: Random) -> list[Any]:
    root, number = rng.randbytes(16), rng.choice((0, 5, NUMBER_MAX))
    budget, more = rng.choice((0, 65536)), rng.random() < 0.5
    lines, folds, runs = _lines(rng), _folds(rng), _runs(rng)
    stored = [
        ["n2", 1, rng.choice((0, SEQ_MAX)), rng.randbytes(8)] for _ in range(rng.randrange(3))
    ]
    members = [["n3", state, number] for state in range(rng.randrange(4))]
    bodies: tuple[list[Any], ...] = (
        [1, root, budget, rng.choice((None, lines)), more, members, folds, number],
        [2, number, root, stored, members],
        [3, number, root, budget, lines, runs, more, stored, members, folds, number],
        [4, number, runs, more, rng.choice((None, lines)), budget, folds],
        [5, runs, more, not more],
        [6, number, [more, not more]],
        [7, stored],
        [8, number, runs, more, lines, folds, budget, rng.choice((0, 16))],
    )
    return rng.choice(bodies)


def _lines(rng: Random) -> list[Any]:
    lines = []
    for _ in range(rng.randint(1, 3)):
        prefix = rng.choice((0, 4, SEQ_MAX))
        ranges, at = [], prefix
        for _ in range(rng.randrange(3) if prefix < SEQ_MAX else 0):
            first = at + rng.choice((2, 9))
            at = first + rng.choice((0, 3))
            ranges.append([first, at])
        head = rng.randbytes(8) if prefix else b""
        tags = rng.randbytes(8 * rng.randrange(3))
        above = rng.choice((b"", rng.randbytes(8)))
        lines.append([rng.choice(NAMES), 1, prefix, head, ranges, tags, 1, 0, above])
    return lines


def _folds(rng: Random) -> list[Any]:
    """Folds by origin and range of epochs; no two of them overlap."""
    folds = []
    for name in sorted(rng.sample(NAMES, rng.randint(1, 3))):
        at = 0
        for _ in range(rng.randint(1, 2)):
            first = at + rng.choice((1, 5))
            at = first + rng.choice((0, 7))
            folds.append([name, first, at, rng.choice((0, NUMBER_MAX)), rng.randbytes(16)])
    return folds


def _runs(rng: Random) -> list[Any]:
    runs = []
    for _ in range(rng.randint(1, 2)):
        data = [rng.randbytes(9) for _ in range(rng.randint(1, 3))]
        first = rng.choice((1, 50, SEQ_MAX - len(data) + 1))
        runs.append([rng.choice(NAMES), rng.choice((1, SEQ_MAX)), first, data])
    return runs


# --- what is not a packet -------------------------------------------------------------------------


def _broken(rng: Random, plain: list[Any]) -> list[tuple[str, list[Any]]]:
    """The same packet with one thing wrong, in some ways that its kind has room for."""
    kind = plain[5][0]
    ways: list[tuple[str, list[Any]]] = [
        ("version", [PROTOCOL_VERSION + 1, *plain[1:]]),
        ("version", [0, *plain[1:]]),
        ("version", [200, *plain[1:]]),
        ("malformed", [-1, *plain[1:]]),
        ("malformed", [plain[0], 2**32, *plain[2:]]),
        ("malformed", [*plain[:2], "", *plain[3:]]),
        ("malformed", [*plain[:2], "n" * 33, *plain[3:]]),
        ("malformed", [*plain[:4], NUMBER_MAX + 1, plain[5]]),
        ("malformed", [*plain[:5], [9, *plain[5][1:]]]),
        ("malformed", plain[:5]),
    ]
    if kind in NUMBERS:
        ways.append(("malformed", _with(plain, [5, NUMBERS[kind]], NUMBER_MAX + 1)))
        ways.append(("malformed", _with(plain, [5, NUMBERS[kind]], -1)))
    if plain[5][LINES[kind]] if kind in LINES else None:
        ways += [("malformed", _with(plain, [5, LINES[kind], 0], line)) for line in _bad_lines(rng)]
    if kind in FOLDS:
        ways += [("malformed", _with(plain, [5, FOLDS[kind]], folds)) for folds in _bad_folds()]
    if kind in RUNS:
        ways += [("malformed", _with(plain, [5, RUNS[kind], 0], run)) for run in _bad_runs()]
    return rng.sample(ways, 6)


def _bad_lines(rng: Random) -> list[Any]:
    tag = rng.randbytes(8)
    return [
        ["n1", 1, 4, tag, [[5, 6]], b"", 1, 0, b""],  # it touches the prefix
        ["n1", 1, 4, tag, [[8, 7]], b"", 1, 0, b""],
        ["n1", 1, 4, tag, [[8, 9], [10, 12]], b"", 1, 0, b""],  # one range
        ["n1", 1, 4, tag, [[8, 9], [6, 6]], b"", 1, 0, b""],
        ["n1", 1, 4, tag[:7], [], b"", 1, 0, b""],
        ["n1", 1, 4, b"", [], b"", 1, 0, b""],
        ["n1", 1, 0, tag, [], b"", 1, 0, b""],
        ["n1", 1, 4, tag, [], tag + b"x", 1, 0, b""],
        ["n1", 1, 4, tag, [], b"", 1, 0, tag[:5]],
        ["n1", 0, 4, tag, [], b"", 1, 0, b""],
        ["n1", 1, SEQ_MAX + 1, tag, [], b"", 1, 0, b""],
        ["n1", 1, 0, b"", [[0, 3]], b"", 1, 0, b""],
        ["n1", 1, 0, b"", [[2 * at, 2 * at] for at in range(2, 260)], b"", 1, 0, b""],
    ]


def _bad_folds() -> list[Any]:
    root = bytes(16)
    return [
        [["n1", 5, 4, 0, root]],
        [["n1", 1, 4, 0, root], ["n1", 4, 9, 0, root]],  # both speak of 4
        [["n1", 5, 9, 0, root], ["n1", 1, 4, 0, root]],
        [["n2", 1, 4, 0, root], ["n1", 1, 4, 0, root]],
        [["n1", 0, 4, 0, root]],
        [["n1", 1, 4, -1, root]],
        [["n1", 1, 4, 0, root[:15]]],
    ]


def _bad_runs() -> list[Any]:
    return [
        ["n1", 1, SEQ_MAX, [b"a", b"b"]],  # the second is beyond the last number
        ["n1", 1, 0, [b"a"]],
        ["n1", 1, 1, []],
        ["n1", SEQ_MAX + 1, 1, [b"a"]],
        ["", 1, 1, [b"a"]],
    ]


def _with(plain: list[Any], path: list[int], value: Any) -> list[Any]:
    """A copy with `value` at this path."""
    step, *rest = path
    changed = plain[:]
    changed[step] = _with(plain[step], rest, value) if rest else value
    return changed
