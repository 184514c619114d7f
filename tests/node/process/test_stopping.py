"""Signals of a node process: each counts at any moment, and what they ask is kept."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.process.stopping import StopAsked, Stopping

TWICE = """
import os, signal, sys
from node.process.stopping import Stopping
with Stopping() as stopping:
    signal.raise_signal(signal.SIGTERM)
    print(stopping.asked, flush=True)
    signal.raise_signal(signal.SIGINT)
    print("still here")
"""
ENDS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@ENDS
def test_a_stop_is_noted_and_wakes_whoever_waits(number: signal.Signals) -> None:
    with Stopping() as stopping:
        assert stopping.asked == ""
        signal.raise_signal(number)
        assert stopping.asked == number.name
        assert select.select([stopping.fd], (), (), 0)[0]
        stopping.woken()
        assert not select.select([stopping.fd], (), (), 0)[0]
        stopping.woken()  # nothing to read is no error


@ENDS
def test_work_that_may_be_cut_is_cut_where_it_is_and_only_once(number: signal.Signals) -> None:
    done: list[str] = []
    with Stopping() as stopping:

        def work() -> None:
            with stopping.interrupts():
                try:
                    done.append("begun")
                    signal.raise_signal(number)
                    done.append("not cut")
                finally:
                    assert not stopping._interrupts  # what ends now ends undisturbed

        for _ in range(2):  # the second one does not begin
            with pytest.raises(StopAsked, match=number.name):
                work()
    assert done == ["begun"]


def test_outside_of_such_work_nothing_is_cut() -> None:
    with Stopping() as stopping:
        with stopping.interrupts():
            pass
        signal.raise_signal(signal.SIGTERM)
        assert stopping.asked == "SIGTERM"


def test_a_second_signal_ends_the_process_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TWICE],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"SIGTERM\n", b"")


def test_lists_are_read_again_once_for_each_time_that_it_was_asked() -> None:
    with Stopping() as stopping:
        assert not stopping.take_hangup()
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert stopping.take_hangup() and not stopping.take_hangup()
        assert stopping.asked == ""


def test_a_rest_lasts_as_long_as_it_should_but_for_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    real = select.select

    def counted(read: list[int], _: object, __: object, seconds: float) -> object:
        looks.append(seconds)
        return real(read, (), (), seconds)

    monkeypatch.setattr("node.process.stopping.select.select", counted)
    with Stopping() as stopping:
        began_s = time.monotonic()
        stopping.rest(0.05)
        assert time.monotonic() - began_s >= 0.05
        signal.raise_signal(signal.SIGHUP)  # wakes, and does not end it
        began_s = time.monotonic()
        stopping.rest(0.05)
        assert time.monotonic() - began_s >= 0.05
        assert len(looks) <= 4  # one for each wait, and one for the signal: it is not left there
        previous = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            stopping.rest(60)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        assert stopping.asked == "SIGTERM"
        stopping.rest(60)  # asked already


def test_afterwards_all_is_as_it_was() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    open_before = len(os.listdir("/proc/self/fd"))
    with Stopping():
        assert all(signal.getsignal(number) not in before for number in numbers)
    assert [signal.getsignal(number) for number in numbers] == before
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert signal.set_wakeup_fd(-1) == -1
