"""Variants side by side: what is changed, what stays, and what the commands say of it."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from lab.campaign.comparison import POINTS_MAX, WAYS, figures, grid, measured, table_of, ways
from lab.checkers import Sample
from lab.cli.main import main
from lab.plan.draw import draw
from lab.plan.faults import Loss
from lab.plan.scenario import ScenarioError, named
from lab.terminal.tables import Paint

CALM = named("calm")


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["lab", *words])
    out, err = capsys.readouterr()
    return code, out, err


def objects(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


# --- what is changed ------------------------------------------------------------------------------


def test_a_way_changes_how_nodes_spread_and_nothing_of_the_plan() -> None:
    plans = [draw(one.scenario, 3) for one in ways(CALM)]
    assert len({plan.gossip for plan in plans}) == len(WAYS)
    assert len({replace(plan, gossip=CALM.gossip) for plan in map(_hashable, plans)}) == 1


def _hashable(plan: Any) -> Any:
    return replace(plan, scenario="")


def test_ways_can_be_chosen_and_an_unknown_one_is_named() -> None:
    assert [one.label for one in ways(CALM, ["lazy", "push", "lazy"])] == ["lazy", "push"]
    with pytest.raises(ScenarioError, match="no way 'pigeon': there are push"):
        ways(CALM, ["pigeon"])


def test_a_grid_is_every_combination() -> None:
    found = grid(CALM, ["gossip.fanout=1,2", "nodes=3,5"])
    assert [one.label for one in found] == [
        "gossip.fanout=1 nodes=3",
        "gossip.fanout=1 nodes=5",
        "gossip.fanout=2 nodes=3",
        "gossip.fanout=2 nodes=5",
    ]
    assert [(one.scenario.gossip.fanout, one.scenario.nodes) for one in found] == [
        (1, (3, 3)),
        (1, (5, 5)),
        (2, (3, 3)),
        (2, (5, 5)),
    ]


def test_a_fault_that_was_not_there_can_be_switched_on() -> None:
    (one,) = grid(CALM, ["faults.loss.share=0.1..0.3"])
    assert one.scenario.faults.loss is not None
    assert one.scenario.faults.loss.share == (0.1, 0.3)
    assert any(type(timed.fault) is Loss for timed in draw(one.scenario, 1).faults)
    (mode,) = grid(CALM, ["durability=none"])
    assert mode.scenario.durability == ("none",)


@pytest.mark.parametrize(
    ("knob", "why"),
    [
        ("gossip.fanout", "a knob is path=value"),
        ("=1", "a knob is path=value"),
        ("gossip.fanout=", "a knob is path=value"),
        ("gossip.fanout=0", ">= 1"),
        ("gossip.fanout=many", "Expected `int`"),
        ("nothing=1", "unknown field `nothing`"),
        ("nodes.more=1", "nodes has no parts"),
        ("seeds=" + ",".join(str(n) for n in range(POINTS_MAX + 1)), "65 combinations"),
    ],
)
def test_what_cannot_be_set_is_one_clear_line(knob: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why) as caught:
        grid(CALM, [knob])
    assert "\n" not in str(caught.value)


# --- figures --------------------------------------------------------------------------------------


def sample(seed: int, lag_us: int, showings: int) -> Sample:
    return Sample(seed, lag_us, showings, 10, 50, 3000, relayed=showings // 2, repaired=1)


def test_figures_are_those_of_the_samples() -> None:
    row = figures("x", [sample(1, 40_000, 4), sample(2, 80_000, 4)], 3, 1)
    assert (row.runs, row.failed, row.lag_ms, row.lag_error_ms) == (3, 1, 15.0, 5.0)
    assert (row.packets_per_event, row.bytes_per_event) == (5.0, 300.0)
    assert (row.relayed, row.repaired) == (0.5, 0.25)


def test_where_nothing_was_shown_there_is_no_figure() -> None:
    row = figures("x", [], 1, 0)
    assert (row.lag_ms, row.packets_per_event, row.relayed) == (None, None, None)
    assert table_of([row], Paint(on=False)).split("\n")[1].split()[3:] == ["-"] * 6


def test_measuring_is_the_same_with_more_workers_and_tells_how_far_it_is() -> None:
    variants = ways(CALM, ["push", "rumors"])
    told: list[tuple[int, int]] = []
    alone = measured(variants, 2, on_progress=lambda done, of: told.append((done, of)))
    assert alone == measured(variants, 2, jobs=2)
    assert told[-1] == (4, 4)
    push, rumors = alone
    assert push.bytes_per_event is not None and rumors.bytes_per_event is not None
    assert push.bytes_per_event < rumors.bytes_per_event  # five nodes: one hop reaches all


# --- the commands ---------------------------------------------------------------------------------


def test_compare_tells_ways_and_their_figures(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "compare", "--list", "--json")
    assert code == 0
    assert [one["way"] for one in objects(out)] == [way.name for way in WAYS]
    assert answer(capsys, "compare", "--list")[1].startswith("WAY")
    words = ("compare", "calm", "--way", "push", "--way", "lazy", "--seeds", "1", "-j", "1")
    code, out, _ = answer(capsys, *words, "--json")
    assert (code, [one["variant"] for one in objects(out)]) == (0, ["push", "lazy"])
    code, out, _ = answer(capsys, *words)
    assert (code, len(out.splitlines())) == (0, 3)


def test_sweep_tells_a_row_for_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "sweep", "calm", "nodes=2,3", "--seeds", "1", "-j", "1", "--json")
    rows = objects(out)
    assert (code, [row["variant"] for row in rows]) == (0, ["nodes=2", "nodes=3"])
    assert all(row["runs"] == 1 and row["failed"] == 0 for row in rows)


@pytest.mark.parametrize(
    "words",
    [
        ("sweep", "calm", "nodes"),
        ("sweep", "nowhere", "nodes=3"),
        ("compare", "calm", "--way", "pigeon"),
        ("table", "periodic"),
    ],
)
def test_wrong_usage_is_one_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = answer(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_published_table_stands_beside_ours(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "table", "demers", "--trials", "1", "--json")
    rows = objects(out)
    assert code == 0
    assert [(row["k"], row["judged"]) for row in rows[:2]] == [(1, "start"), (2, "start")]
    assert rows[0]["published"]["residue"] == 0.18
    code, out, _ = answer(capsys, "table", "pushpull", "--trials", "2")
    assert code in (0, 7)
    assert out.startswith("NODES")
    assert ("NOT within" in out) == (code == 7)
