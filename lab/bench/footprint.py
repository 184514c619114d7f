"""What a history costs where it lies: memory, disk, and a person who wants to see its end.

Memory and disk are read while the histories are made, by one client (see `lab.bench.session`).
"""

from pathlib import Path

from lab.bench.cluster import COMMAND, command_ms, interpreter_ms
from lab.bench.figures import Bare, Figure, figure
from lab.bench.load import TEXT_BYTES
from lab.bench.session import Session

SHOWN = 50


def run(session: Session) -> list[Figure]:
    scale = session.scale
    histories = [session.history(n) for n in (scale.small, scale.middle, scale.large)]
    large = histories[-1]
    folder = Path(large.cluster.place.file).parent
    text = [TEXT_BYTES * 1.0]
    command = [*COMMAND, "timeline", "n1", "--last", str(SHOWN)]
    took_ms = [command_ms(command, folder) for _ in range(scale.repeats)]
    return [
        figure("footprint", "idle node", "MiB", [one.idle_mib for one in histories], goal=36),
        figure(
            "footprint",
            f"memory of {scale.large:,} messages",
            "MiB",
            [large.resident[-1][1] - large.idle_mib],
            goal=80,
            curve=large.resident,
            x_name="messages",
        ),
        figure(
            "footprint",
            f"disk, of a message of {TEXT_BYTES} B",
            "B",
            [one.disk_bytes / made for one, made in zip(histories, _made(session), strict=True)],
            goal=220,
            bare=Bare("the text", tuple(text)),
        ),
        figure(
            "footprint",
            f"timeline --last {SHOWN} of {scale.large:,}",
            "ms",
            took_ms,
            goal=250,
            bare=Bare("bare interpreter", tuple(interpreter_ms(scale.repeats))),
        ),
    ]


def _made(session: Session) -> tuple[int, int, int]:
    return session.scale.small, session.scale.middle, session.scale.large
