"""ShiViz: its rules on real traces with faults, the order of events, the cut, and no trace."""

from pathlib import Path

import pytest

from lab.exports import write_shiviz
from lab.exports.labels import UNTOLD, WIDTH_MAX, told
from lab.trace.kinds import Crash, Got, Note, Phase
from lab.trace.trace import Event, Trace
from tests.lab.exports.shiviz_reader import LogError, Row, happened_before, read
from tests.lab.exports.traces import RUNS, events

EVENTS_MAX = 300


def shown(trace: list[Event]) -> list[Event]:
    return [event for event in trace if type(event.data) not in UNTOLD]


def as_row(event: Event) -> tuple[int, str, str]:
    return (event.t_us, event.node or "NEMESIS", told(event))


@pytest.mark.parametrize(("scenario", "seed"), RUNS)
def test_the_rules_hold_wherever_it_is_cut(tmp_path: Path, scenario: str, seed: int) -> None:
    trace = events(scenario, seed)
    path = tmp_path / "log"
    for around in (None, 0, len(trace) // 3, len(trace) // 2, len(trace) - 1):
        count = write_shiviz(trace, path, around)
        rows = read(path)
        assert len(rows) == count == EVENTS_MAX
        assert [row.t_us for row in rows] == sorted(row.t_us for row in rows)


@pytest.mark.parametrize(("scenario", "seed"), RUNS)
def test_two_events_are_ordered_as_in_the_trace(tmp_path: Path, scenario: str, seed: int) -> None:
    """The file leaves out most events, and none of the order between those that it keeps."""
    trace = events(scenario, seed)
    path = tmp_path / "log"
    for around in (None, 2 * len(trace) // 3):
        write_shiviz(trace, path, around)
        rows = read(path)
        kept = matched(rows, shown(trace))
        pasts = pasts_of(trace)
        for i, row in enumerate(rows):
            for j, other in enumerate(rows):
                if i != j:
                    expected = bool(pasts[kept[j].seq] >> kept[i].seq & 1)
                    assert happened_before(row, other) == expected, (row, other)


def matched(rows: list[Row], trace: list[Event]) -> list[Event]:
    """The events that these rows show: the file keeps their order."""
    found: list[Event] = []
    rest = iter(trace)
    for row in rows:
        wanted = (row.t_us, row.host, row.text)
        found.append(next(event for event in rest if as_row(event) == wanted))
    return found


def pasts_of(trace: list[Event]) -> list[int]:
    """For each event its causal past as a set of bits, by brute force over the whole trace."""
    pasts: list[int] = []
    last: dict[str, int] = {}
    for event in trace:
        past = 0
        if event.node in last:
            past |= pasts[last[event.node]] | 1 << last[event.node]
        if type(event.data) is Got:
            assert event.cause is not None
            past |= pasts[event.cause] | 1 << event.cause
        pasts.append(past)
        last[event.node] = event.seq
    return pasts


def test_a_small_trace_is_whole(tmp_path: Path) -> None:
    trace = [event for event in events("calm", 1) if event.seq < 250]
    write_shiviz(trace, tmp_path / "log")
    rows = read(tmp_path / "log")
    assert [(r.t_us, r.host, r.text) for r in rows] == [as_row(one) for one in shown(trace)]


def test_the_cut_holds_the_failure_and_what_led_to_it(tmp_path: Path) -> None:
    trace = events("crash-storm", 4)
    crash = [event for event in trace if type(event.data) is Crash][1]
    write_shiviz(trace, tmp_path / "log", crash.seq)
    kept = [event.seq for event in matched(read(tmp_path / "log"), shown(trace))]
    assert crash.seq in kept
    past = pasts_of(trace)[crash.seq]
    of_past = [one.seq for one in shown(trace) if past >> one.seq & 1]
    assert set(of_past[-(EVENTS_MAX // 2) + 1 :]) <= set(kept)
    assert min(kept) < crash.seq < max(kept)


def test_without_a_place_it_shows_the_first_trouble(tmp_path: Path) -> None:
    trace = events("crash-storm", 4)
    write_shiviz(trace, tmp_path / "log")
    assert any(row.text.startswith("crash: ") for row in read(tmp_path / "log"))


def test_an_empty_trace_is_an_empty_log(tmp_path: Path) -> None:
    assert write_shiviz(Trace(), tmp_path / "log") == 0
    assert write_shiviz([], tmp_path / "log", around=5) == 0
    assert read(tmp_path / "log") == []


def test_what_people_wrote_stays_on_its_line(tmp_path: Path) -> None:
    trace = Trace()
    nasty = "a\nb\r\u2028\u2029\u202e\x1b[31m} 7 n2 {" + "x" * 500
    trace.add(1, "n-1", 1, Note("oops", "info", {"text": nasty}))
    trace.add(2, "", 0, Phase("heal"))
    write_shiviz(trace, tmp_path / "log")
    rows = read(tmp_path / "log")
    assert [(row.host, row.clock) for row in rows] == [
        ("n-1", {"n-1": 1}),
        ("NEMESIS", {"NEMESIS": 1}),
    ]
    assert len(rows[0].text) <= WIDTH_MAX
    assert rows[0].text.isprintable()


@pytest.mark.parametrize(
    "lines",
    [
        '1 a {"a": 2} x',
        '1 a {"b": 1} x',
        '1 a {"a": 1} x\n2 a {"a": 1} y',
        '1 a {"a": 1} x\n2 a {"a": 3} y',
        '1 a {"a": 1, "b": 1} x',
        '1 b {"b": 1} x\n1 a {"a": 1, "b": 1} x\n2 a {"a": 2} y',
        'nonsense\n1 a {"a": 1} x',
    ],
)
def test_the_reader_sees_what_is_wrong(tmp_path: Path, lines: str) -> None:
    head = r"(?<timestamp>\d+) (?<host>\S+) (?<clock>{[^}]*}) (?<event>.*)"
    (tmp_path / "log").write_text(f"{head}\n\n{lines}\n", encoding="utf-8")
    with pytest.raises(LogError):
        read(tmp_path / "log")
