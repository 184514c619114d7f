"""Supervision: a worker that crashes is restarted alone, within a budget, with a note each time.

Rules
- One for one: a crash stops and restarts the worker it happened in, and no other.
- Backoff 0.1 s doubling to 5 s, with jitter; a budget of restarts in a sliding window. Over budget
  the node gives up: `on_give_up` is called once, with the worker and the reason.
- A storage error is not a crash that a restart can heal: it gives up at once.
- Every start, crash, restart and give-up is a note, with the count and the budget.

A worker's code runs in callbacks of the event loop, and `guard` is the fence around each of them.
A callback that was fenced and comes while its worker is not running does nothing: it belongs to a
life that has ended.
"""

import traceback
from collections.abc import Callable
from random import Random
from typing import Literal, ParamSpec, Protocol

from msgspec import Struct

from node.control.messages import WorkerStatus
from node.core.ports import Fields, Note
from node.process.restart_budget import BUDGET, WINDOW_S, RestartBudget, one_line
from node.storage.files import StorageError

P = ParamSpec("P")


class Worker(Protocol):
    @property
    def name(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None:
        """Also after a failed start, and more than once."""
        ...


class Timer(Protocol):
    def cancel(self) -> None: ...


Schedule = Callable[[float, Callable[[], None]], Timer]  # in this many seconds
Level = Literal["debug", "info", "warning", "error"]
State = Literal["running", "backoff", "stopped", "failed"]


class _Charge(Struct):
    """A worker as its supervisor sees it."""

    worker: Worker
    budget: RestartBudget
    state: State = "stopped"
    restarts: int = 0
    timer: Timer | None = None


class Supervisor:
    def __init__(
        self,
        *,
        rng: Random,
        now_s: Callable[[], float],
        schedule: Schedule,
        on_note: Callable[[str, Note], None],
        on_give_up: Callable[[str, BaseException], None],
        budget: int = BUDGET,
        window_s: float = WINDOW_S,
    ) -> None:
        self._rng = rng
        self._now_s = now_s
        self._schedule = schedule
        self._on_note = on_note
        self._on_give_up = on_give_up
        self._budget = budget
        self._window_s = window_s
        self._charges: dict[str, _Charge] = {}  # in the order in which they were started

    def start(self, worker: Worker) -> None:
        """Start a worker for the first time. What it raises is the caller's, and no crash."""
        assert worker.name not in self._charges, worker.name
        charge = _Charge(worker, RestartBudget(self._rng, self._budget, self._window_s))
        charge.state = "running"  # before its start, whose callbacks are guarded already
        self._charges[worker.name] = charge
        try:
            worker.start()
        except BaseException:
            del self._charges[worker.name]
            worker.stop()
            raise
        self._note(worker.name, "worker_started", "info")

    def stop(self) -> None:
        """Stop all workers, the newest first."""
        for charge in reversed(self._charges.values()):
            if charge.timer is not None:
                charge.timer.cancel()
                charge.timer = None
            was_running = charge.state == "running"
            if charge.state != "failed":
                charge.state = "stopped"
            if was_running:
                self._stop(charge)

    def state(self, name: str) -> State:
        return self._charges[name].state

    def statuses(self) -> dict[str, WorkerStatus]:
        return {
            name: WorkerStatus(charge.state, charge.restarts, charge.budget.budget)
            for name, charge in self._charges.items()
        }

    def guard(self, name: str, call: Callable[P, object]) -> Callable[P, None]:
        """The same callback, inside the fence of that worker."""

        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            charge = self._charges.get(name)
            if charge is None or charge.state != "running":
                return
            try:
                call(*args, **kwargs)
            except Exception as error:
                self.crashed(name, error)

        return guarded

    def crashed(self, name: str, error: BaseException) -> None:
        """The worker cannot go on: stop it, and start it again or give up."""
        charge = self._charges[name]
        if charge.state not in ("running", "backoff"):
            return
        self._note(name, "worker_crashed", "error", anatomy(error))
        self._stop(charge)
        wait_s = None if isinstance(error, StorageError) else charge.budget.crashed(self._now_s())
        if wait_s is None:
            charge.state = "failed"
            self._note(name, "worker_gave_up", "error", {"reason": one_line(error)})
            self._on_give_up(name, error)
            return
        charge.state = "backoff"
        charge.timer = self._schedule(wait_s, lambda: self._restart(name))

    def fail(self, name: str, reason: str) -> None:
        """The worker is of no more use, and the node goes on without it."""
        charge = self._charges[name]
        if charge.state != "failed":
            charge.state = "failed"
            self._note(name, "worker_gave_up", "error", {"reason": reason})

    def _restart(self, name: str) -> None:
        charge = self._charges[name]
        charge.timer = None
        if charge.state != "backoff":
            return
        charge.restarts += 1
        charge.state = "running"
        try:
            charge.worker.start()
        except Exception as error:
            self.crashed(name, error)
        else:
            self._note(name, "worker_restarted", "warning")

    def _stop(self, charge: _Charge) -> None:
        try:
            charge.worker.stop()
        except Exception as error:
            self._note(charge.worker.name, "worker_stop_failed", "error", anatomy(error))

    def _note(self, worker: str, event: str, level: Level, fields: Fields | None = None) -> None:
        charge = self._charges[worker]
        counts: Fields = {"restarts": charge.restarts, "budget": charge.budget.budget}
        self._on_note(worker, Note(event, level, counts | (fields or {})))


def anatomy(error: BaseException) -> Fields:
    """What a person who reads the log needs in order to find the bug."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    text = "".join(traceback.format_exception(error))
    return {"error": one_line(error), "where": where, "traceback": text[-4000:]}
