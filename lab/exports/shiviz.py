"""A trace as a log for ShiViz and TSViz: a space-time diagram with an arrow for each packet.

The form: the regular expression on the first line, the delimiter of runs on the second (empty:
there is one run), then one line per event:

    1204500 n2 {"n2": 17, "n1": 9} recv Push n1/1/5 from n1

Rules of the reader (its parser and its model of the graph)
- The clock is JSON, host to number, and has an entry for its own host. That one starts at 1 and
  rises by exactly 1 from line to line of the host, also over crashes: lives share a line.
- Every other entry names an event that exists.

The clock counts events of this file. It is not the protocol's version vector, and it is kept by the
export: a packet carries the clock of its sending, and nothing else joins two hosts. What the run
does to nodes stands on a host of its own, without arrows.

The cut. A diagram of more than a few hundred events shows nothing, so that at most `EVENTS_MAX` are
kept: half of them from the causal past of `around`, nearest first, and then whatever is nearest in
the trace. The clocks stay true: each counts the *kept* events in the causal past, and an event that
is left out passes on what it knew. Two events are ordered in the file if and only if the trace
orders them.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.exports.labels import UNTOLD, told
from lab.trace.kinds import Crash, Got, Info, StartRefused, Unwritten
from lab.trace.trace import Event

EVENTS_MAX = 300
NEMESIS = "NEMESIS"  # the run itself. No node is called so: their names are in lower case
EXPRESSION = r"(?<timestamp>\d+) (?<host>\S+) (?<clock>{[^}]*}) (?<event>.*)"

Clock = dict[str, int]


def write_shiviz(trace: Iterable[Event], path: Path, around: int | None = None) -> int:
    """Write at most EVENTS_MAX events; returns how many.

    `around` is the `seq` of the event of interest. Without it, that is the first problem of the run
    (a crash, a failed write, an op with an unknown outcome), or else its beginning.
    """
    events = [event for event in trace if type(event.data) not in UNTOLD]
    kept = _chosen(events, around)
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{EXPRESSION}\n\n")
        for event, clock in _clocks(events, kept):
            file.write(f"{event.t_us} {_host(event)} {json.dumps(clock)} {told(event)}\n")
            count += 1
    return count


def _host(event: Event) -> str:
    return event.node or NEMESIS


def _clocks(events: list[Event], kept: set[int]) -> Iterator[tuple[Event, Clock]]:
    """The kept events, each with how many kept events of each host it knows of."""
    now: dict[str, Clock] = {}
    sent: dict[int, Clock] = {}  # by the seq of the sending
    for event in events:
        host = _host(event)
        clock = now.setdefault(host, {host: 0})
        if type(event.data) is Got and event.cause is not None:
            for other, count in sent.get(event.cause, {}).items():
                clock[other] = max(count, clock.get(other, 0))
        if event.seq in kept:
            clock[host] += 1
            yield event, {other: count for other, count in clock.items() if count}
        if event.kind == "send":
            sent[event.seq] = clock.copy()


# --- the cut ------------------------------------------------------------------------------------


def _chosen(events: list[Event], around: int | None) -> set[int]:
    """The `seq` of what is kept."""
    if len(events) <= EVENTS_MAX:
        return {event.seq for event in events}
    if around is None:
        around = _first_trouble(events)
    past = sorted(_past(events, around), reverse=True)
    kept = set(past[: EVENTS_MAX // 2])
    for seq in sorted((event.seq for event in events), key=lambda seq: abs(seq - around)):
        if len(kept) == EVENTS_MAX:
            break
        kept.add(seq)
    return kept


def _first_trouble(events: list[Event]) -> int:
    for event in events:
        if isinstance(event.data, Crash | StartRefused | Unwritten | Info):
            return event.seq
    return events[0].seq


def _past(events: list[Event], around: int) -> list[int]:
    """What `around` may have been caused by, itself included: along hosts, and along packets."""
    by_seq = {event.seq: index for index, event in enumerate(events)}
    before: dict[int, int] = {}  # each event's predecessor on its host
    last: dict[str, int] = {}
    for index, event in enumerate(events):
        if (found := last.get(_host(event))) is not None:
            before[index] = found
        last[_host(event)] = index
    start = max((index for index, event in enumerate(events) if event.seq <= around), default=0)
    seen, todo = {start}, [start]
    while todo:
        index = todo.pop()
        event = events[index]
        causes = [before.get(index)]
        if type(event.data) is Got and event.cause is not None:
            causes.append(by_seq.get(event.cause))
        for cause in causes:
            if cause is not None and cause not in seen:
                seen.add(cause)
                todo.append(cause)
    return [events[index].seq for index in seen]
