"""Handles the signals of a node process, through all of its lives, and keeps what they asked for.

    SIGTERM, SIGINT: stop in order; a second one: at once, as kill -9 would
    SIGHUP: read the lists again; kept until somebody can do that

Rules
- A signal counts at any moment, also where no event loop runs: whoever begins, ends or waits looks
  at `asked`. So the handlers are Python's own, and belong to the process and to no loop.
- A handler only notes what was asked, and wakes whoever waits for `fd`: a loop, or `rest`.
- Work that is long, and that a kill may cut anywhere, runs inside `interrupts()`: there the signal
  raises StopAsked out of the very instruction that it meets.
"""

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

ASKING = (signal.SIGTERM, signal.SIGINT)  # to stop


class StopAsked(BaseException):
    """The process is to end, and this work is not worth finishing."""


class Stopping:
    """A context in which the signals of this process are its own. For the main thread alone."""

    def __init__(self) -> None:
        self.asked = ""  # to stop, by this signal
        self._hangup = False
        self._interrupts = False
        self.fd, self._wake_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[signal.Signals, Any] = {}
        self._wake_before = -1

    def __enter__(self) -> Self:
        # Whoever started this process may have blocked them, and a mask is inherited.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*ASKING, signal.SIGHUP))
        # Signals that come between a look and a call that waits: their byte ends the wait.
        self._wake_before = signal.set_wakeup_fd(self._wake_fd, warn_on_full_buffer=False)
        for number in ASKING:
            self._before[number] = signal.signal(number, self._on_stop)
        self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._on_hangup)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._wake_before)
        os.close(self.fd)
        os.close(self._wake_fd)

    # --- for whoever runs -----------------------------------------------------------------------

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """What runs in here is cut off by a signal, or does not begin. Raises StopAsked."""
        self._interrupts = True
        try:
            if self.asked:
                raise StopAsked(self.asked)
            yield
        finally:
            self._interrupts = False

    def rest(self, seconds: float) -> None:
        """Wait so long, or until asked to stop."""
        end_s = time.monotonic() + seconds
        while not self.asked and (left_s := end_s - time.monotonic()) > 0:
            select.select([self.fd], (), (), left_s)
            self.woken()

    def woken(self) -> None:
        """`fd` was readable: from now on it is not, until the next signal."""
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def take_hangup(self) -> bool:
        """Whether the lists are to be read again. Asked once, answered once."""
        hangup, self._hangup = self._hangup, False
        return hangup

    # --- handlers -------------------------------------------------------------------------------

    def _on_stop(self, number: int, _: FrameType | None) -> None:
        if self.asked:
            os._exit(1)
        self.asked = signal.Signals(number).name
        if self._interrupts:
            self._interrupts = False  # once: what ends now ends undisturbed
            raise StopAsked(self.asked)

    def _on_hangup(self, _: int, __: FrameType | None) -> None:
        self._hangup = True
