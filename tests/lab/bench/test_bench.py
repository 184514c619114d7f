"""The benches: each runs, small, and says all its figures; their file, table and page.

Whether a goal is met is not for a test: that is a matter of the machine.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from msgspec.structs import replace

from lab.bench import report
from lab.bench.__main__ import BENCHES, figures_of, main
from lab.bench.baselines import append_ms, append_s, read_s, transfer_s
from lab.bench.figures import Bare, figure, quantile, quantiles, ratios
from lab.bench.load import TEXT_BYTES, Texts
from lab.bench.machine_facts import gather
from lab.bench.report import Results
from lab.bench.scale import QUICK
from lab.bench.session import Session

GOALS = {  # of each bench: how many of its figures have one
    "start": 3,
    "ingest": 4,
    "spread": 2,
    "sustain": 1,
    "catchup": 4,
    "restart": 4,
    "footprint": 4,
    "idle": 5,
    "growth": 6,
    "moderation": 5,
    "sim": 4,
    "observe": 11,
}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(QUICK) as session:
        yield session


@pytest.mark.cluster
@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_gives_all_its_figures(name: str, session: Session) -> None:
    found = figures_of(name, session)
    assert {one.bench for one in found} == {name}
    assert len({one.name for one in found}) == len(found)
    assert sum(one.goal is not None for one in found) == GOALS[name]
    for one in found:
        assert one.count > 0
        assert all(math.isfinite(value) for value in (one.min, one.median, one.max)), one
        assert 0 <= one.min <= one.median <= one.max, one
        assert one.median > 0 or not one.unit, one  # a count of what is too slow may be 0
        assert one.ratio is None or one.ratio > 0, one


def test_every_bench_has_its_number_of_goals() -> None:
    assert GOALS.keys() == set(BENCHES)


def test_a_figure_knows_its_ratio_and_whether_its_goal_is_met() -> None:
    bare = Bare("nothing", (10.0, 20.0, 30.0))
    one = figure("rate", "1/s", [4.0, 6.0, 5.0], at_least=5, bare=bare)
    assert (one.median, one.min, one.max, one.count) == (5, 4, 6, 3)
    assert (one.bare, one.ratio, one.met) == (20, 0.25, True)
    assert figure("time", "s", [6.0], at_most=5).met is False
    assert figure("time", "s", [6.0]).met is None
    assert ratios([6.0, 4.0], [2.0, 1.0]) == [3, 4]


def test_quantiles_are_of_interleaved_parts() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantiles([float(n) for n in range(10)], 0.5) == [5, 6, 7, 8, 9]
    assert quantiles([1.0], 0.99) == [1.0]


def test_texts_are_the_same_each_time_and_never_the_same_twice() -> None:
    first = Texts().take(500)
    assert first == Texts().take(500)
    assert len(set(first)) == 500
    assert {len(text.encode()) for text in first} == {TEXT_BYTES}


def test_the_baselines_do_what_they_say(tmp_path: Path) -> None:
    assert append_s(10, 100, 3) > 0
    assert append_s(2, 100, 5) > 0
    assert len(append_ms(3, 100)) == 3
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    assert read_s([file]) > 0
    assert transfer_s(20, 1000) > 0


def some_results() -> Results:
    curve = [(0.0, 33.0), (500_000.0, 60.0), (1_000_000.0, 90.0)]
    bare = Bare("a file", (1.0,))
    growth = figure("growth", "MiB", [90.0], at_most=80, curve=curve, x_name="messages")
    return Results(
        gather(quick=True),
        [
            replace(growth, bench="memory"),
            replace(figure("rate", "msg/s", [12_345.6], bare=bare, note="one run"), bench="ingest"),
        ],
    )


def test_results_survive_their_file(tmp_path: Path) -> None:
    written = some_results()
    report.write(written, tmp_path / "results.json")
    assert report.read(tmp_path / "results.json") == written
    document = msgspec.json.decode((tmp_path / "results.json").read_bytes())
    assert [one["met"] for one in document["figures"]] == [False, None]
    assert document["figures"][1]["ratio"] == pytest.approx(12_345.6)


def test_the_table_shows_goal_span_bare_and_ratio() -> None:
    lines = report.shown(some_results().figures).splitlines()
    assert " ".join(lines[1].split()) == "memory growth 90 MiB 90 to 90 1 <= 80 MISSED"
    assert "12,346 msg/s" in lines[2]
    assert lines[3:] == ["  bare: a file", "  rate: one run"]


def test_the_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n", encoding="utf-8")
    report.rewrite_page(some_results(), document)
    report.rewrite_page(some_results(), document)
    text = document.read_text(encoding="utf-8")
    assert text.startswith(f"above\n{report.BEGIN}\nRun of ")
    assert text.endswith(f"{report.END}\nbelow\n")
    assert "old" not in text
    assert "| memory | growth | 90 MiB | 90 to 90 | 1 | <= 80 | **missed** |" in text
    assert "(performance/memory-growth.svg)" in text
    assert (tmp_path / "performance" / "memory-growth.svg").is_file()
    document.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="no marks"):
        report.rewrite_page(some_results(), document)


@pytest.mark.parametrize("curve", [[(0.0, 0.0), (10.0, 5.0)], [(0.0, 0.0), (0.0, 0.0)]])
def test_a_plot_is_a_picture_with_a_line(tmp_path: Path, curve: list[tuple[float, float]]) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"{report.BEGIN}{report.END}", encoding="utf-8")
    one = figure("a < b", "MiB", [5.0], curve=curve, x_name="messages")
    report.rewrite_page(Results(gather(quick=True), [one]), document)
    (picture,) = (tmp_path / "performance").glob("*.svg")
    root = ET.parse(picture).getroot()
    assert root.tag.endswith("svg")
    texts = {part.text for part in root.iter() if part.tag.endswith("text")}
    assert {": a < b", "messages", "MiB"} <= texts
    assert [part for part in root.iter() if part.tag.endswith("path")]


def test_a_bench_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no bench 'nothing'" in capsys.readouterr().err
