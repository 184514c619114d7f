"""Measures what a stored history costs: memory, disk, and the time to print its last messages.

Source: memory and disk use are read while one client fills the histories (`lab.bench.session`).
"""

from pathlib import Path

from lab.bench.cluster import COMMAND, command_ms, interpreter_ms
from lab.bench.figures import Bare, Figure, figure
from lab.bench.load import TEXT_BYTES
from lab.bench.session import Session

SHOWN = 50


def run(session: Session) -> list[Figure]:
    scale = session.scale
    counts = (scale.small, scale.middle, scale.large)
    histories = [session.history(count) for count in counts]
    large = histories[-1]
    stored = [one.disk_bytes / count for one, count in zip(histories, counts, strict=True)]
    command = [*COMMAND, "timeline", "n1", "--last", str(SHOWN)]
    folder = Path(large.cluster.place.file).parent
    took_ms = [command_ms(command, folder) for _ in range(scale.repeats)]
    text = Bare("the text", (TEXT_BYTES * 1.0,))
    bare = Bare("bare interpreter", tuple(interpreter_ms(scale.repeats)))
    return [
        figure("idle node", "MiB", [one.idle_mib for one in histories], at_most=36),
        figure(
            f"memory of {scale.large:,} messages",
            "MiB",
            [large.resident[-1][1] - large.idle_mib],
            at_most=80,
            curve=large.resident,
            x_name="messages",
        ),
        figure(f"disk, of a message of {TEXT_BYTES} B", "B", stored, at_most=220, bare=text),
        figure(
            f"timeline --last {SHOWN} of {scale.large:,}", "ms", took_ms, at_most=250, bare=bare
        ),
    ]
