"""Worker processes, forked from this one: bugs that are planted here are in force there.

Ctrl-C is the parent's business. When the parent leaves by an exception, what workers are at is not
wanted any more, and they are ended.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial

from lab.campaign.orphans import end_with_parent


@contextmanager
def worker_pool(
    jobs: int, begin: Callable[..., object], *given: object, finish: bool = True
) -> Iterator[ProcessPoolExecutor]:
    """Workers call `begin(*given)` first. `finish`: what they are at is wanted even at the end."""
    finished = False
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(jobs, context, partial(_begin_worker, begin, given))
    try:
        yield pool
        finished = finish
    finally:
        if not finished:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
        pool.shutdown(cancel_futures=True)  # and wait: an exit that overtakes it prints a traceback


def _begin_worker(begin: Callable[..., object], given: Sequence[object]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    begin(*given)
