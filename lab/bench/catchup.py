"""How fast an empty node catches up, until everything is on its disk.

The node that has it all is otherwise idle. The bare baseline sends the same bytes in frames of the
same mean size from one process to another over loopback, and is given in messages per second too.
"""

from lab.bench import bare
from lab.bench.figures import Bare, Figure, figure
from lab.bench.load import TEXT_BYTES
from lab.bench.session import Pull, Session


def run(session: Session) -> list[Figure]:
    scale = session.scale
    found: list[Figure] = []
    for count in (scale.small, scale.middle, scale.large):
        pulls = session.pulls(count)
        last = pulls[-1]
        raw = Bare("raw ZeroMQ, same bytes and frames", tuple(_raw(last) for _ in range(3)))
        found.append(
            figure(
                "catchup",
                f"{count:,} messages, durable",
                "msg/s",
                [pull.events / pull.took_s for pull in pulls],
                goal=None if count == scale.small else 200_000,
                at_most=False,
                bare=raw,
                curve=[(x, y / 1000) for x, y in _thinned(last)],
                x_name="seconds",
            )
        )
    squeezed = session.compressed_pulls()
    return [
        *found,
        figure(
            "catchup", "wire bytes / text bytes", "x", _wire(session.pulls(scale.large)), goal=1.7
        ),
        figure(
            "catchup",
            f"{scale.middle:,} messages, `compress: true`",
            "msg/s",
            [pull.events / pull.took_s for pull in squeezed],
        ),
        figure("catchup", "wire bytes / text bytes, compressed", "x", _wire(squeezed), goal=1.0),
    ]


def _wire(pulls: list[Pull]) -> list[float]:
    return [pull.bytes / (pull.count * TEXT_BYTES) for pull in pulls]


def _raw(pull: Pull) -> float:
    frames = max(pull.packets, 1)
    return pull.count / bare.transfer_s(frames, max(pull.bytes // frames, 1))


def _thinned(pull: Pull, most: int = 100) -> list[tuple[float, float]]:
    return list(pull.progress[:: len(pull.progress) // most + 1])
