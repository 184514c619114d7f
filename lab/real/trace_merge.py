"""Trace merge: the drafts of the driver and of all lives are sorted by time and become one trace.

Drafts with equal times keep the order in which they were recorded. All processes of a machine share
one monotonic clock, so a cause usually has an earlier time than its effect. Where it has not, the
events of the receiver's life are delayed until it has (`put_off`).
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lab.plan.faults import Plan, word
from lab.real.draft_event import Draft
from lab.real.driver import DriverRecord
from lab.real.life_events import Asked, LifeTale
from lab.real.packet_matching import Matched, match
from lab.real.snapshots import Snapshot
from lab.sim.conformance import Conformance, Player, summed
from lab.sim.event_names import NamingCodec
from lab.sim.network import Ledger
from lab.trace.kinds import (
    SCHEMA,
    Detail,
    Fail,
    Faulted,
    Handed,
    Info,
    Invoke,
    Ok,
    Phase,
    Run,
    Totals,
)
from lab.trace.trace import Observer, Trace
from node.recording import format as raw

PASSES_MAX = 100


class Merged(Struct, frozen=True):
    trace: Trace
    ledger: Ledger
    conformance: Conformance
    strangers: int
    put_off: int  # drafts whose time had to be changed


def merge(
    plan: Plan,
    seen: DriverRecord,
    recordings: Sequence[raw.Recording],
    detail: Detail,
    observers: Sequence[Observer],
) -> Merged:
    log = sorted(seen.log.drafts, key=_when)
    asked = Asked(log)
    known = NamingCodec()
    tales = _tales(seen, recordings, known, asked, full=detail == "full")
    matched = match(tales, seen.spans, seen.end_ns)
    _name(log, tales)
    _put_in_lives(log, tales)
    moved = put_off([tale.drafts for tale in tales])
    drafts = [*log, *(one for tale in tales for one in tale.drafts), *matched.drafts]
    drafts = [one for one in drafts if one.t_ns <= seen.end_ns]
    drafts.sort(key=_when)
    drafts += _unanswered(log, drafts, seen.end_ns)
    drafts += _closing(plan, seen, matched)
    trace = Trace(observers)
    options = msgspec.json.encode(plan).decode()
    trace.add(
        0,
        "",
        0,
        Run(
            schema=SCHEMA,
            source="real",
            scenario=plan.scenario,
            seed=plan.seed,
            nodes=plan.nodes,
            detail=detail,
            options=options,
        ),
    )
    _write(trace, drafts, seen.began_ns)
    conformance = summed([tale.player for tale in tales])
    return Merged(trace, matched.ledger, conformance, matched.strangers, moved)


def _when(draft: Draft) -> int:
    return draft.t_ns


def _tales(
    seen: DriverRecord,
    recordings: Sequence[raw.Recording],
    known: NamingCodec,
    asked: Asked,
    *,
    full: bool,
) -> list[LifeTale]:
    """Every life, told in the order in which they began."""
    looks = [
        Snapshot(seen.heal_ns, "heal"),
        Snapshot(seen.liveness_ns, "liveness"),
        Snapshot(seen.end_ns, "end"),
    ]
    tales: list[LifeTale] = []
    for recording in recordings:
        if not any(type(one) is raw.Booted for one in recording.entries):
            continue
        player = Player(recording)
        booted_ns = next(one.t_ns for one in recording.entries if type(one) is raw.Booted)
        node = recording.began.node
        starts = [one for one in seen.starts if one.node == node and one.t_ns <= booted_ns]
        disk = starts[-1].disk if starts else "same"
        tales.append(LifeTale(player, known, disk, seen.began_ns, full=full))
    tales.sort(key=lambda tale: tale.begin_ns)
    for tale in tales:
        tale.tell(asked, looks)
    for tale in tales:
        if tale.end_ns is not None:
            continue
        later = [one.begin_ns for one in tales if one.node == tale.node]
        until_ns = min([one for one in later if one > tale.begin_ns], default=seen.end_ns + 1)
        kills = [
            t_ns
            for t_ns, node in seen.kills
            if node == tale.node and tale.begin_ns < t_ns < until_ns
        ]
        if kills:
            tale.killed(kills[0])
        elif until_ns <= seen.end_ns:
            tale.vanished()
        else:
            tale.survived(until_ns)
    return tales


# --- names, lives, times ------------------------------------------------------------------------


def _name(log: list[Draft], tales: list[LifeTale]) -> None:
    """What clients were told, by refs. Something that no recording knows keeps its name."""
    refs: dict[str, str] = {}
    own: dict[str, list[Draft]] = {}
    for tale in tales:
        refs |= tale.refs
        for dot, drafts in tale.own.items():
            own.setdefault(dot, []).extend(drafts)
    made = {id(one.cause): one for drafts in own.values() for one in drafts}
    for draft in log:
        data = draft.data
        if type(data) is Ok:
            ref = data.ref
            handed = [one for one in own.get(ref, ()) if one.t_ns <= draft.t_ns]
            if handed and draft.cause is not None:
                ref = _settled(draft.cause, handed, made)
            seen = tuple([refs.get(name, name) for name in data.seen])
            draft.data = replace(data, ref=ref, seen=seen)


def _settled(invoke: Draft, handed: list[Draft], made: dict[int, Draft]) -> str:
    """The ref of the event that a client's answer names; `handed`: all events so far with its dot.

    A node does not record which of two equal requests made which event. This answer says it, and
    the two are exchanged if needed.
    """
    mine = made.get(id(invoke))
    told = mine if mine is not None and mine in handed else handed[-1]
    other = told.cause
    if told is not mine and other is not None and _alike(invoke, other):
        _give(told, invoke, made)
        if mine is not None:
            _give(mine, other, made)
        else:
            made.pop(id(other), None)
    assert type(told.data) is Handed
    return told.data.ref


def _give(handed: Draft, invoke: Draft, made: dict[int, Draft]) -> None:
    assert type(handed.data) is Handed
    assert type(invoke.data) is Invoke
    handed.cause, made[id(invoke)] = invoke, handed
    handed.data = replace(handed.data, op=invoke.data.op)


def _alike(one: Draft, other: Draft) -> bool:
    """They asked the same node for the same."""
    a, b = one.data, other.data
    return (
        type(a) is Invoke
        and type(b) is Invoke
        and (one.node, a.action, a.author, a.text) == (other.node, b.action, b.author, b.text)
    )


def _put_in_lives(log: list[Draft], tales: list[LifeTale]) -> None:
    """What the driver saw of a node belongs to the life that it had, or had last."""
    for draft in log:
        for tale in tales:
            if tale.node == draft.node and tale.begin_ns <= draft.t_ns:
                draft.inc = tale.inc


def put_off(lives: Sequence[Sequence[Draft]]) -> int:
    """Delay events of lives until no effect precedes its cause. Returns how many were delayed."""
    changed: set[int] = set()
    for _ in range(PASSES_MAX):
        again = False
        for drafts in lives:
            last_ns = 0
            for draft in drafts:
                t_ns = max(draft.t_ns, last_ns)
                if draft.cause is not None and draft.cause.node != draft.node:
                    t_ns = max(t_ns, draft.cause.t_ns + 1)
                if t_ns != draft.t_ns:
                    draft.t_ns = t_ns
                    changed.add(id(draft))
                    again = True
                last_ns = t_ns
        if not again:
            break
    return len(changed)


# --- the end ------------------------------------------------------------------------------------


def _unanswered(log: list[Draft], drafts: list[Draft], end_ns: int) -> list[Draft]:
    answered = {id(one.cause) for one in drafts if type(one.data) in (Ok, Fail, Info)}
    left: list[Draft] = []
    for draft in log:
        if type(draft.data) is Invoke and draft.t_ns <= end_ns and id(draft) not in answered:
            told = Info(draft.data.op, draft.data.session, "end", "the run ended meanwhile")
            left.append(Draft(end_ns, draft.node, draft.inc, told, draft))
    return left


def _closing(plan: Plan, seen: DriverRecord, matched: Matched) -> list[Draft]:
    ledger = matched.ledger
    counts = ledger.counts()
    del counts["duplicate_bytes"]  # not known for real processes
    counts["in_flight"] = matched.in_flight
    for what, count in seen.fired.items():
        ledger.fired[what] = ledger.fired.get(what, 0) + count
    begun = {one.data.what for one in seen.log.drafts if type(one.data) is Faulted}
    enabled = tuple(sorted(begun & {word(timed.fault) for timed in plan.faults}))
    totals = Totals(counts, dict(sorted(ledger.fired.items())), enabled)
    return [Draft(seen.end_ns, "", 0, totals), Draft(seen.end_ns, "", 0, Phase("end"))]


def _write(trace: Trace, drafts: list[Draft], began_ns: int) -> None:
    for draft in drafts:
        t_us = max(draft.t_ns - began_ns, 0) // 1000
        cause = draft.cause
        seq = cause.seq if cause is not None and cause.seq >= 0 else None
        draft.seq = trace.add(
            t_us,
            draft.node,
            draft.inc,
            draft.data,
            seq,
            draft.msg_id,
            draft.peer,
            draft.size,
        )
