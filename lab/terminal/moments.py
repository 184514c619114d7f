"""Times as users write them, for `--as-of`, as Unix milliseconds.

Accepted are `30s` (ago), `now`, `14:03:10`, an ISO time, and a number of Unix milliseconds; also
the times that chatlab prints: `2026-01-31 14:03:10.125Z/2` of a timeline, `14:03:10.125Z` of a log.

A time without a zone is in the user's local zone. A time of day without a date is the most recent
one. Of a local hour that occurs twice (the end of summer time) the most recent one is taken; an
hour that does not exist is refused.
"""

import datetime as dt
import re
import time

from lab.terminal.errors import Exit, Problem

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_DAY_MS = 86_400_000
_CLOCK = re.compile(
    r"([0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


def moment_ms(text: str, now_ms: int | None = None) -> int:
    """Unix milliseconds, 0 or more; raises Problem. `now_ms` is the clock unless it is given."""
    asked = text.strip().removesuffix("ago").strip()
    asked = re.sub(r"/[0-9]+$", "", asked)  # the counter of a stamp
    if now_ms is None:
        now_ms = int(time.time() * 1000)
    span = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,9})?)\s*(ms|s|min|m|h|d)", asked)
    if span:
        return max(now_ms - int(float(span[1]) * _UNITS[span[2]]), 0)
    if re.fullmatch(r"[0-9]{12,14}", asked):
        return int(asked)
    if asked == "now":
        return now_ms
    try:
        clock = _CLOCK.fullmatch(asked)
        if clock is not None:
            return _last_time_of_day(clock[1], clock[2] or "", now_ms)
        return max(_unix_ms(dt.datetime.fromisoformat(asked), now_ms), 0)
    except (ValueError, OverflowError, OSError):
        raise _unclear(text) from None


def _unclear(text: str) -> Problem:
    ahead = " (a span is ago by itself, without a sign)" if text.strip().startswith("-") else ""
    return Problem(
        f"--as-of {text!r} is no moment{ahead}: use 30s (ago), 14:03:10, or 2026-01-31T14:03:10Z",
        Exit.USAGE,
    )


def _last_time_of_day(text: str, zone: str, now_ms: int) -> int:
    """Today, or yesterday where that lies ahead."""
    clock = dt.time.fromisoformat(text.zfill(5) if len(text) < 6 else text)
    if zone:
        info = dt.datetime.fromisoformat(f"2000-01-01T00:00{zone}").tzinfo
        today = dt.datetime.fromtimestamp(now_ms / 1000, info).date()
        at_ms = round(dt.datetime.combine(today, clock, info).timestamp() * 1000)
        return max(at_ms if at_ms <= now_ms else at_ms - _DAY_MS, 0)
    today = dt.datetime.fromtimestamp(now_ms / 1000).date()  # noqa: DTZ006  (a local clock)
    at_ms = _unix_ms(dt.datetime.combine(today, clock), now_ms)
    if at_ms > now_ms:
        yesterday = today - dt.timedelta(days=1)
        at_ms = _unix_ms(dt.datetime.combine(yesterday, clock), now_ms)
    return max(at_ms, 0)


def _unix_ms(moment: dt.datetime, now_ms: int) -> int:
    """Of a local time without a zone, the last that was; raises Problem where there is none."""
    if moment.tzinfo is not None:
        return round(moment.timestamp() * 1000)
    both = sorted({moment.replace(fold=fold).timestamp() for fold in (0, 1)})
    shown = [at for at in both if dt.datetime.fromtimestamp(at) == moment.replace(fold=0)]  # noqa: DTZ006
    if not shown:
        text = f"there is no {moment.isoformat(' ')} here: clocks were put forward then"
        raise Problem(f"--as-of: {text}; write the time with a Z, in UTC", Exit.USAGE)
    past = [round(at * 1000) for at in shown if at * 1000 <= now_ms]
    return past[-1] if past else round(shown[0] * 1000)
