"""For all tests: `--rewrite`, hypothesis profiles, an order, and Ctrl-C.

One after another, quick ones come first, and real processes last. Two at a time (`-n 2`), a file
stays together; real processes come first, one after another, so that they do not starve each other,
and then what takes long, so that both workers end at the same time.

Under CI (the variable CI is set) hypothesis draws the same examples every time, so that a red run
is the fault of the change under test; a developer's runs go on looking for new ones.
"""

import os
import signal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.pages import browser, new_page

__all__ = ["browser", "new_page"]

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = "processes"  # the group of all files with tests marked `cluster`
LONG = ("tests/mutants/", "tests/lab/")

# No deadline: a shared machine is slow now and then, and that is no fault of the code.
settings.register_profile(
    "dev", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write the transcripts of tests/scenarios anew; review the difference",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("rewrite") and os.environ.get("CI"):
        raise pytest.UsageError("--rewrite is for developers: under CI nothing is rewritten")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart() -> None:
    """A shell starts what runs in the background with SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A scheduler of groups. xdist's own (loadgroup) writes them into a field of each test that
    pytest 9.2 does not read: each test then goes to any worker, without a word.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Groups(config, log)


@cache
def has_processes(file: str) -> bool:
    return "pytest.mark.cluster" in (ROOT / file).read_text(encoding="utf-8")


def group_of(nodeid: str) -> str:
    """A file is a group of its own, and those that start real processes are one together."""
    file = nodeid.partition("::")[0]
    return PROCESSES if has_processes(file) else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rest of the order stays, random as it is."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        items.sort(key=_is_cluster)
        return
    items.sort(key=_turn)


def _is_cluster(item: pytest.Item) -> bool:
    return item.get_closest_marker("cluster") is not None


def _turn(item: pytest.Item) -> int:
    if group_of(item.nodeid) == PROCESSES:
        return 0
    return 1 if item.nodeid.startswith(LONG) else 2
