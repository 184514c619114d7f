"""Fixtures for the tests of the lab: short socket paths, and a fake node."""

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Test folders are no packages: the fake is loaded by its path, under one name for all tests.
_spec = importlib.util.spec_from_file_location("fakenode", Path(__file__).parent / "fakenode.py")
assert _spec is not None and _spec.loader is not None
fakenode = importlib.util.module_from_spec(_spec)
sys.modules["fakenode"] = fakenode
_spec.loader.exec_module(fakenode)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A private folder with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as folder:
        os.chmod(folder, 0o700)
        yield Path(folder)


@pytest.fixture
def fake_node(short_path: Path) -> Iterator[Callable[[Any], Any]]:
    made: list[Any] = []

    def make(answer: Any) -> Any:
        node = fakenode.FakeNode(short_path / "control", answer)
        made.append(node)
        return node

    yield make
    for node in made:
        node.close()
