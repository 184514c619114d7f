"""The application of `watch`: playing, ends, what it sends; and every page at any size."""

import asyncio
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lab.cli.main import main
from lab.plan.scenario import named
from lab.sim.world import run
from lab.terminal.display import display_safe, width_of
from lab.terminal.errors import Exit, Problem
from lab.trace.file import write_lines
from lab.view.cluster_view import ClusterView, Poll
from lab.view.history import fold
from lab.watch.app import WatchApp
from lab.watch.lines_widget import LinesWidget
from lab.watch.look import Look
from lab.watch.recorded_source import RecordedSource
from lab.watch.screen import OVERLAYS, PAGES, foot_lines, head_lines, page_lines
from lab.watch.screen_line import Line
from tests.lab.watch.test_screens import NEVER_S, run_of

SIZES = ((0, 0), (1, 1), (9, 3), (40, 10), (80, 24), (160, 50), (500, 200))


def view_of(name: str, t_us: int) -> ClusterView:
    view = ClusterView()
    for entry in run_of(name):
        if entry.t_us <= t_us:
            fold(view, entry)
    return view


def crowd() -> ClusterView:
    """More nodes, and longer names, than a screen has room for."""
    view = view_of("polled", 10**9)
    for number in range(60):
        poll = Poll(t_us=10**9, node=f"a-node-with-a-long-name-{number}", health="read_only")
        view.poll(poll)
    return view


@pytest.mark.parametrize("name", ["partition", "churn", "hostile", "polled", "empty", "crowd"])
def test_every_page_fits_every_size(name: str) -> None:
    view = crowd() if name == "crowd" else view_of(name, 5_400_000)
    names = list(view.nodes)
    for (width, height), page, overlay in product(SIZES, range(len(PAGES)), ("", *OVERLAYS)):
        look = Look()
        look.page, look.overlay, look.scroll = page, overlay, 3
        look.select(names, len(names) - 1)
        lines = page_lines(view, look, width, height)
        assert len(lines) <= height
        lines += head_lines(view, look, width) + foot_lines(view, look, 0, 10**9, width)
        for line in lines if width >= 80 else ():
            text = "".join(piece for piece, _ in line)
            assert width_of(text) <= width, text
            assert display_safe(text) == text, ascii(text)


def test_a_long_command_is_folded_so_that_a_shell_joins_it_again() -> None:
    view = crowd()
    look = Look("-f '/tmp/a folder/cluster.yaml' ")
    look.select(list(view.nodes), 0)
    lines = ["".join(text for text, _ in line) for line in page_of("commands", view, look)]
    text = "\n".join(line[16:].rstrip(" ") for line in lines).replace("\\\n", "")
    others = ",".join(name for name in view.nodes if name != "n1")
    file = "chatlab -f '/tmp/a folder/cluster.yaml'"
    assert f"{file} cluster partition n1 {others}\n" in text
    assert f"{file} cluster kill n1\n" in text
    assert not any("…" in line for line in lines)


def page_of(overlay: str, view: ClusterView, look: Look) -> list[Line]:
    return OVERLAYS[overlay](view, look, 80, 200)


def test_a_recorded_run_plays_in_its_own_time_and_stops_at_its_end() -> None:
    trace = run(named("partition"), seed=3).trace
    last_us = trace.events[-1].t_us

    async def scene() -> None:
        app = WatchApp(RecordedSource(trace), frame_s=0.01, recorded=True)
        async with app.run_test(size=(80, 24)) as pilot:
            while not app.look.at_us:
                await pilot.pause(0.01)
            begun_us = app.look.at_us
            assert begun_us < last_us and app.look.playing
            await pilot.press("space")
            stopped_us = app.look.at_us
            await pilot.pause(0.05)
            assert app.look.at_us == stopped_us and not app.look.playing
            app.look.at_us = last_us - 20_000
            await pilot.press("space")
            while app.look.playing:
                await pilot.pause(0.01)
            assert app.look.at_us is None
            await pilot.press("space")  # again, from the start
            assert app.look.playing and (app.look.at_us or 0) < last_us / 2

    asyncio.run(scene())


def test_only_what_has_changed_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    before = LinesWidget.refresh

    def refresh(self: LinesWidget, *regions: Any, **options: Any) -> LinesWidget:
        drawn.extend(regions or [None])
        return before(self, *regions, **options)

    async def scene() -> None:
        app = WatchApp(RecordedSource(run_of("polled")), frame_s=NEVER_S)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            monkeypatch.setattr(LinesWidget, "refresh", refresh)
            app.draw()
            assert drawn == []
            app.action_select(1)
            assert [(region.y, region.height) for region in drawn] == [(1, 1), (2, 1)]

    asyncio.run(scene())


class _Broken:
    def drain(self) -> Sequence[Any]:
        raise Problem("no more of it", Exit.UNREACHABLE)


def test_what_ends_its_source_ends_it_and_is_handed_on() -> None:
    async def scene() -> Exception | None:
        app = WatchApp(_Broken(), frame_s=NEVER_S)
        async with app.run_test() as pilot:
            await pilot.pause()
        return app.return_value

    assert str(asyncio.run(scene())) == "no more of it"


def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.jsonl"
    file.write_bytes(b"".join(write_lines(run(named("calm"), seed=1).trace)))
    monkeypatch.setattr("lab.cli.watch._has_screen", lambda: True)
    monkeypatch.setattr("lab.cli.watch.find_spec", lambda _: None)
    assert main(["watch", "--replay", str(file)]) == Exit.USAGE
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "chatlab[observe]" in err


def test_a_file_that_is_no_trace_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lab.cli.watch._has_screen", lambda: True)
    file = tmp_path / "no-trace"
    file.write_text("{}\n")
    assert main(["watch", "--replay", str(file)]) == Exit.USAGE
    assert main(["watch", "--replay", str(tmp_path / "absent")]) != Exit.DONE
    assert main(["watch", "--replay", str(file), "--save", "x"]) == Exit.USAGE
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "no-trace: line 1" in lines[0] and "absent" in lines[1] and "--save" in lines[2]
