"""What a process costs, as the system counts it."""

from collections.abc import Iterable
from pathlib import Path

import psutil


def cpu_s(pid: int) -> float:
    """Seconds on a processor, of all its threads so far; to the nanosecond where Linux tells it."""
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        ran = [int((task / "schedstat").read_text().split()[0]) for task in tasks]
    except OSError:
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return sum(ran) / 1e9


def resident_mib(pid: int) -> float:
    """Resident memory, pages shared with the launcher included."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def size_bytes(files: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in files)
