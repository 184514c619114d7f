"""The telemetry worker: every few seconds one note with the counters, if any of them changed.

An idle node writes none: the traffic of its idle rounds is no news. The same slow timer, and each
turn, measure how late the loop is (ms); a stall is reported at once.
"""

import asyncio
from collections.abc import Callable

from node.core.ports import Fields, Note
from node.sockets.pump import Guard, bare

PERIOD_S = 5.0
STALL_MS = 250.0


class Telemetry:
    """A supervised worker. `news` are the counters whose change is worth a note."""

    name = "telemetry"

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        news: Callable[[], dict[str, int]],
        counters: Callable[[], dict[str, int]],
        on_note: Callable[[Note], None],
        guard: Guard = bare,
        period_s: float = PERIOD_S,
    ) -> None:
        self._loop = loop
        self._news = news
        self._counters = counters
        self._on_note = on_note
        self._guard = guard
        self._period_s = period_s
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._last_news: dict[str, int] = {}
        self.lag_ms_max = 0.0  # since the last note
        self.turn_ms_max = 0.0

    def start(self) -> None:
        self._last_news = self._news()
        self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def turn_took(self, seconds: float) -> None:
        """One turn of the runtime is done."""
        took_ms = seconds * 1000
        if took_ms > self.turn_ms_max:
            self.turn_ms_max = took_ms
            if took_ms >= STALL_MS:
                self._on_note(Note("loop_stalled", "warning", {"turn_ms": round(took_ms)}))

    def _arm(self) -> None:
        self._due_s = self._loop.time() + self._period_s
        self._timer = self._loop.call_at(self._due_s, self._guard(self._tick))

    def _tick(self) -> None:
        self.lag_ms_max = max(self.lag_ms_max, (self._loop.time() - self._due_s) * 1000)
        self._arm()
        news = self._news()
        if news == self._last_news:
            return
        self._last_news = news
        fields: Fields = {
            "counters": self._counters(),
            "loop_lag_ms_max": round(self.lag_ms_max, 1),
            "turn_ms_max": round(self.turn_ms_max, 1),
        }
        self._on_note(Note("telemetry", "debug", fields))
        self.lag_ms_max = self.turn_ms_max = 0.0
