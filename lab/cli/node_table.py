"""The table of nodes that `ps` prints, and `up` when all nodes are ready."""

import sys

from lab.cli.common import hint
from lab.observe.node_states import NodeState
from lab.terminal.display import display_safe
from lab.terminal.tables import Paint, duration, table, width_max_of


def show_states(states: list[NodeState], paint: Paint, *, started: bool = False) -> None:
    """Print the table. `started`: the nodes have just started, so what they lack is not shown."""
    rows = [
        [
            one.node,
            one.state,
            str(one.pid) if one.pid is not None else "-",
            duration(one.uptime_ms) if one.uptime_ms is not None else "-",
            str(one.restarts),
            events_text(one) if not started else _events(one),
            peers_text(one),
            one.address.removeprefix("tcp://") or "-",
            display_safe(note_text(one)),
        ]
        for one in states
    ]
    head = ["NODE", "STATE", "PID", "UPTIME", "RESTARTS", "EVENTS", "PEERS"]
    head += ["ADDRESS", "NOTE"]
    print(table(head, rows, paint, width_max_of(sys.stdout)))
    wanted = [one for one in states if one.in_file]
    down = [one.node for one in wanted if one.pid is None]
    if down and len(down) < len(wanted):
        hint(f"bring back: chatlab cluster restart {' '.join(down[:8])}")
    elif down:
        hint("nothing runs: chatlab cluster up -d")


def note_text(one: NodeState) -> str:
    notes = ["" if one.in_file else "not in the file", one.exit or faults_text(one)]
    return "; ".join(note for note in notes if note)


def peers_text(one: NodeState) -> str:
    return f"{one.alive_peers} of {one.peers}" if one.alive_peers is not None else "-"


def _events(one: NodeState) -> str:
    return str(one.events) if one.events is not None else "-"


def events_text(one: NodeState) -> str:
    if one.events is None:
        return "-"
    lacks = max(one.missing or 0, one.lacks or 0)
    return f"{one.events} (lacks {lacks})" if lacks else str(one.events)


def faults_text(one: NodeState) -> str:
    by_text: dict[str, list[str]] = {}
    for peer, fault in sorted(one.faults.items()):
        by_text.setdefault(fault.text(), []).append(peer)
    return "; ".join(f"to {','.join(peers)}: {text}" for text, peers in by_text.items())
