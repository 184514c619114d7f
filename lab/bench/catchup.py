"""Measures how fast an empty node catches up, in messages per second, until all is on its disk.

The sender is otherwise idle. The bare baseline sends the same number of bytes, in frames of the
same mean size, from one process to another over loopback TCP; it is given in messages per second
too. Source: the pulls of the session (`lab.bench.session.Pull`).
"""

from lab.bench import baselines
from lab.bench.figures import Bare, Figure, figure
from lab.bench.load import TEXT_BYTES
from lab.bench.session import Pull, Session

CURVE_POINTS_MAX = 100


def run(session: Session) -> list[Figure]:
    scale = session.scale
    found: list[Figure] = []
    for count in (scale.small, scale.middle, scale.large):
        pulls = session.pulls(count)
        raw = Bare("raw ZeroMQ, same bytes and frames", tuple(_raw(pulls[-1]) for _ in range(3)))
        points = pulls[-1].progress
        found.append(
            figure(
                f"{count:,} messages, durable",
                "msg/s",
                _rates(pulls),
                at_least=None if count == scale.small else 200_000,
                bare=raw,
                curve=[(x, y / 1000) for x, y in points[:: len(points) // CURVE_POINTS_MAX + 1]],
                x_name="seconds",
            )
        )
    plain, squeezed = session.pulls(scale.large), session.compressed_pulls()
    name = f"{scale.middle:,} messages, `compress: true`"
    return [
        *found,
        figure("wire bytes / text bytes", "x", _wire(plain), at_most=1.7),
        figure(name, "msg/s", _rates(squeezed)),
        figure("wire bytes / text bytes, compressed", "x", _wire(squeezed), at_most=1.0),
    ]


def _rates(pulls: list[Pull]) -> list[float]:
    return [pull.events / pull.took_s for pull in pulls]


def _wire(pulls: list[Pull]) -> list[float]:
    return [pull.bytes / (pull.count * TEXT_BYTES) for pull in pulls]


def _raw(pull: Pull) -> float:
    frames = max(pull.packets, 1)
    return pull.count / baselines.transfer_s(frames, max(pull.bytes // frames, 1))
