"""Moments: what people write, and what chatlab prints, comes back as the same time."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from lab.terminal.errors import Exit, Problem
from lab.terminal.formats import utc_text
from lab.terminal.moments import moment_ms

Zone = Callable[[str], None]


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    def use(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield use
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "Asia/Kolkata", "America/St_Johns"])
def test_what_is_printed_can_be_pasted_whatever_the_zone(zone: Zone, name: str) -> None:
    zone(name)
    now_ms = at("2026-06-15T12:00:00Z")
    for ms in (now_ms - 1, now_ms - 12_345, at("2026-01-31T23:59:59.999Z"), 0):
        assert moment_ms(utc_text(ms), now_ms) == ms
        assert moment_ms(f"{utc_text(ms)}/7", now_ms) == ms  # a stamp of a timeline
    clock = datetime.fromtimestamp((now_ms - 12_345) / 1000, UTC).isoformat(timespec="milliseconds")
    assert moment_ms(clock[11:23] + "Z", now_ms) == now_ms - 12_345  # a line of a log


def test_a_time_of_day_is_the_last_one_that_was(zone: Zone) -> None:
    zone("Europe/Paris")
    now_ms = at("2026-06-15T00:05:00+02:00")
    assert moment_ms("23:59", now_ms) == at("2026-06-14T23:59:00+02:00")
    assert moment_ms("00:04", now_ms) == at("2026-06-15T00:04:00+02:00")
    assert moment_ms("22:30Z", now_ms) == at("2026-06-13T22:30:00Z")
    assert moment_ms("22:00Z", now_ms) == at("2026-06-14T22:00:00Z")
    assert moment_ms("8:00+05:30", now_ms) == at("2026-06-14T08:00:00+05:30")


def test_the_hour_that_a_clock_shows_twice_and_the_one_that_it_leaves_out(zone: Zone) -> None:
    zone("Europe/Paris")
    second = at("2026-10-25T02:50:00+01:00")
    assert moment_ms("02:45", second) == second - 5 * 60_000
    assert moment_ms("2026-10-25 02:55", second) == second - 55 * 60_000
    first = at("2026-10-25T02:50:00+02:00")
    assert moment_ms("02:45", first) == first - 5 * 60_000
    with pytest.raises(Problem, match="put forward") as caught:
        moment_ms("2026-03-29 02:30", second)
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    "text",
    [
        "99999999999999d",
        "99999999999999999999d",
        "1960-01-01",
        "0001-01-01T00:00:00Z",
        "9" * 20 + "ms",
    ],
)
def test_before_everything_is_a_moment_and_no_overflow(text: str) -> None:
    assert moment_ms(text) == 0


@pytest.mark.parametrize(
    "text", ["-5s", "-5s ago", "9" * 400 + "d", "9" * 30, "24:61", "12:00X", "/3"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="--as-of") as caught:
        moment_ms(text)
    assert caught.value.code is Exit.USAGE
    assert ("without a sign" in str(caught.value)) == text.startswith("-")
