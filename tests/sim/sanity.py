"""What any run must keep, checked from its trace alone: simple, so that failures are found early.

The checkers of `lab.checkers` judge more and more finely. These here hold without calibration.
"""

from collections import Counter

from lab.kinds import (
    Boot,
    Copied,
    Crash,
    Dropped,
    Epoch,
    Fail,
    Final,
    Fired,
    Got,
    Handed,
    Invoke,
    Ok,
    Phase,
    Refused,
    Run,
    Sent,
    Stopped,
    Totals,
    Unwritten,
    Visible,
)
from lab.trace import Event, dot_of, origin_of


class Summary:
    """One pass over a trace."""

    def __init__(self, trace: list[Event]) -> None:
        self.invoked: dict[int, Invoke] = {}
        self.oks: dict[int, tuple[str, Ok]] = {}
        self.fails: list[int] = []
        self.finals: dict[str, Final] = {}
        self.boots: dict[str, list[Boot]] = {}
        self.crashes: list[tuple[str, Crash]] = []
        self.handed: dict[str, Handed] = {}
        self.shown: set[str] = set()
        self.flipped: set[str] = set()
        self.turned_away: set[str] = set()  # nodes whose last start failed
        self.refused: set[str] = set()  # nodes whose last write failed: the next command is a probe
        self.packets: Counter[str] = Counter()
        self.totals: Totals | None = None
        self.run: Run | None = None
        self.phases: list[str] = []
        for event in trace:
            self._take(event)

    def _take(self, event: Event) -> None:
        data = event.data
        kind = type(data)
        if kind in (Sent, Copied, Got, Dropped):
            self.packets[kind.__name__] += 1
        elif isinstance(data, Handed):
            self.handed[data.ref] = data
        elif isinstance(data, Visible):
            self.shown.add(data.ref)
        elif isinstance(data, Unwritten):
            self.refused.add(event.node)
        elif isinstance(data, Invoke):
            self.invoked[data.op] = data
        elif isinstance(data, Ok):
            self.oks[data.op] = (event.node, data)
        elif isinstance(data, Fail):
            self.fails.append(data.op)
        elif isinstance(data, Final):
            self.finals[event.node] = data
        elif isinstance(data, Boot):
            self.boots.setdefault(event.node, []).append(data)
            self.turned_away.discard(event.node)
        elif isinstance(data, Refused):
            self.turned_away.add(event.node)
        elif isinstance(data, Crash):
            self.crashes.append((event.node, data))
        elif isinstance(data, Fired):
            if data.what in ("flip", "stale", "misdirected"):
                self.flipped.add(event.node)
        elif isinstance(data, Totals):
            self.totals = data
        elif isinstance(data, Phase):
            self.phases.append(data.name)
        elif isinstance(data, Run):
            self.run = data

    @property
    def may_lose(self) -> bool:
        """Something was destroyed that nobody else may have had."""
        relaxed = any(
            boot.durability != "always" for boots in self.boots.values() for boot in boots
        )
        power = any("power" in one.how + one.site for _, one in self.crashes)
        other = any(self.replaced(node, "empty", "older") for node in self.boots)
        return bool(self.flipped) or other or (relaxed and power)

    def fell_back(self, node: str) -> bool:
        """Of what people saw here, the last may be gone: what was written and not durable."""
        return any(name == node and one.how == "power" for name, one in self.crashes) and (
            self.boots[node][0].durability != "always"
        )

    def replaced(self, node: str, *disks: str) -> bool:
        return any(boot.disk in disks for boot in self.boots.get(node, ()))


def problems(trace: list[Event]) -> list[str]:
    """What is wrong; nothing, in a sound run."""
    all_of = Summary(trace)
    return [
        *_alive(all_of),
        *_agreed(all_of),
        *_lost(all_of),
        *_forbidden(all_of),
        *_doubled(all_of),
        *_conserved(all_of),
        *_recovered(trace, all_of.flipped),
        *_read_back(trace, all_of),
    ]


def _alive(run: Summary) -> list[str]:
    assert run.run is not None
    found = [
        f"{node} crashed in its core: {one.site}" for node, one in run.crashes if one.how == "core"
    ]
    asks_a_person = run.flipped & run.turned_away  # a directory may be too damaged to be opened
    up = run.finals.keys() | asks_a_person
    found += [f"{node} is not up at the end" for node in run.run.nodes if node not in up]
    found += [
        f"{node} is {one.health}"
        for node, one in run.finals.items()
        if one.health != "running" and not (one.health == "read_only" and node in run.refused)
    ]
    if run.phases != ["faults", "heal", "liveness", "end"]:
        found.append(f"phases {run.phases}")
    return found


def _agreed(run: Summary) -> list[str]:
    found = []
    for what in ("root", "timeline", "presence", "causal", "forked"):
        values = {getattr(final, what) for final in run.finals.values()}
        if len(values) > 1:
            sizes = {node: len(final.arrivals) for node, final in run.finals.items()}
            found.append(f"not converged: {what} differs, arrivals {sizes}")
    for node, final in run.finals.items():
        if (final.missing or final.holes) and not run.may_lose:
            found.append(f"{node} knows to lack {final.missing} entries, {final.holes} holes")
        for name in ("timeline", "presence"):
            values = {getattr(final, name + end) for end in ("", "_again", "_back")} - {""}
            if len(values) > 1:
                found.append(f"{node}: {name} is not what its arrivals fold to")
    return found


def _lost(run: Summary) -> list[str]:
    """An acknowledged event is everywhere, unless the only disk that promised it is gone."""
    found = []
    for op, (node, ok) in run.oks.items():
        if not ok.ref:
            continue
        absent = [name for name, final in run.finals.items() if ok.ref not in final.arrivals]
        if not absent:
            continue
        power = any(name == node and "power" in (c.how + c.site) for name, c in run.crashes)
        permitted = (
            run.replaced(node, "empty", "older")
            or node in run.flipped
            or (ok.level == "written" and power)
        )
        if not permitted:
            found.append(f"op {op}: {ok.ref} was {ok.level} at {node} and is not at {absent}")
    return found


def _forbidden(run: Summary) -> list[str]:
    shown = run.shown | {ref for final in run.finals.values() for ref in final.arrivals}
    said = {(run.handed[ref].facts.author, run.handed[ref].facts.text) for ref in shown}
    return [
        f"op {op} failed and its text is there"
        for op in run.fails
        if run.invoked[op].action == "post"
        and (run.invoked[op].author, run.invoked[op].text) in said
        and run.invoked[op].text.startswith("message ")
    ]


def _doubled(run: Summary) -> list[str]:
    found = []
    for node, final in run.finals.items():
        if len(set(final.arrivals)) != len(final.arrivals):
            found.append(f"{node} shows an event twice")
    refs: dict[str, set[str]] = {}
    for final in run.finals.values():
        for ref in final.arrivals:
            refs.setdefault(dot_of(ref), set()).add(ref)
    for dot, those in refs.items():
        if len(those) > 1 and not run.replaced(origin_of(dot), "older"):
            found.append(f"fork: {sorted(those)}")
    return found


def _conserved(run: Summary) -> list[str]:
    assert run.totals is not None
    counts, packets = run.totals.counts, run.packets
    came = packets["Sent"] + packets["Copied"]
    went = packets["Got"] + packets["Dropped"] + counts["in_flight"]
    found = [] if came == went else [f"{came} packets set out, {went} are accounted for"]
    if counts["sent"] != packets["Sent"] or counts["delivered"] != packets["Got"]:
        found.append("the ledger and the trace differ")
    parts = counts["digest_bytes"] + counts["payload_bytes"] + counts["framing_bytes"]
    if parts != counts["bytes"]:
        found.append("bytes by kind do not add up")
    return found


def _recovered(trace: list[Event], flipped: set[str]) -> list[str]:
    """What was durable comes back, in order, and nothing that was not written."""
    found: list[str] = []
    logs: dict[str, list[str]] = {}
    ends: dict[str, Crash | Stopped] = {}
    for event in trace:
        data, node = event.data, event.node
        log = logs.setdefault(node, [])
        if isinstance(data, Handed | Epoch):
            del log[data.number - 1 :]
            log.append(data.ref if isinstance(data, Handed) else f"epoch {data.log}")
        elif isinstance(data, Unwritten):
            del log[data.kept :]
        elif isinstance(data, Crash | Stopped):
            if data.written or node not in ends:  # a crash within an opening wrote no record
                ends[node] = data
        elif isinstance(data, Boot):
            end = ends.pop(node, None)
            back = list(data.recovered)
            if data.disk == "same" and node not in flipped and end is not None:
                least = end.durable if "power" in _way(end) else end.written
                if isinstance(end, Crash) and end.how == "storage":
                    least = end.durable
                left = iter(log[: end.written])  # behind what was durable there may be holes
                if back[:least] != log[:least] or not all(one in left for one in back):
                    found.append(
                        f"{node} at {event.t_us}: {len(back)} records came back, of "
                        f"{end.written} written and {end.durable} durable"
                    )
            logs[node] = back
    return found


def _way(end: Crash | Stopped) -> str:
    return end.how + end.site if isinstance(end, Crash) else ""


def _read_back(trace: list[Event], run: Summary) -> list[str]:
    """Who reads where they wrote sees what they wrote and what they saw (sticky sessions)."""
    found: list[str] = []
    known: dict[tuple[str, str], set[str]] = {}  # (session, node) -> refs that must be there
    for event in trace:
        data = event.data
        if not isinstance(data, Ok) or run.may_lose or run.fell_back(event.node):
            continue
        must = known.setdefault((data.session, event.node), set())
        if run.invoked[data.op].action == "read":
            if absent := must - set(data.seen):
                found.append(f"op {data.op} at {event.node} does not see {sorted(absent)}")
            if len(set(data.seen)) != len(data.seen):
                found.append(f"op {data.op} at {event.node} sees an event twice")
            must |= set(data.seen)
        elif data.ref:
            must.add(data.ref)
    return found
