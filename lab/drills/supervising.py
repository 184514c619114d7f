"""Drill of `node.process`: `Supervisor`, `RestartBudget` and `Telemetry`.

Workers fail in a callback, at a start or at a stop, with a storage error or another one, while
virtual time advances; counters change or stay. The model keeps the list of crashes with their
times and derives the state of each worker, the delay of the next restart, and each note. Left out:
real workers, threads and signals.
"""

from random import Random
from typing import cast

from lab.drills.beside import holds, same
from lab.drills.loops import Handle, Loop
from node.core.ports import Note
from node.process.restart_budget import BACKOFF_FIRST_S, BACKOFF_MAX_S, RestartBudget
from node.process.supervisor import Supervisor
from node.process.telemetry import STALL_MS, Telemetry
from node.storage.files import StorageError

STEPS = 40
NAMES = ("journal", "transport", "feed")


class Worker:
    """A worker that fails as the drill sets it, and lists each call of it."""

    def __init__(self, name: str, calls: list[tuple[str, str]]) -> None:
        self.name = name
        self.calls = calls
        self.at_start: Exception | None = None
        self.at_stop: Exception | None = None

    def start(self) -> None:
        self.calls.append((self.name, "start"))
        if self.at_start is not None:
            raise self.at_start

    def stop(self) -> None:
        self.calls.append((self.name, "stop"))
        if self.at_stop is not None:
            raise self.at_stop


class Charge:
    """The model of one worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.state = "running"
        self.restarts = 0
        self.crashes: list[float] = []
        self.due: tuple[float, Handle] | None = None


class Bench:
    def __init__(self, rng: Random) -> None:
        self.rng, self.loop = rng, Loop()
        self.budget, self.window_s = rng.randint(0, 4), rng.choice((2.0, 60.0))
        self.calls: list[tuple[str, str]] = []
        self.called: list[tuple[str, str]] = []
        self.notes: list[tuple[str, str, int]] = []
        self.told: list[tuple[str, str, int]] = []
        self.given_up: list[str] = []
        self.lost: list[str] = []
        self.charges: dict[str, Charge] = {}
        self.last: tuple[float, Handle] | None = None
        self.ran = 0
        self.supervisor = Supervisor(
            rng=rng, now_s=self.loop.time, schedule=self._schedule, on_note=self._note,
            on_give_up=lambda name, _: self.given_up.append(name), budget=self.budget,
            window_s=self.window_s,
        )  # fmt: skip

    def _schedule(self, wait_s: float, call: object) -> Handle:
        self.last = wait_s, Handle(self.loop.now_s + wait_s, call)  # type: ignore[arg-type]
        return self.last[1]

    def _note(self, worker: str, note: Note) -> None:
        same("budget", note.fields["budget"], self.budget)
        if "error" in note.fields:
            holds("where", str(note.fields["where"]).rpartition(":")[0].endswith(".py"))
            error = str(note.fields["error"])
            same("in one line", error, " ".join(error.split()))
            holds("what", error.partition(":")[0] in str(note.fields["traceback"]))
        self.notes.append((worker, note.event, cast(int, note.fields["restarts"])))

    def tell(self, name: str, event: str) -> None:
        self.told.append((name, event, self.charges[name].restarts))

    # --- what happens ---------------------------------------------------------------------------

    def start(self, name: str) -> None:
        worker = Worker(name, self.calls)
        self.called.append((name, "start"))
        if self.rng.random() < 0.2:
            worker.at_start = ValueError("not now")
            self.called.append((name, "stop"))
            try:
                self.supervisor.start(worker)
            except ValueError:
                return
            holds("what a first start raises is the caller's", truth=False)
        self.charges[name] = Charge(worker)
        self.supervisor.start(worker)
        self.tell(name, "worker_started")

    def crash(self, charge: Charge) -> None:
        """The worker fails in a callback."""
        error: Exception = ValueError("oh  no")
        if self.rng.random() < 0.1:
            error = StorageError("the disk")
        charge.worker.at_stop = ValueError("stuck") if self.rng.random() < 0.2 else None

        def fails() -> None:
            self.ran += 1
            raise error

        before = self.ran
        self.supervisor.guard(charge.worker.name, fails)()
        same("its callbacks run while it does", self.ran - before, int(charge.state == "running"))
        if charge.state == "running":
            self.crashed(charge, storage=isinstance(error, StorageError))

    def crashed(self, charge: Charge, *, storage: bool = False) -> None:
        name, now_s = charge.worker.name, self.loop.now_s
        self.tell(name, "worker_crashed")
        self.called.append((name, "stop"))
        if charge.worker.at_stop is not None:
            self.tell(name, "worker_stop_failed")
        charge.crashes = [at_s for at_s in charge.crashes if at_s > now_s - self.window_s]
        if storage or len(charge.crashes) >= self.budget:
            charge.state = "failed"
            self.tell(name, "worker_gave_up")
            self.lost.append(name)
            return
        base_s = min(BACKOFF_FIRST_S * 2 ** len(charge.crashes), BACKOFF_MAX_S)
        charge.crashes.append(now_s)
        assert self.last is not None
        holds("how long it waits", base_s / 2 <= self.last[0] <= base_s)
        charge.state, charge.due = "backoff", self.last

    def wait(self, seconds: float) -> None:
        until_s = self.loop.now_s + seconds
        while True:
            due = [one for one in self.charges.values() if one.due is not None
                   and one.due[1].when_s <= until_s]  # fmt: skip
            if not due:
                break
            charge = min(due, key=lambda one: one.due[1].when_s if one.due else 0)
            assert charge.due is not None
            handle, charge.due = charge.due[1], None
            self.loop.now_s = handle.when_s
            charge.worker.at_start = ValueError("again") if self.rng.random() < 0.3 else None
            handle.run()
            if charge.state != "backoff":  # it is of no more use
                continue
            charge.restarts += 1
            charge.state = "running"
            self.called.append((charge.worker.name, "start"))
            if charge.worker.at_start is not None:
                self.crashed(charge)
            else:
                self.tell(charge.worker.name, "worker_restarted")
        self.loop.now_s = until_s

    def fail(self, charge: Charge) -> None:
        self.supervisor.fail(charge.worker.name, "of no use")
        if charge.state != "failed":
            charge.state = "failed"
            self.tell(charge.worker.name, "worker_gave_up")

    def stop(self) -> None:
        self.supervisor.stop()
        for charge in reversed(self.charges.values()):
            if charge.due is not None:
                holds("no start is due any more", charge.due[1].call is None)
                charge.due = None
            if charge.state == "running":
                self.called.append((charge.worker.name, "stop"))
                if charge.worker.at_stop is not None:
                    charge.state = "stopped"
                    self.tell(charge.worker.name, "worker_stop_failed")
            if charge.state != "failed":
                charge.state = "stopped"

    def judge(self) -> None:
        same("calls", self.calls, self.called)
        same("notes", self.notes, self.told)
        same("given up", self.given_up, self.lost)
        states = {name: (one.state, one.restarts, self.budget) for name, one in
                  self.charges.items()}  # fmt: skip
        told = {name: (one.state, one.restarts, one.budget) for name, one in
                self.supervisor.statuses().items()}  # fmt: skip
        same("states", told, states)
        for name, one in self.charges.items():
            same("state", self.supervisor.state(name), one.state)


def supervising(rng: Random) -> None:
    bench = Bench(rng)
    for _ in range(STEPS):
        name = rng.choice(NAMES)
        charge = bench.charges.get(name)
        match rng.randrange(8):
            case 0 | 1 | 2 if charge is None:
                bench.start(name)
            case 3 | 4 if charge is not None:
                bench.crash(charge)
            case 5 if charge is not None and rng.random() < 0.1:
                bench.fail(charge)
            case _:
                bench.wait(rng.uniform(0, 1) * rng.choice((0.1, 1.0, 9.0)))
        bench.judge()
    bench.stop()
    bench.judge()
    _budget(rng)
    _telemetry(rng)


def _budget(rng: Random) -> None:
    budget = RestartBudget(rng, most := rng.randint(0, 9), 10.0)
    crashes: list[float] = []
    now_s = 0.0
    for _ in range(STEPS):
        now_s += rng.uniform(0, 1) * rng.choice((0.2, 2.0, 12.0))
        if rng.random() < 0.05:
            budget.renew()
            crashes = []
        crashes = [at_s for at_s in crashes if at_s > now_s - 10.0]
        wait_s = budget.crashed(now_s)
        same("over the budget", wait_s is None, len(crashes) >= most)
        if wait_s is not None:
            base_s = min(BACKOFF_FIRST_S * 2 ** len(crashes), BACKOFF_MAX_S)
            holds("within the backoff", base_s / 2 <= wait_s <= base_s)
            crashes.append(now_s)


def _telemetry(rng: Random) -> None:
    """Telemetry notes each period with a change, with its largest lag and its longest call."""
    loop, notes = Loop(), list[Note]()
    news, late_ms, turn_ms = {"sent": 0}, 0.0, 0.0
    one = Telemetry(
        loop.as_asyncio, news=lambda: dict(news), counters=lambda: {"all": news["sent"] + 1},
        on_note=notes.append, period_s=5.0,
    )  # fmt: skip
    one.start()
    told, stalled, longest = 0, 0, 0.0
    due_s = loop.now_s + 5.0
    for _ in range(STEPS):
        if rng.random() < 0.3:
            news["sent"] += 1
        if rng.random() < 0.3:
            took_s = rng.uniform(0, 0.4)
            one.turn_took(took_s)
            if took_s * 1000 > longest:
                longest = took_s * 1000
                stalled += longest >= STALL_MS
            turn_ms = max(turn_ms, took_s * 1000)
        if rng.random() < 0.5:
            loop.advance(rng.uniform(0.1, 0.9))  # in time, if a timer is due
            lag_s = 0.0
        else:
            lag_s = rng.uniform(0.1, 3.0)  # the loop was busy: what is due comes late
            loop.now_s += lag_s
            loop.advance(0.0)
        if loop.now_s >= due_s:
            late_ms = max(late_ms, (loop.now_s - due_s) * 1000 if lag_s else 0.0)
            at_s = loop.now_s if lag_s else due_s
            due_s = at_s + 5.0
            same("lateness is kept", round(max(one.lag_ms_max, late_ms), 3), round(late_ms, 3))
            if news["sent"] != told:
                told = news["sent"]
                note = [each for each in notes if each.event == "telemetry"][-1]
                same("counters", note.fields["counters"], {"all": told + 1})
                same("late", note.fields["loop_lag_ms_max"], round(late_ms, 1))
                same("longest", note.fields["turn_ms_max"], round(turn_ms, 1))
                late_ms = turn_ms = longest = 0.0
    events = [each.event for each in notes]
    same("stalls", events.count("loop_stalled"), stalled)
    one.stop()
    one.stop()
    before = len(notes)
    news["sent"] += 1
    loop.advance(60.0)
    same("nothing after a stop", len(notes), before)
