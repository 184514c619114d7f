"""What people see of `chatlab watch`, as text: tests/scenarios/watch*.txt, in a simulated terminal.

A command is `RUN[@SECONDS] SIZE KEY...`: a run (below) and its moment, columns x rows, and keys to
press in turn.
Each line of the screen stands behind a bar. Colours are not shown: all must be readable without.
"""

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lab.plan.scenario import named
from lab.sim.world import run
from lab.trace.kinds import Boot, Facts, Handed, Note, Visible
from lab.trace.trace import Event
from lab.view.cluster_view import Link, Poll, Queue, Worker
from lab.watch.app import WatchApp
from lab.watch.recorded_source import RecordedSource
from tests.transcripts import check_transcript, transcripts

NEVER_S = 1000.0
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07 escape",
    "[red]markup[/red] [@click=app.quit]link[/]",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd",
    "wide \u4f60\u597d \U0001f469\u200d\U0001f467 \uff21",
    "zalgo e" + "\u0301" * 40,
    "line\nbreak\ttab\u2028end",
    "long " + "x" * 3000,
)


def _facts(author: str, text: str) -> Facts:
    return Facts("posted", author, (), 1_700_000_000_000, 0, text)


def hostile() -> list[Event]:
    """Texts, an author and log lines that try to be more than text."""
    events = [
        Event(0, 0, "n1", 1, Boot("new", (), (), clean=False, must_open_epoch="", log="n1.1"))
    ]
    for number, text in enumerate(HOSTILE, start=1):
        ref = f"n1.1:{number}#00"
        facts = _facts(f"eve{text[:5]}", text)
        t_us = number * 1000
        note = Note(text, "warning", {text[:8]: text})
        for data in (Handed(number, ref, "local", 0, facts), Visible(number, ref, "local"), note):
            events.append(Event(t_us, len(events), "n1", 1, data))
    return events


def polled() -> list[Event | Poll]:
    """A simulated run, and readings as of live nodes, made up: a trace has none."""
    events: list[Event | Poll] = list(run(named("partition"), seed=3).trace)
    last_us = max(one.t_us for one in events)
    for index in range(1, 5):
        links = {
            f"n{peer}": Link(
                state=("alive", "alive", "suspect", "dead", "alive")[peer - 1],
                in_sync=peer % 2 == 1,
                rounds=10 * peer,
                sent_bytes=4000 * peer,
                received_bytes=70_000 * peer,
                dropped=peer - 1,
                fault="loss 30% delay 50ms" if (index, peer) == (1, 5) else "",
            )
            for peer in range(1, 6)
            if peer != index
        }
        workers = {name: Worker("running", 0, 5) for name in ("transport", "control", "feed")}
        workers["journal"] = (
            Worker("backoff", 2, 3) if index == 2 else Worker("running", index % 2, 4)
        )
        queues = {"journal": Queue(30 * index, 128), "feed": Queue(1, 0), "inbox": Queue(999, 1000)}
        events.append(
            Poll(
                t_us=last_us,
                node=f"n{index}",
                health="running",
                root=f"{index % 2}f" * 16,
                restarts=index - 1,
                pid=1000 + index,
                uptime_ms=65_000,
                stable=True,
                workers=workers,
                links=links,
                queues=queues,
                counters={"packets_sent": 12_345, "packets_lost": 0, "turns": 99},
            )
        )
    events.append(Poll(t_us=last_us, node="n5", health="backoff", restarts=3))
    return events


RUNS: dict[str, Callable[[], list[Event] | list[Event | Poll]]] = {
    "partition": lambda: list(run(named("partition"), seed=3).trace),
    "churn": lambda: list(run(named("churn"), seed=3).trace),
    "hostile": hostile,
    "polled": polled,
    "empty": list,
}
LIVE = ("polled", "hostile", "empty")


@cache
def run_of(name: str) -> tuple[Event | Poll, ...]:
    return tuple(RUNS[name]())


def text_of(app: WatchApp) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips(app.size)]


def shown(command: str) -> str:
    name, size, *keys = command.split()
    name, _, moment = name.partition("@")
    columns, rows = map(int, size.split("x"))

    async def screen() -> list[str]:
        app = WatchApp(
            RecordedSource(run_of(name)), frame_s=NEVER_S, recorded=name not in LIVE, colour=False
        )
        async with app.run_test(size=(columns, rows)) as pilot:
            await pilot.pause()
            if moment:
                app.look.playing, app.look.at_us = False, round(float(moment) * 1e6)
                app.draw()
            await pilot.press(*keys)
            await pilot.pause()
            return text_of(app)

    lines = asyncio.run(screen())
    assert len(lines) == rows
    return "\n".join(f"|{line.rstrip()}" for line in lines)


@pytest.mark.parametrize("path", transcripts("watch*.txt"), ids=lambda path: path.stem)
def test_a_screen(path: Path, request: pytest.FixtureRequest) -> None:
    check_transcript(path, lambda: shown, request)
