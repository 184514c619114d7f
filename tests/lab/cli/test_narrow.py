"""Tables on a narrow terminal: no line is wider, and nothing that fits is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lab.observe.node_states import NodeState, lacks_of
from lab.terminal.display import cut, width_of
from lab.terminal.tables import Paint, table
from node.control.messages import LogStatus, PlacesStatus, Status
from node.network.link_faults import LinkFault

PLAIN = Paint(on=False)
cells = st.text("ab 日❤é", max_size=30)


@pytest.mark.parametrize(
    ("text", "width"),
    [("❤️", 2), ("👨‍👩‍👧", 2), ("👍🏽", 2), ("日本", 4), ("é", 1), ("e\u0301", 1), ("👋", 2)],
)
def test_what_is_drawn_as_one_is_as_wide_as_one(text: str, width: int) -> None:
    assert width_of(text) == width
    assert cut(f"{text}{text}x", width + 1) == f"{text}…"


@given(st.lists(st.lists(cells, min_size=4, max_size=4), max_size=4), st.integers(20, 100))
def test_no_line_is_wider_than_the_terminal(rows: list[list[str]], width_max: int) -> None:
    text = table(["A", "B", "C", "NOTE"], rows, PLAIN, width_max)
    assert all(width_of(line) <= width_max for line in text.splitlines())


def test_a_note_that_does_not_fit_beside_goes_below() -> None:
    rows = [["n1", "running", "x" * 30], ["n2", "down", ""]]
    assert table(["NODE", "STATE", "NOTE"], rows, PLAIN, 36).splitlines() == [
        "NODE  STATE",
        "n1    running",
        "    " + "x" * 30,
        "n2    down",
    ]
    assert len(table(["NODE", "STATE", "NOTE"], rows, PLAIN, 80).splitlines()) == 3


def test_the_table_of_nodes_fits_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lab.cli import node_table as listing

    faults = {f"n{i}": LinkFault(loss=0.2, duplicate=0.05, delay_ms=1500) for i in range(1, 9)}
    states = [
        NodeState(
            "n12", "read_only", 123456, 3_600_000, 12, 12345, 6, 11, 10,
            "tcp://192.168.100.100:30892", "", faults, "ab" * 32, True, lacks=17,
        ),
        NodeState("n2", "down", None, None, 1, None, None, 2, None, "", "killed by SIGKILL", {}),
    ]  # fmt: skip
    monkeypatch.setattr(listing, "width_max_of", lambda _: 80)
    listing.show_states(states, PLAIN)
    shown = capsys.readouterr().out
    assert all(width_of(line) <= 80 for line in shown.splitlines())
    for word in ("12345 (lacks 17)", "192.168.100.100:30892", "killed by SIGKILL", "loss 20%"):
        assert word in shown, word


def status(*logs: LogStatus) -> Status:
    events = sum(log.prefix + sum(b - a + 1 for a, b in log.ranges) for log in logs)
    return Status(
        1, "n", 1, "running", 7, 1, events, "", list(logs), 0, {}, "always", 0, 0, 0, True, {}, [],
        0, {}, PlacesStatus(1, len(logs), 0, []),
    )  # fmt: skip


def test_what_a_node_lacks_is_of_all_that_the_others_hold() -> None:
    statuses = {
        "n1": status(LogStatus("a", 7, 3, [], "")),
        "n2": status(LogStatus("a", 7, 1, [(3, 5)], ""), LogStatus("b", 7, 2, [], "")),
        "n3": status(),
    }
    assert lacks_of(statuses) == {"n1": 4, "n2": 1, "n3": 7}
    assert lacks_of({}) == {}
    many = replace(status(), events=9, places=PlacesStatus(1, 400, 0, []))  # not all are named
    assert lacks_of({**statuses, "n4": many}) == {"n1": 6, "n2": 3, "n3": 9, "n4": 0}
