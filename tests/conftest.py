"""For all tests: `--rewrite`, hypothesis profiles, and real processes last.

Under CI (the variable CI is set) hypothesis draws the same examples every time, so that a red run
is the fault of the change under test; a developer's runs go on looking for new ones.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is quick and precise fails first. The rest of the order stays, random as it is."""
    items.sort(key=lambda item: item.get_closest_marker("cluster") is not None)
