"""Supervision with a clock made of numbers: budgets, backoff, one for one, and what is told."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.ports import Note
from node.process.restart_budget import BACKOFF_MAX_S, RestartBudget
from node.process.supervisor import Supervisor
from node.storage.files import StorageError


class FakeTimer:
    def __init__(self, at_s: float, call: Callable[[], None]) -> None:
        self.at_s, self.call, self.cancelled = at_s, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Worker:
    def __init__(self, name: str, stopped: list[str] | None = None) -> None:
        self.name = name
        self.stopped = [] if stopped is None else stopped
        self.starts = self.stops = 0
        self.fails: Exception | None = None
        self.stop_fails: Exception | None = None

    def start(self) -> None:
        self.starts += 1
        if self.fails is not None:
            raise self.fails

    def stop(self) -> None:
        self.stops += 1
        self.stopped.append(self.name)
        if self.stop_fails is not None:
            raise self.stop_fails


class Bench:
    """A supervisor, its clock, and everything it said."""

    def __init__(self, budget: int = 5) -> None:
        self.now_s = 0.0
        self.timers: list[FakeTimer] = []
        self.notes: list[tuple[str, Note]] = []
        self.gave_up: list[tuple[str, BaseException]] = []
        self.supervisor = Supervisor(
            rng=Random(7),
            now_s=lambda: self.now_s,
            schedule=self.schedule,
            on_note=lambda worker, note: self.notes.append((worker, note)),
            on_give_up=lambda worker, error: self.gave_up.append((worker, error)),
            budget=budget,
        )

    def schedule(self, wait_s: float, call: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.now_s + wait_s, call)
        self.timers.append(timer)
        return timer

    def pass_time(self) -> None:
        """To the next timer."""
        timer = min((t for t in self.timers if not t.cancelled), key=lambda t: t.at_s)
        self.timers.remove(timer)
        self.now_s = timer.at_s
        timer.call()

    def events(self, worker: str) -> list[str]:
        return [note.event for name, note in self.notes if name == worker]


def fail() -> None:
    raise ValueError("no luck today")


def test_a_crash_restarts_only_the_worker_it_happened_in() -> None:
    bench, one, two = Bench(), Worker("one"), Worker("two")
    bench.supervisor.start(one)
    bench.supervisor.start(two)
    bench.supervisor.guard("one", fail)()
    assert (one.starts, one.stops, two.starts, two.stops) == (1, 1, 1, 0)
    assert bench.supervisor.state("one") == "backoff"
    bench.pass_time()
    assert (one.starts, two.starts) == (2, 1)
    assert bench.supervisor.statuses()["one"].restarts == 1
    assert bench.events("one") == ["worker_started", "worker_crashed", "worker_restarted"]
    assert bench.events("two") == ["worker_started"]
    crash = next(note for _, note in bench.notes if note.event == "worker_crashed")
    assert crash.fields["error"] == "ValueError: no luck today"
    assert str(crash.fields["where"]).startswith(__file__)


def test_over_budget_the_supervisor_gives_up_once_and_says_why() -> None:
    bench, worker = Bench(budget=2), Worker("one")
    bench.supervisor.start(worker)
    for _ in range(2):
        bench.supervisor.guard("one", fail)()
        bench.pass_time()
    assert bench.gave_up == []
    bench.supervisor.guard("one", fail)()
    bench.supervisor.guard("one", fail)()
    assert [name for name, _ in bench.gave_up] == ["one"]
    assert bench.supervisor.state("one") == "failed"
    assert bench.events("one")[-1] == "worker_gave_up"
    assert not bench.timers


def test_crashes_that_are_long_ago_do_not_count() -> None:
    bench, worker = Bench(budget=2), Worker("one")
    bench.supervisor.start(worker)
    for _ in range(20):
        bench.now_s += 61
        bench.supervisor.guard("one", fail)()
        bench.pass_time()
    assert bench.gave_up == []
    assert worker.starts == 21


def test_a_start_that_fails_again_uses_the_budget_as_well() -> None:
    bench, worker = Bench(budget=3), Worker("one")
    bench.supervisor.start(worker)
    worker.fails = OSError("still in use")
    bench.supervisor.guard("one", fail)()
    for _ in range(3):
        bench.pass_time()
    assert [str(error) for _, error in bench.gave_up] == ["still in use"]


def test_a_first_start_that_fails_is_the_callers() -> None:
    bench, worker = Bench(), Worker("one")
    worker.fails = OSError("in use")
    with pytest.raises(OSError, match="in use"):
        bench.supervisor.start(worker)
    assert worker.stops == 1
    worker.fails = None
    bench.supervisor.start(worker)  # and may be tried again
    assert bench.supervisor.state("one") == "running"


def test_a_storage_error_is_not_restarted_in_a_loop() -> None:
    bench, worker = Bench(), Worker("journal")
    bench.supervisor.start(worker)
    bench.supervisor.crashed("journal", StorageError("the disk is gone", final=True))
    assert bench.supervisor.state("journal") == "failed"
    assert len(bench.gave_up) == 1
    assert not bench.timers


def test_a_worker_that_failed_for_good_does_not_end_the_node() -> None:
    bench, worker = Bench(), Worker("journal")
    bench.supervisor.start(worker)
    bench.supervisor.fail("journal", "sync failed")
    bench.supervisor.fail("journal", "sync failed")
    assert bench.supervisor.state("journal") == "failed"
    assert bench.gave_up == []
    assert bench.events("journal") == ["worker_started", "worker_gave_up"]


def test_callbacks_of_a_life_that_has_ended_do_nothing() -> None:
    bench, worker = Bench(), Worker("one")
    bench.supervisor.start(worker)
    ran: list[int] = []
    guarded = bench.supervisor.guard("one", ran.append)
    guarded(1)
    bench.supervisor.guard("one", fail)()
    guarded(2)
    bench.pass_time()
    guarded(3)
    bench.supervisor.stop()
    guarded(4)
    assert ran == [1, 3]


def test_stop_ends_the_newest_first_and_cancels_restarts() -> None:
    bench, order = Bench(), list[str]()
    for name in ("one", "two", "three"):
        bench.supervisor.start(Worker(name, order))
    bench.supervisor.guard("two", fail)()
    order.clear()
    bench.supervisor.stop()
    assert order == ["three", "one"]
    assert all(timer.cancelled for timer in bench.timers)


def test_a_stop_that_fails_is_told_and_the_restart_goes_on() -> None:
    bench, worker = Bench(), Worker("one")
    bench.supervisor.start(worker)
    worker.stop_fails = RuntimeError("stuck")
    bench.supervisor.guard("one", fail)()
    assert "worker_stop_failed" in bench.events("one")
    bench.pass_time()
    assert bench.supervisor.state("one") == "running"


@given(st.integers(0, 2**32), st.lists(st.floats(0, 30), max_size=60))
def test_the_budget_bounds_restarts_in_every_window(seed: int, pauses_s: list[float]) -> None:
    budget, now_s, granted = RestartBudget(Random(seed)), 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        wait_s = budget.crashed(now_s)
        if wait_s is not None:
            assert 0.05 <= wait_s <= BACKOFF_MAX_S
            granted.append(now_s)
    for at_s in granted:
        assert sum(at_s <= other < at_s + 60 for other in granted) <= 5


def test_backoff_doubles_up_to_its_limit() -> None:
    budget = RestartBudget(Random(1), budget=10)
    waits_s = [budget.crashed(0.0) for _ in range(10)]
    for index, wait_s in enumerate(waits_s):
        full_s = min(0.1 * 2**index, BACKOFF_MAX_S)
        assert wait_s is not None
        assert full_s / 2 <= wait_s <= full_s
    assert budget.crashed(0.0) is None
    assert budget.crashed(60.0) is not None


def test_a_person_renews_the_budget_and_a_file_may_change_it() -> None:
    budget = RestartBudget(Random(1), budget=1)
    assert budget.crashed(0.0) is not None
    assert budget.crashed(0.0) is None
    budget.renew()
    assert budget.crashed(0.0) is not None
    budget.budget = 2
    assert budget.crashed(0.0) is not None
    budget.window_s = 1.0
    assert budget.crashed(2.0) is not None
