"""Telemetry: counters in the log where they have changed, and the worst moments since the last."""

from collections.abc import Callable
from typing import Any

from node.core.ports import Note
from node.process.telemetry import STALL_MS, Telemetry

PERIOD_S = 10.0


class Timer:
    def __init__(self, due_s: float, call: Callable[[], None]) -> None:
        self.due_s, self.call, self.cancelled = due_s, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Time that stands still until a timer is due, or later."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_at(self, due_s: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(due_s, call))
        return self.timers[-1]

    def tick(self, late_s: float = 0.0) -> None:
        (timer,) = [one for one in self.timers if not one.cancelled]
        self.timers.clear()
        self.now_s = timer.due_s + late_s
        timer.call()


class Bench:
    def __init__(self) -> None:
        self.loop = Loop()
        self.news = {"events": 1}
        self.notes: list[Note] = []
        self.telemetry = Telemetry(
            self.loop,  # type: ignore[arg-type]
            news=lambda: dict(self.news),
            counters=lambda: {"packets_sent": 7},
            on_note=self.notes.append,
            period_s=PERIOD_S,
        )
        self.telemetry.start()

    def told(self) -> list[dict[str, Any]]:
        told, self.notes[:] = [note.fields for note in self.notes], []
        return told


def test_what_has_not_changed_is_not_told_again() -> None:
    bench = Bench()
    bench.loop.tick()
    assert bench.loop.now_s == 110.0 and bench.told() == []
    bench.news["events"] = 2
    bench.loop.tick()
    quiet = {"counters": {"packets_sent": 7}, "loop_lag_ms_max": 0.0, "turn_ms_max": 0.0}
    assert bench.loop.now_s == 120.0
    assert [(note.event, note.level) for note in bench.notes] == [("telemetry", "debug")]
    assert bench.told() == [quiet]
    bench.loop.tick()
    assert bench.told() == []


def test_the_worst_since_the_last_note_is_told_once() -> None:
    bench = Bench()
    for took_s in (0.001, 0.04234, 0.002):
        bench.telemetry.turn_took(took_s)
    for late_s in (0.02, 0.05234, 0.01):  # nothing is told, and nothing forgotten
        bench.loop.tick(late_s)
    bench.news["events"] = 2
    bench.loop.tick()
    (fields,) = bench.told()
    assert (fields["loop_lag_ms_max"], fields["turn_ms_max"]) == (52.3, 42.3)
    bench.news["events"] = 3
    bench.loop.tick(0.004)
    (fields,) = bench.told()
    assert (fields["loop_lag_ms_max"], fields["turn_ms_max"]) == (4.0, 0.0)


def test_a_turn_that_holds_the_loop_up_is_told_at_once_and_again_if_it_was_longer() -> None:
    bench = Bench()
    for took_ms in (STALL_MS - 1, STALL_MS, STALL_MS, STALL_MS + 50):
        bench.telemetry.turn_took(took_ms / 1000)
    assert [(note.event, note.level) for note in bench.notes] == [("loop_stalled", "warning")] * 2
    assert bench.told() == [{"turn_ms": STALL_MS}, {"turn_ms": STALL_MS + 50}]


def test_a_stopped_one_says_nothing_and_may_be_started_again() -> None:
    bench = Bench()
    bench.telemetry.stop()
    bench.telemetry.stop()
    assert all(one.cancelled for one in bench.loop.timers)
    bench.news["events"] = 2
    bench.telemetry.start()  # from what is known by then
    bench.loop.tick()
    assert bench.told() == []
