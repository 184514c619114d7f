"""The README cannot drift: its commands are run in order, and what they say has the same shape."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.shown import DOTS, ROOT, Reader, blocks, interleaved, reader, run, shape, shapes

pytestmark = pytest.mark.cluster

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_comparison_compares() -> None:
    assert interleaved(["a", "x", "b"], ["a", "b"], ["x"])
    assert interleaved(["a", DOTS, "x"], ["a", "b", "c"], ["x"])
    assert interleaved(["a b ..."], ["a b c d"], [])
    assert not interleaved(["a", "b"], ["b", "a"], [])
    assert not interleaved(["a"], ["a"], ["x"])
    assert not interleaved(["a b ..."], ["a c b"], [])
    assert shape("n1.5bdd:1  stored, 12 ms") == shape("n1.01bd:1 stored, 1.5 s")
    assert shape("n1.5bdd:1  stored") != shape("n2.5bdd:1  stored")
    token = "ack-before-sync+power-cuts.2.1vEGQ7q3WlucWC2c.pI02.Rg2zrq_2DQdw.lE_"
    assert shape(f"token {token}") == "token TOKEN"


@pytest.fixture
def reading() -> Iterator[Reader]:
    with reader() as made:
        made.lab.write((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
        yield made


def test_the_commands_do_what_the_readme_shows(reading: Reader) -> None:
    assert reading.follow(README) >= 10
    assert reading.lab.cluster.running() == []


def test_the_demo_ends_as_the_readme_shows(reading: Reader) -> None:
    ran = run(reading.lab, "chatlab demo --fast")
    assert ran.returncode == 0, ran
    (said,) = [block for block in blocks(README, "text") if "PROVED" in block]
    expected = [DOTS, *shapes(said), DOTS]
    assert interleaved(expected, shapes(ran.stdout), shapes(ran.stderr)), ran.stdout + ran.stderr


def test_the_scripts_exist() -> None:
    scripts = re.findall(r"^(scripts/\w+)", "".join(blocks(README, "sh")), re.MULTILINE)
    assert scripts == ["scripts/demo", "scripts/test"]
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)
