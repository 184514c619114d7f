"""The application: keys, the timer, and where events come from.

Each tick takes in what the source has, composes the lines of the screen, and hands them to three
widgets, which refresh what has changed. Nothing leaves this process.
"""

from asyncio import get_running_loop
from collections.abc import Sequence
from signal import SIGHUP, SIGINT, SIGTERM
from time import monotonic
from typing import ClassVar, Protocol

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from lab.trace.trace import Event
from lab.view.cluster_view import ClusterView, Poll
from lab.view.history import ViewHistory
from lab.watch.lines_widget import LinesWidget
from lab.watch.look import Look
from lab.watch.screen import FOOT_LINES, HEAD_LINES, PAGES, foot_lines, head_lines, page_lines

FRAME_S = 0.1
FIRST_S = 0.02
STEP_US = 200_000
BIG_STEP_US = 5_000_000
FOR_EVER_US = 10**18


class Source(Protocol):
    """Where entries come from; `drain` returns those since the last call and never waits."""

    def drain(self) -> Sequence[Event | Poll]: ...


class WatchApp(App[Exception]):
    """Mutable. `recorded`: the source has all at once, and Space plays it. Its result is what ended
    the source, if anything did.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = f"""
    #head {{ height: {HEAD_LINES}; }}
    #body {{ height: 1fr; }}
    #foot {{ height: {FOOT_LINES}; }}
    #query {{ height: 1; border: none; padding: 0; background: transparent; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *((str(index + 1), f"page({index})", name) for index, (name, _) in enumerate(PAGES)),
        ("up", "select(-1)", "Node"),
        ("down", "select(1)", "Node"),
        ("left", f"step({-STEP_US})", "Back"),
        ("right", f"step({STEP_US})", "Forward"),
        ("shift+left,less_than_sign", f"step({-BIG_STEP_US})", "Far back"),
        ("shift+right,greater_than_sign", f"step({BIG_STEP_US})", "Far forward"),
        ("home", f"step({-FOR_EVER_US})", "Earliest"),
        ("end", f"step({FOR_EVER_US})", "Now"),
        ("space", "play", "Live"),
        ("pageup", "scroll(1)", "Scroll"),
        ("pagedown", "scroll(-1)", "Scroll"),
        ("slash", "filter", "Filter"),
        ("enter", "overlay('node')", "Node"),
        ("c", "overlay('commands')", "Commands"),
        ("question_mark,h", "overlay('help')", "Help"),
        ("escape", "close", "Close"),
        ("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", priority=True),  # in the filter as well
    ]

    def __init__(
        self,
        source: Source,
        *,
        frame_s: float = FRAME_S,
        recorded: bool = False,
        colour: bool = True,
        file_option: str = "",
    ) -> None:
        super().__init__(ansi_color=True)
        self.look = Look(file_option)
        if recorded:
            self.look.recorded = self.look.playing = True
            self.look.at_us = 0
        self.history = ViewHistory()
        self._source = source
        self._frame_s = frame_s
        self._played_s = 0.0
        self._past: tuple[int, ClusterView] | None = None  # the last one asked for
        self._head, self._body, self._foot = (
            LinesWidget(name, colour=colour) for name in ("head", "body", "foot")
        )

    def compose(self) -> ComposeResult:
        yield from (self._head, self._body, self._foot)

    def on_mount(self) -> None:
        for number in (SIGINT, SIGTERM, SIGHUP):  # whoever ends it leaves a terminal that works
            get_running_loop().add_signal_handler(number, self.exit)
        self._played_s = monotonic()
        self.set_interval(self._frame_s, self.tick)
        self.call_after_refresh(self.tick)

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    def tick(self) -> None:
        try:
            for entry in self._source.drain():
                self.history.add(entry)
        except Exception as error:
            self.exit(error)
            return
        self._play_on()
        self.draw()
        if not self.history.latest.nodes:  # the first frame that shows something is soon due
            self.set_timer(FIRST_S, self.tick)

    @property
    def view(self) -> ClusterView:
        """The view of the moment that the person looks at."""
        at_us = self.look.at_us
        if at_us is None:
            return self.history.latest
        if self._past is None or self._past[0] != at_us:
            self._past = at_us, self.history.at(at_us)
        return self._past[1]

    def draw(self) -> None:
        view, look = self.view, self.look
        look.select(list(view.nodes), 0)
        width = self.size.width
        self._head.show(head_lines(view, look, width))
        self._body.show(page_lines(view, look, width, self._body.size.height))
        first_us, last_us = self.history.first_us, self.history.latest.t_us
        self._foot.show(foot_lines(view, look, first_us, last_us, width))

    # --- time -----------------------------------------------------------------------------------

    def _play_on(self) -> None:
        now_s = monotonic()
        if self.look.playing and self.look.at_us is not None:
            self._go(self.look.at_us + int((now_s - self._played_s) * 1e6))
        self._played_s = now_s

    def _go(self, at_us: int) -> None:
        """To a moment; at the last one, it is now."""
        ends = at_us >= self.history.latest.t_us
        self.look.at_us = None if ends else max(at_us, self.history.first_us)
        self.look.playing &= not ends

    def action_step(self, by_us: int) -> None:
        self.look.playing = False
        self._go(self.view.t_us + by_us)
        self.draw()

    def action_play(self) -> None:
        look = self.look
        if look.recorded:
            look.playing = not look.playing
            if look.at_us is None:
                self._go(self.history.first_us)
        else:
            look.at_us = None if look.at_us is not None else self.view.t_us
        self.draw()

    # --- pages ----------------------------------------------------------------------------------

    def action_page(self, index: int) -> None:
        self.look.page, self.look.overlay, self.look.scroll = index, "", 0
        self.draw()

    def action_select(self, step: int) -> None:
        self.look.select(list(self.view.nodes), step)
        self.draw()

    def action_scroll(self, pages: int) -> None:
        step = max(1, self._body.size.height - 3)
        self.look.scroll = max(0, self.look.scroll + pages * step)
        self.draw()

    def action_overlay(self, name: str) -> None:
        self.look.overlay = "" if self.look.overlay == name else name
        self.draw()

    def action_close(self) -> None:
        """Close what is open; else take the filter away."""
        if not self.look.overlay:
            self.look.query = ""
            self.query(Input).remove()
        self.look.overlay = ""
        self.draw()

    # --- the filter -----------------------------------------------------------------------------

    def action_filter(self) -> None:
        if not self.query(Input):
            field = Input(self.look.query, placeholder="filter: words, n2, warning", id="query")
            self.mount(field, before=self._foot)
            field.focus()

    def on_input_changed(self, changed: Input.Changed) -> None:
        self.look.query, self.look.scroll = changed.value, 0
        self.draw()

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        submitted.input.remove()
