"""`chatlab watch` on a screen beside real nodes: what it shows while a partition comes and goes."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from lab.observe.live_source import LiveSource
from lab.trace.file import read_lines
from lab.trace.kinds import Handed
from lab.watch.app import WatchApp
from tests.lab.watch.test_screens import text_of

pytestmark = pytest.mark.cluster
WITHIN_S = 30.0


async def shows(pilot: "Pilot[Any]", pattern: str) -> list[str]:
    """The screen as soon as it shows the pattern."""
    until = time.monotonic() + WITHIN_S
    while True:
        assert isinstance(pilot.app, WatchApp)
        lines = text_of(pilot.app)
        if re.search(pattern, "\n".join(lines)):
            return lines
        assert time.monotonic() < until, "\n".join(lines)
        await pilot.pause(0.05)


def watched(lab: Any, see: "Callable[[Pilot[Any]], Awaitable[None]]") -> None:
    async def scene() -> None:
        with LiveSource(lab.cluster, 0.05) as source:
            app = WatchApp(source, frame_s=0.05)
            async with app.run_test(size=(80, 24)) as pilot:
                await see(pilot)

    asyncio.run(scene())


def test_a_partition_is_seen_to_come_and_to_heal(lab: Any) -> None:
    lab.write()
    lab.up()

    async def see(pilot: "Pilot[Any]") -> None:
        await shows(pilot, "5 of 5 up")
        lab.well("cluster", "partition", "n1,n2", "n3,n4,n5")
        lab.well("send", "n1", "only on the left", "--as", "ana")
        lab.well("send", "n5", "only on the right", "--as", "bo")
        await shows(pilot, r"5 lack up to 1\b")
        await pilot.press("2")
        await shows(pilot, r"ana: only on the left +(first|\+\S+ \S+) .*(╌{7} ?){3} *\n")
        await shows(pilot, r"bo: only on the right +╌{7} ╌{7} ")
        await pilot.press("3")
        await shows(pilot, "# blocked")
        lab.well("cluster", "kill", "n2")
        await pilot.press("1")
        await shows(pilot, r"n2 +down .*killed by SIGKILL")
        app = pilot.app
        assert isinstance(app, WatchApp)
        down_us = app.view.t_us
        lab.well("cluster", "heal")
        lab.well("cluster", "restart", "n2")
        lines = await shows(pilot, "5 of 5 up  2 messages  all up hold the same")
        assert "no fault in effect" in "\n".join(lines)
        await pilot.press("7", "slash", *"n2", "enter")
        lines = await shows(pilot, "node_exited")
        assert all(" n2 " in line for line in lines[3:-2] if line.strip())
        app.look.at_us = down_us
        await pilot.press("escape", "1")
        lines = await shows(pilot, r"BACK \d+")
        assert "killed by SIGKILL" in "\n".join(lines)
        await pilot.press("space")
        await shows(pilot, "LIVE")

    watched(lab, see)


def test_on_a_terminal_it_draws_until_q_and_saves_what_it_saw(lab: Any, tmp_path: Path) -> None:
    lab.write("nodes: [n1, n2]\n")
    lab.up()
    lab.well("send", "n1", "hello", "--ack", "replicated:1")
    file = tmp_path / "seen.jsonl"
    shown, code = on_a_screen(lab, "hello", b"q", "--save", str(file))
    assert code == 0
    assert "2 of 2 up" in shown and "hello" in shown
    assert shown.rstrip().endswith("\x1b[?1004l") and "\x1b[?1049l" in shown, "it leaves the screen"
    with file.open("rb") as lines:
        assert any(isinstance(event.data, Handed) for event in read_lines(lines))
    shown, code = on_a_screen(lab, "hello", b"\x03", "--replay", str(file))
    assert code == 0
    assert "hello" in shown


def test_a_signal_leaves_a_terminal_that_works_and_no_color_is_heard(lab: Any) -> None:
    lab.write("nodes: [n1]\n")
    lab.up()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        shown, code = on_a_screen(lab, "running", number, NO_COLOR="1")
        assert code == 0, number
        assert "\x1b[?1049l" in shown and "Traceback" not in shown
        assert not re.search(r"\x1b\[[\d;]*\b(3[0-8]|4[0-8]|9\d)[;m]", shown)


@pytest.mark.parametrize("options", [("--replay", "x"), ("--save", "x")])
def test_what_needs_a_screen_says_so_in_a_pipe(lab: Any, options: tuple[str, str]) -> None:
    ran = lab.chatlab("watch", *options)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert f"{options[0]} goes with a screen" in ran.err


def on_a_screen(
    lab: Any, until: str, end: bytes | signal.Signals, *arguments: str, **environment: str
) -> tuple[str, int]:
    """What a command sends to a terminal of 80x24, and its exit code. A key or a signal ends it as
    soon as it has sent `until`.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    child = subprocess.Popen(
        lab.command("watch", *arguments), stdin=follower, stdout=follower, stderr=follower,
        cwd=lab.folder, env={**lab.environment, "TERM": "xterm", **environment},
    )  # fmt: skip
    os.close(follower)
    shown, ended = b"", False
    while True:
        try:
            shown += os.read(leader, 65536)
        except OSError:  # it has closed its side
            break
        if not ended and until.encode() in shown:
            ended = True
            if isinstance(end, bytes):
                os.write(leader, end)
            else:
                child.send_signal(end)
    os.close(leader)
    return shown.decode("utf-8", "replace"), child.wait(60)
