"""Helpers for tests with a real event loop and real sockets: run, and wait for a condition."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 10.0


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run a test's coroutine; nothing may take longer than a test may take."""

    async def bounded() -> T:
        return await asyncio.wait_for(main(), 30)

    return asyncio.run(bounded())


async def until(done: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Give the loop its turns until the condition holds."""
    end_s = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < end_s, "the condition did not come true in time"
        await asyncio.sleep(0.002)
