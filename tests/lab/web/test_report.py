"""Reports as people see them: one file, opened in Chromium, clicked, zoomed, in light and dark."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from domain.commands import PostMessage
from lab.campaign.judged_run import JudgedRun, judged, judged_trace, opened, run_judged
from lab.cli.main import main
from lab.plan.faults import Kill, Op, Plan, Timed, plan_to_json
from lab.real import recorded_run
from lab.trace.file import TraceError, write_lines
from lab.trace.kinds import Ok
from lab.trace.trace import Trace
from lab.view.columns import Columns
from lab.web.report import SCRIPTS, Side, filled, first_difference, one_script, write_report
from tests.mutants.command import plant
from tests.node.recordings import Clock, Recorded, exchange

if TYPE_CHECKING:
    from playwright.sync_api import Page

NewPage = Callable[..., "Page"]
EVIL = "</script><script>window.evil = 1</script><img src=x onerror='window.evil = 2'><b>bold</b>"
WRITTEN = "ack-before-sync"  # a planted bug: it shows events before they are durable


def plan(text: str = "hello", author: str = "ana") -> Plan:
    posts = [
        Op(
            id=at,
            at_us=200_000 * at,
            session="c",
            node="n1",
            action="post",
            author=author,
            text=text,
        )
        for at in range(1, 6)
    ]
    kill = Timed(id=1, at_us=700_000, until_us=1_500_000, fault=Kill("n2"))
    return Plan(
        scenario="drawn",
        seed=1,
        nodes=("n1", "n2", "n3"),
        faults_us=2_000_000,
        liveness_us=3_000_000,
        ops=tuple(posts),
        faults=(kill,),
    )


@pytest.fixture(scope="module")
def failed() -> JudgedRun:
    with plant(WRITTEN):
        return run_judged(opened("power-cuts"), 2)


@pytest.fixture(scope="module")
def sound() -> JudgedRun:
    return run_judged(opened("power-cuts"), 2)


@pytest.fixture(scope="module")
def file(failed: JudgedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "one.html"
    write_report([Side("one", failed, "chatlab lab replay one")], path)
    return path


def drawn(page: "Page") -> "Page":
    """Once the frame that draws is over."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page


def shown(page: "Page", path: Path) -> "Page":
    page.goto(path.as_uri())
    return drawn(page)


def inks(page: "Page", selector: str = "canvas.diagram") -> int:
    """How many colours a canvas has, with the empty one."""
    found: int = page.evaluate(
        """selector => {
            const canvas = document.querySelector(selector);
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.data.buffer)).size;
        }""",
        selector,
    )
    return found


def diagram(page: "Page", what: str, side: int = 0) -> Any:
    return page.evaluate(f"report.sides[{side}].diagram.{what}")


# --- the file -------------------------------------------------------------------------------------


def test_the_scripts_share_a_scope_without_sharing_a_name() -> None:
    script = one_script()
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)
    names = re.findall(r"^(?:class|const|function) ([\w$]+)", script, re.MULTILINE)
    assert len(names) > 20
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert len(SCRIPTS) == 7


def test_data_cannot_leave_its_script_element() -> None:
    page = filled("<i>{{data}}</i>", "", "", {"text": "</script>{{script}}<!--", "one": 1})
    inside = page[3:-4]
    assert "<" not in inside
    assert json.loads(inside) == {"text": "</script>{{script}}<!--", "one": 1}


def test_the_first_difference_is_named_on_both_sides(failed: JudgedRun, sound: JudgedRun) -> None:
    events, others = failed.trace.events, sound.trace.events
    parts = first_difference(events, others)
    assert parts is not None
    at = parts[0][0]
    assert [one.data for one in events[1:at]] == [one.data for one in others[1:at]]
    assert events[at] != others[at]
    assert "written 1, durable 1" in parts[1][1]
    assert first_difference(events, events) is None
    assert first_difference(events, events[:50]) == [
        [50, first_difference(events, events[:50])[0][1]],  # type: ignore[index]
        [49, "the run has ended"],
    ]
    assert first_difference(events[:50], events)[0] == [49, "the run has ended"]  # type: ignore[index]


# --- a browser ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_shows_where_it_went_wrong(scheme: str, file: Path, new_page: NewPage) -> None:
    page = shown(new_page(scheme), file)
    assert page.title() == "power-cuts: fail, chatlab report"
    assert "C5 monotone log" in page.inner_text("#head")
    assert inks(page) > 20
    assert inks(page, "canvas.curve") > 3
    witnesses = page.evaluate("report.data.runs[0].verdicts.find(one => one[3] === 'fail')[5]")
    marks = diagram(page, "marks.map(row => report.sides[0].rows.seq[row])")
    assert marks == witnesses
    pixels = page.evaluate(
        """() => {
            const {canvas} = report.sides[0].diagram, probe = document.createElement('canvas');
            const ink = probe.getContext('2d');
            ink.fillStyle = getComputedStyle(canvas).getPropertyValue('--mark');
            ink.fillRect(0, 0, 1, 1);
            const [wanted] = new Uint32Array(ink.getImageData(0, 0, 1, 1).data.buffer);
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return new Uint32Array(data.data.buffer).filter(one => one === wanted).length;
        }"""
    )
    assert pixels > 40 * len(witnesses)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is (scheme == "light")


def test_a_sentence_leads_into_the_diagram(file: Path, new_page: NewPage) -> None:
    page = shown(new_page(), file)
    assert page.locator("#told li.witness").count() == 1
    page.click("#told li.witness button")
    drawn(page)
    row = diagram(page, "selected")
    t = page.evaluate("row => report.sides[0].rows.t[row]", row)
    assert diagram(page, "marks") == [row]
    assert diagram(page, "range.t0") <= t <= diagram(page, "range.t1")
    assert diagram(page, "level") == "events"
    assert "n2 visible" in page.inner_text("#chosen strong")
    top, bottom = page.evaluate(
        "(({top, bottom}) => [top, bottom])(report.sides[0].diagram.canvas.getBoundingClientRect())"
    )
    assert top >= -1  # pixels are rounded
    assert bottom <= 901
    assert "events are in its past" in page.inner_text("#chosen")
    page.click("#chosen li button")  # its cause
    assert diagram(page, "selected") < row
    page.click("#none")
    assert diagram(page, "selected") == -1


def test_a_click_selects_the_event_and_draws_its_cone(file: Path, new_page: NewPage) -> None:
    page = shown(new_page(), file)
    row = page.evaluate(
        """() => {
            const {rows, diagram} = report.sides[0];
            const crash = [...rows.kind.subarray(0, rows.length)].indexOf(rows.code.crash);
            diagram.setRange(rows.t[crash] - 50000, rows.t[crash] + 50000);
            return crash;
        }"""
    )
    drawn(page)
    before = inks(page)
    x, y = page.evaluate(
        """row => {
            const {rows, diagram} = report.sides[0], box = diagram.canvas.getBoundingClientRect();
            const part = (rows.t[row] - diagram.range.t0) / (diagram.range.t1 - diagram.range.t0);
            return [box.left + 64 + part * (box.width - 74), box.top + diagram.y(rows.lane[row])];
        }""",
        row,
    )
    page.mouse.click(x, y)
    drawn(page)
    kind = "report.sides[0].rows.kinds[report.sides[0].rows.kind[report.sides[0].diagram.selected]]"
    assert page.evaluate(kind) == "crash"
    assert inks(page) != before
    assert "crash" in page.inner_text("#chosen strong")


def test_keys_buttons_and_the_mouse_move_and_zoom(file: Path, new_page: NewPage) -> None:
    page = shown(new_page(), file)
    canvas = page.locator("canvas.diagram")

    def span() -> float:
        found: float = diagram(page, "range.t1 - report.sides[0].diagram.range.t0")
        return found

    whole = span()
    page.click("#in")
    assert span() == pytest.approx(whole / 2)
    page.click("#out")
    assert span() == pytest.approx(whole)
    canvas.focus()
    page.keyboard.press("+")
    assert span() == pytest.approx(0.6 * whole)
    from_us = diagram(page, "range.t0")
    page.keyboard.press("ArrowRight")
    assert diagram(page, "range.t0") == pytest.approx(from_us + 0.06 * whole)
    page.keyboard.press("-")
    page.keyboard.press("0")
    assert diagram(page, "range.t0") == 0
    assert span() == pytest.approx(whole)
    page.keyboard.press(".")
    first = diagram(page, "selected")
    assert first >= 0
    page.keyboard.press(".")
    assert diagram(page, "selected") > first
    page.keyboard.press("Escape")
    assert diagram(page, "selected") == -1
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 600, box["y"] + 100)
    page.mouse.wheel(0, -300)
    page.wait_for_function("report.sides[0].diagram.range.t0 > 0")
    assert span() < whole
    from_us = diagram(page, "range.t0")
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 100, steps=4)
    page.mouse.up()
    assert diagram(page, "range.t0") > from_us
    assert diagram(page, "selected") == -1  # that was no click


def test_the_matrix_is_of_the_time_of_its_slider(file: Path, new_page: NewPage) -> None:
    page = shown(new_page(), file)
    label = page.get_attribute(".matrix canvas", "aria-label")
    assert label is not None
    assert label.endswith("0 nodes lack some")
    page.fill("input[type=range]", "150")
    drawn(page)
    assert diagram(page, "cursor") > 0
    label = page.get_attribute(".matrix canvas", "aria-label")
    assert label is not None
    assert label.endswith("1 nodes lack some")
    assert inks(page, ".matrix canvas") > 2
    page.click(".matrix canvas", position={"x": 160, "y": 5})
    assert re.search(r"n\d\.\w+:\d+ .*\(n1, ", page.inner_text(".matrix p"))


def test_two_runs_share_an_axis_and_are_marked_where_they_part(
    failed: JudgedRun, sound: JudgedRun, tmp_path: Path, new_page: NewPage
) -> None:
    path = tmp_path / "two.html"
    write_report([Side("broken", failed), Side("sound", sound)], path)
    page = shown(new_page("dark"), path)
    assert page.locator("canvas.diagram").count() == 2
    parts = page.evaluate("report.data.parts")
    for side in (0, 1):
        assert diagram(page, "marks", side) == [
            page.evaluate(f"report.sides[{side}].rows.rowOf({parts[side][0]})")
        ]
    page.click("#head li:nth-child(2) button")
    assert diagram(page, "selected", 1) >= 0
    assert diagram(page, "range", 0) == diagram(page, "range", 1)
    assert "written 1, durable 1" in page.inner_text("#head")


def test_what_users_wrote_is_text(tmp_path: Path, new_page: NewPage) -> None:
    path = tmp_path / "evil.html"
    write_report([Side(EVIL, run_judged(plan(EVIL, "<i>ana</i>")), EVIL)], path)
    page = shown(new_page(), path)
    assert EVIL in page.inner_text("#head code")
    assert 'posts m1 "</script><script>window.evil' in page.inner_text("#told ol")
    assert page.locator("b, i:not(.legend i), img").count() == 0
    page.click(".matrix canvas", position={"x": 155, "y": 5})
    assert "<b>bold</b>" in page.inner_text(".matrix p")
    assert page.evaluate("window.evil") is None


def test_a_narrow_page_cuts_nothing(file: Path, new_page: NewPage) -> None:
    page = shown(new_page("light", 420, 800), file)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# --- the command ----------------------------------------------------------------------------------


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["lab", "report", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_token_a_plan_and_a_trace_make_reports(
    failed: JudgedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, token = str(tmp_path / "out.html"), str(failed.token)
    code, said, wrong = answer(capsys, f"{WRITTEN}+{token}", "--html", out)
    assert (code, wrong) == (0, "")
    assert said.startswith(f"{out}: {len(failed.trace):,} events, ")
    assert f"chatlab lab replay {WRITTEN}+{token}" in Path(out).read_text()
    code, said, wrong = answer(capsys, f"{WRITTEN}+{token}", token, "--html", out)
    assert (code, wrong, " and " in said) == (0, "", True)
    made_of = tmp_path / "plan.json"
    made_of.write_bytes(plan_to_json(plan()))
    assert answer(capsys, str(made_of), "--html", out)[0] == 0
    long = str(
        run_judged(plan("".join(map(chr, range(0x4E00, 0x4F00))))).token
    )  # a plan inside of a token: longer than a file's name
    assert answer(capsys, long, "--html", out)[0] == 0
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(b"".join(write_lines(failed.trace)))
    assert answer(capsys, str(trace), "--html", out)[0] == 0
    assert judged_trace(failed.trace).verdicts == failed.verdicts


def test_recordings_of_nodes_make_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    nodes = [Recorded(name, tmp_path / "run", clock) for name in ("n1", "n2", "n3")]
    for number in range(5):
        nodes[number % 3].submit(PostMessage("ana", f"hello {number}"))
        exchange(nodes)
    for node in nodes[1:]:
        node.ended()
    out = tmp_path / "out.html"
    code, said, wrong = answer(capsys, str(tmp_path / "run"), "--html", str(out))
    assert (code, wrong) == (0, "")
    assert said.startswith(f"{out}: ")
    page = out.read_text()
    assert all(f"hello {number}" in page for number in range(5))
    run = recorded_run(tmp_path / "run")
    columns = Columns().add_all(run.trace).take()
    kinds = [columns["kinds"][kind] for kind in columns["kind"]]
    assert kinds.count("visible") == 15
    assert run.plan.nodes == ("n1", "n2", "n3")
    news = [
        columns["kinds"][columns["kind"][cause]]
        for kind, cause in zip(kinds, columns["cause"], strict=True)
        if kind == "handed"
    ]
    assert news.count("recv") == 10
    oks = [one.data for one in run.trace if type(one.data) is Ok]
    assert [one.text for one in oks] == [f"hello {number}" for number in range(5)]
    assert {one.rule for one in judged(run, run.plan, 0).verdicts if one.outcome == "fail"} == set()


def test_what_is_no_run_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.jsonl").write_text("{}\n")
    (tmp_path / "none.jsonl").write_text("")
    for given, said in (
        (str(tmp_path / "empty"), "there are no recordings"),
        (str(tmp_path / "bad.jsonl"), "line 1 is no event"),
        (str(tmp_path / "none.jsonl"), "that is no whole trace"),
        (str(tmp_path / "missing.jsonl"), "No such file"),
        ("nothing", "that is no token"),
    ):
        code, _, wrong = answer(capsys, given, "--html", str(tmp_path / "x"))
        assert (code, said in wrong) == (2, True), (given, wrong)
        assert len(wrong.splitlines()) == 1
    made_of = tmp_path / "plan.json"
    made_of.write_bytes(plan_to_json(plan()))
    assert answer(capsys, str(made_of), "--html", "/")[0] == 2
    with pytest.raises(TraceError):
        judged_trace(Trace())
