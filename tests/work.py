"""How much work something takes: the same number whatever else the machine does.

Where it cannot be counted, it is divided by `busy` of the same moment.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

STARTED_S = 0.25


def steps(work: Callable[[], object]) -> int:
    """How many instructions of the interpreter this takes. A call into C counts as one."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def busy() -> float:
    """How many times longer than on a quiet machine a process takes to begin just now; 1 at least.

    It imports what a command does.
    """
    began_s = time.monotonic()
    command = [sys.executable, "-P", "-c", "import asyncio, msgspec, typer, zmq"]
    subprocess.run(command, check=True, timeout=60)
    return max((time.monotonic() - began_s) / STARTED_S, 1.0)
