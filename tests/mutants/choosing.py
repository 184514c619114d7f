"""A plugin of pytest: run chosen tests in a chosen order, or record which lines each test executes.

`-p tests.mutants.choosing` with CHOSEN (a file with one test a line) or RECORD (a file to write).
"""

import os
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from tests.mutants.reaching import Reached, recorded, recorder

ROOT = Path(__file__).resolve().parents[2]
CHOSEN, RECORD = "CHATLAB_MUTANTS_CHOSEN", "CHATLAB_MUTANTS_RECORD"


class Executed(Struct):
    """What was recorded of one file of tests."""

    took_s: dict[str, float]  # of those that passed
    reached: Reached


_recording = recorder(ROOT) if os.environ.get(RECORD) else None
_took_s: dict[str, float] = {}
_failed: set[str] = set()


@pytest.hookimpl(trylast=True)  # after the one of conftest.py, which sorts as well
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if path := os.environ.get(CHOSEN):
        order = {name: at for at, name in enumerate(Path(path).read_text().splitlines())}
        items[:] = [one for one in items if one.nodeid in order]
        items.sort(key=lambda one: order[one.nodeid])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if _recording is not None:
        _recording.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _took_s[report.nodeid] = _took_s.get(report.nodeid, 0.0) + report.duration
    if not report.passed:
        _failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    if _recording is not None:
        passed = {name: s for name, s in _took_s.items() if name not in _failed}
        made = Executed(passed, recorded(_recording, ROOT, list(passed)))
        Path(os.environ[RECORD]).write_bytes(msgspec.json.encode(made))
