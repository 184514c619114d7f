"""The tutorial cannot drift: each chapter is followed in a new folder, and what it says is true."""

import re

import pytest

from tests.shown import ROOT, Reader, reader

pytestmark = pytest.mark.cluster

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
CHAPTERS = dict(re.findall(r"(?ms)^## (Chapter \d): [^\n]*\n(.*?)(?=^## |\Z)", TUTORIAL))


def followed(reading: Reader, chapter: str) -> None:
    assert reading.follow(CHAPTERS[chapter]) >= 4


def table(reading: Reader, command: str) -> dict[str, dict[str, float]]:
    """The figures of a sweep, by the last value of each row's variant."""
    printed = reading.ran[command].splitlines()
    heading, *rows = [line for line in printed if not line.startswith("exit code")]
    names = re.split(r"\s{2,}", heading.strip())[1:]
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        variant, *figures = re.split(r"\s{2,}", row.strip())
        values = [float(text.rstrip("%").replace(",", "")) for text in figures]
        found[variant.rpartition("=")[2]] = dict(zip(names, values, strict=True))
    return found


def command_with(reading: Reader, text: str) -> str:
    (found,) = [command for command in reading.ran if text in command]
    return found


def rising(values: list[float]) -> bool:
    return values == sorted(values) and len(set(values)) == len(values)


def test_every_chapter_is_followed() -> None:
    assert list(CHAPTERS) == ["Chapter 1", "Chapter 2", "Chapter 3"]
    between = re.sub(r"(?ms)^## Chapter .*?(?=^## |\Z)", "", TUTORIAL)
    assert "```console" not in between


def test_run_and_measure() -> None:
    with reader() as reading:
        followed(reading, "Chapter 1")
        ways = table(reading, command_with(reading, "direct_peers_max=32,0"))
        assert 100 < ways["32"]["LAG MS"] < 120  # one hop
        assert ways["0"]["LAG MS"] > 1.5 * ways["32"]["LAG MS"]
        assert ways["0"]["PACKETS/EVENT"] > 2 * ways["32"]["PACKETS/EVENT"]
        assert ways["32"]["PACKETS/EVENT"] > 24
        fanout = table(reading, command_with(reading, "gossip.fanout"))
        assert list(fanout) == ["1", "2", "3"]
        assert rising([row["PACKETS/EVENT"] for row in fanout.values()])
        assert rising([-row["LAG MS"] for row in fanout.values()])
        assert rising([-row["REPAIRED"] for row in fanout.values()])


def test_break_the_network_and_repair() -> None:
    with reader() as reading:
        followed(reading, "Chapter 2")
        pauses = table(reading, command_with(reading, "gossip.round_ms"))
        assert list(pauses) == ["3600000", "3200", "800", "200", "50"]
        assert pauses.pop("3600000")["FAILED"] == 5
        assert {row["FAILED"] for row in pauses.values()} == {0}
        assert rising([row["PACKETS/EVENT"] for row in pauses.values()])
        assert rising([-row["LAG MS"] for row in pauses.values()])
        assert pauses["200"]["LAG MS"] < 1.2 * pauses["50"]["LAG MS"]  # hardly anything is gained


def test_break_the_code_and_repair() -> None:
    with reader() as reading:
        followed(reading, "Chapter 3")
        assert (reading.lab.folder / "small.json").is_file()
