"""Formats of values in output for users: counts with nouns, dots, UTC times."""

import time

from domain.dot import Dot, epoch_hex
from lab.terminal.display import display_safe

SAFETY = {
    "written": " (survives a kill -9)",
    "durable": " (survives power loss)",
    "replicated": " (durable there and on others)",
}


def counted(count: int, one: str, many: str = "") -> str:
    """1 record, 2 records; `many` where an s does not do it."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def short_count(value: float) -> str:
    """Four digits at most, in steps of a thousand: 950, 9.5k, 12k, 1.2M."""
    for unit in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{value:.1f}{unit}" if unit and value < 9.95 else f"{value:.0f}{unit}"
        value /= 1000
    return f"{value:.0f}T"


def dot_text(dot: Dot) -> str:
    """A dot, short: origin, the first four hex digits of the epoch, seq. Logs have all digits."""
    return f"{log_text(dot.origin, dot.epoch)}:{dot.seq}"


def log_text(origin: str, epoch: int) -> str:
    return f"{display_safe(origin)}.{epoch_text(epoch)}"


def epoch_text(epoch: int) -> str:
    return epoch_hex(epoch)[:4]


def utc_text(ms: int) -> str:
    """UTC, and marked so: the same event reads the same everywhere, and --as-of takes it."""
    try:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ms // 1000))
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    return f"{at}.{ms % 1000:03d}Z"


def ranges_text(ranges: list[tuple[int, int]], shown_max: int = 8) -> str:
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:shown_max]]
    more = len(ranges) - shown_max
    return ", ".join(shown) + (f" and {more} more ranges" if more > 0 else "")
