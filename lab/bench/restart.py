"""Measures how long a killed node takes until it can be read again, in seconds.

The node is killed with `kill -9`. The time runs from the command to start it until its timeline
ends with the message that was the last one before. The same is measured with all checkpoints
removed, so that the node must read the whole journal; without any checkpoints both are the same
runs. The bare baseline reads the files of the journal once.
"""

import time

from lab.bench import baselines
from lab.bench.cluster import checkpoints, journal_files, kill, resident_mib
from lab.bench.figures import Bare, Figure, figure
from lab.bench.session import History, Session
from lab.client.client import Client
from lab.terminal.errors import Problem
from node.control.messages import ReadTimeline, TimelineItem, TimelinePage

READABLE_S = 120.0
WAIT_S = 0.005


def run(session: Session) -> list[Figure]:
    scale = session.scale
    found: list[Figure] = []
    for count, goal in ((scale.middle, 0.3), (scale.large, 0.6)):
        history = session.history(count)
        history.cluster.stop(["n2"])
        repeats = scale.repeats_large if count == scale.large else scale.repeats
        took = [_restart_s(history, forget=False) for _ in range(repeats)]
        with_checkpoint = bool(checkpoints(history.cluster, "n1"))
        resident = resident_mib(history.cluster, "n1")
        files = journal_files(history.cluster, "n1")
        read = [baselines.read_s(files) for _ in range(repeats)]
        again = took
        if with_checkpoint:
            again = [_restart_s(history, forget=True) for _ in range(repeats)]
        bare, name = "reading the journal once", f"{count:,} messages"
        million = 1e6 / history.count
        found += [
            figure(
                name,
                "s",
                took,
                at_most=goal,
                bare=Bare(bare, tuple(read)),
                note="" if with_checkpoint else "there is no checkpoint",
            ),
            figure(
                f"{name}, without checkpoint, a million",
                "s",
                [seconds * million for seconds in again],
                at_most=1.5,
                bare=Bare(bare, tuple(seconds * million for seconds in read)),
                note="" if count == scale.large else "with the start of the process",
            ),
            figure(f"{name}, resident afterwards", "MiB", [resident]),
        ]
    return found


def _restart_s(history: History, *, forget: bool) -> float:
    with history.client() as client:
        last = _last(client)
    assert last is not None
    kill(history.cluster, "n1")
    for path in checkpoints(history.cluster, "n1") if forget else ():
        path.unlink()
    began = time.monotonic()
    history.cluster.up(["n1"])
    with history.client() as client:
        while (seen := _last(client)) is None or seen.event.dot != last.event.dot:
            if time.monotonic() - began > READABLE_S:
                raise Problem(f"the last of {history.count} messages does not come back")
            client.replies(WAIT_S)  # nothing comes: this waits
        return time.monotonic() - began


def _last(client: Client) -> TimelineItem | None:
    request = ReadTimeline(client.new_id(), last=1)
    page = client.expect(request, TimelinePage, READABLE_S)
    return page.items[-1] if page.items else None
