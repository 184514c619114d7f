"""The figures of `chatlab stat`: rates over each node's own interval, and counters that restart."""

import msgspec
import pytest

from lab.cli.stat import COLUMNS, cells
from lab.observe.cluster_rates import ClusterFigures, ClusterRates
from lab.terminal.formats import short_count
from node.control.messages import LogStatus, PlacesStatus, Status, WorkerStatus


def status(
    node: str = "n1",
    events: int = 10,
    *,
    root: str = "aa",
    incarnation: int = 1,
    uptime_ms: int = 60_000,
    missing: int = 0,
    restarts: int = 0,
    **counters: int,
) -> Status:
    return Status(
        id=1,
        node=node,
        pid=1,
        state="running",
        epoch=1,
        incarnation=incarnation,
        events=events,
        root=root,
        frontier=[LogStatus("n1", 5, events, [], "")] if events else [],
        missing=missing,
        peers={},
        durability="always",
        written_upto=0,
        durable_upto=0,
        quiet_for_ms=0,
        stable=True,
        workers={"feed": WorkerStatus("running", restarts, 5)},
        forked=[],
        uptime_ms=uptime_ms,
        counters=counters,
        places=PlacesStatus(1, 1, 0, []),
    )


def looked(rates: ClusterRates, at_ms: int, *statuses: Status) -> ClusterFigures:
    figures = rates.look(at_ms, {one.node: one for one in statuses})
    assert figures is not None
    return figures


def begun(*statuses: Status, nodes: int = 3) -> ClusterRates:
    rates = ClusterRates(nodes)
    assert rates.look(100_000, {one.node: one for one in statuses}) is None
    return rates


def test_rates_are_sums_over_nodes() -> None:
    rates = begun(
        status("n1", 10, posted=10, bytes_sent=1000),
        status("n2", 10, bytes_received=500, entries_duplicate=2),
    )
    figures = looked(
        rates,
        102_000,
        status("n1", 30, posted=30, bytes_sent=5000, rounds_same=3, rounds_differed=1),
        status("n2", 26, root="bb", bytes_received=4500, entries_duplicate=5, rounds_same=2),
    )
    assert figures == ClusterFigures(
        at_ms=102_000,
        nodes=3,
        up=2,
        events=30,
        missing=4,
        roots=2,
        events_per_s=10,
        posted_per_s=10,
        rounds_per_s=3,
        received_bytes_per_s=2000,
        sent_bytes_per_s=2000,
        duplicates_per_s=1.5,
        restarts=0,
    )


def test_a_node_that_was_silent_brings_its_own_interval() -> None:
    rates = begun(status("n1", posted=0), status("n2", bytes_sent=0))
    for at_ms in (101_000, 102_000, 103_000):
        assert looked(rates, at_ms, status("n1")).up == 1
    back = looked(rates, 104_000, status("n1"), status("n2", bytes_sent=4000))
    assert back.sent_bytes_per_s == 1000


def test_a_restart_is_counted_and_its_counters_began_anew() -> None:
    rates = begun(status(bytes_sent=9000, posted=90))
    after = status(incarnation=3, uptime_ms=500, bytes_sent=400, restarts=1)
    figures = looked(rates, 101_000, after)
    assert (figures.restarts, figures.sent_bytes_per_s, figures.posted_per_s) == (3, 400, 0)
    figures = looked(rates, 102_000, status(incarnation=3, restarts=2, bytes_sent=400))
    assert (figures.restarts, figures.sent_bytes_per_s) == (1, 0)


def test_a_life_that_begins_anew_in_one_process_never_makes_a_rate_negative() -> None:
    rates = begun(status(bytes_sent=9000, restarts=2))
    figures = looked(rates, 101_000, status(bytes_sent=100, restarts=0))
    assert (figures.sent_bytes_per_s, figures.restarts) == (0, 0)


@pytest.mark.parametrize(("uptime_ms", "rate"), [(500, 700), (60_000, 0)])
def test_a_node_first_seen_counts_only_if_it_began_since_the_last_look(
    uptime_ms: int, rate: float
) -> None:
    rates = begun(status("n1"))
    late = status("n2", uptime_ms=uptime_ms, bytes_sent=700)
    assert looked(rates, 101_000, status("n1"), late).sent_bytes_per_s == rate


def test_what_goes_down_takes_events_away_and_brings_none_back() -> None:
    rates = begun(status("n1", 10), status("n2", 50))
    gone = looked(rates, 101_000, status("n1", 10))
    assert (gone.events, gone.events_per_s, gone.missing) == (10, 0, 0)
    back = looked(rates, 102_000, status("n1", 10), status("n2", 60))
    assert (back.events, back.events_per_s, back.missing) == (60, 10, 50)


def test_what_a_node_knows_to_be_missing_counts_though_nobody_holds_it() -> None:
    assert looked(begun(status()), 101_000, status(missing=3)).missing == 3


def test_where_nobody_answers_there_is_a_line_all_the_same() -> None:
    rates = begun(status())
    figures = looked(rates, 101_000)
    assert (figures.up, figures.events, figures.missing, figures.roots) == (0, None, None, 0)
    assert cells(figures) == [
        "00:01:41", "0/3", "-", "0.0", "-", "0", "0.0", "0", "0", "0.0", "0",
    ]  # fmt: skip
    assert looked(rates, 102_000, status()).up == 1


def test_a_clock_that_goes_back_makes_no_nonsense() -> None:
    rates = begun(status(bytes_sent=0))
    assert looked(rates, 99_000, status(bytes_sent=1000)).sent_bytes_per_s == 0
    assert looked(rates, 100_000, status(bytes_sent=2000)).sent_bytes_per_s == 1000


def test_a_line_fits_into_80_columns_with_every_figure_that_is_likely() -> None:
    figures = looked(begun(status()), 101_000, status())
    large = msgspec.structs.replace(
        figures,
        nodes=99,
        up=99,
        events=9_999_999,
        missing=9_999_999,
        events_per_s=99_999.9,
        received_bytes_per_s=123_456_789,
        sent_bytes_per_s=9_949,
    )
    for text, (title, width) in zip(cells(large), COLUMNS, strict=True):
        assert max(len(text), len(title)) <= width, title
    assert sum(width for _, width in COLUMNS) + len(COLUMNS) - 1 < 80


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (999.4, "999"), (999.5, "1.0k"), (9949, "9.9k"), (9960, "10k"),
        (999_499, "999k"), (999_500, "1.0M"), (2.5e9, "2.5G"), (1e13, "10T"),
    ],
)  # fmt: skip
def test_short_counts(value: float, text: str) -> None:
    assert short_count(value) == text
