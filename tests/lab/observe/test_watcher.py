"""Watching: what counts as a change, and how it reads."""

from typing import Any

from msgspec.structs import replace

from lab.cli.watch import line_of
from lab.observe.node_states import NodeState
from lab.observe.watcher import Changes, ClusterChange
from node.network.link_faults import LinkFault

UP = NodeState("n1", "running", 7, 1500, 0, 5, 0, 2, 2, "tcp://x", "", {}, "ab" * 32, True)
BEHIND = replace(UP, node="n2", events=4, missing=1, root="cd" * 32, stable=False)
DOWN = NodeState("n3", "down", None, None, 1, None, None, 2, None, "", "killed by SIGKILL", {})


def test_at_first_all_is_new_and_then_only_what_changes() -> None:
    changes = Changes()
    assert [one.state.node for one in changes.of(1, [UP, BEHIND, DOWN])] == ["n1", "n2", "n3"]
    assert changes.of(2, [UP, BEHIND, DOWN]) == []
    assert changes.of(3, [UP, replace(BEHIND, events=5, missing=0), DOWN]) == [
        ClusterChange(3, replace(BEHIND, events=5, missing=0))
    ]


def test_that_time_goes_on_is_no_change() -> None:
    changes = Changes()
    changes.of(1, [UP])
    assert changes.of(2, [replace(UP, uptime_ms=2000)]) == []
    back: Any = changes.of(3, [replace(UP, pid=8, uptime_ms=5)])
    assert back[0].state.uptime_ms == 5


def test_a_change_is_one_line_whatever_a_node_says() -> None:
    assert line_of(ClusterChange(0, UP)) == (
        "1970-01-01 00:00:00.000Z  n1  running  events 5  root abababab  peers 2 of 2  looks stable"
    )
    assert line_of(ClusterChange(0, DOWN)).endswith("n3  down  restarts 1  killed by SIGKILL")
    nasty = replace(DOWN, exit="\x1b[2J\nn1  running", faults={"n2": LinkFault(loss=0.2)})
    line = line_of(ClusterChange(0, nasty))
    assert "\n" not in line
    assert "\x1b" not in line
    assert line.endswith("to n2: loss 20%")
