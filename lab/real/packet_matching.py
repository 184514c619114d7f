"""Packet matching: which receipt of a packet belongs to which transmission, and what happened to
the transmissions without a receipt.

A transmission is identified by sender, incarnation, number and receiver. What the sender's faults
did to it is recorded. What its transport dropped is recorded as counts by peer and reason, and
assigned to the oldest transmissions that never arrived. Of the rest, those that were in flight or
in a buffer when one of the two processes ended were lost with it. All others are in flight at the
end.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from lab.plan.faults import Fault, Hold, Latency, Reorder, word
from lab.real.draft_event import Draft
from lab.real.link_settings import acts_on
from lab.sim.network import Ledger
from lab.trace.kinds import Copied, Dropped, Sent
from node.recording.format import BLOCKED

Spans = Sequence[tuple[int, int, Fault]]


class Transmission(Struct, eq=False):
    """One packet to one peer. `plan`: the delays of its copies; None: no fault. Mutable."""

    draft: Draft
    plan: list[float] | None = None
    got: int = 0


class Arrived(Struct, eq=False):
    draft: Draft


class ReplayedLife(Protocol):
    node: str
    begin_ns: int
    end_ns: int | None
    sent: list[Transmission]
    got: list[Arrived]
    drops: list[tuple[int, str, str, int]]


class Matched(Struct, frozen=True):
    drafts: list[Draft]  # events besides sends and receipts
    ledger: Ledger
    in_flight: int
    strangers: int  # receipts of packets that no recording has as sent


def match(lives: Sequence[ReplayedLife], spans: Spans, end_ns: int) -> Matched:
    """Set the causes of receipts, and add events for copies and drops, up to `end_ns`."""
    ledger = Ledger()
    by_name: dict[tuple[object, str | None], list[Transmission]] = {}
    for life in lives:
        life.sent = [one for one in life.sent if one.draft.t_ns <= end_ns]
        for one in life.sent:
            by_name.setdefault((one.draft.msg_id, one.draft.peer), []).append(one)
            _count(ledger, one.draft)
    strangers = 0
    for life in lives:
        for receipt in life.got:
            if receipt.draft.t_ns > end_ns:
                continue
            ledger.delivered += 1
            found = by_name.get((receipt.draft.msg_id, life.node))
            if found is None:
                strangers += 1
                continue
            # A node whose directory was emptied uses its numbers again.
            sent = max((s for s in found if s.draft.t_ns <= receipt.draft.t_ns), default=found[0],
                       key=_when)  # fmt: skip
            sent.got += 1
            receipt.draft.cause = sent.draft
    drafts: list[Draft] = []
    in_flight = 0
    for life in lives:
        missing = _planned(life, spans, ledger, drafts)
        in_flight += _missed(life, missing, lives, end_ns, ledger, drafts)
    return Matched(drafts, ledger, in_flight, strangers)


def _when(transmission: Transmission) -> int:
    return transmission.draft.t_ns


def _count(ledger: Ledger, draft: Draft) -> None:
    wire = draft.data
    assert type(wire) is Sent
    ledger.sent += 1
    ledger.bytes += draft.size or 0
    ledger.digest_bytes += wire.digest
    ledger.payload_bytes += wire.payload
    ledger.framing_bytes += wire.framing


def _planned(
    life: ReplayedLife, spans: Spans, ledger: Ledger, drafts: list[Draft]
) -> list[Transmission]:
    """Tells what faults did; returns those of which a copy never arrived, once for each."""
    missing: list[Transmission] = []
    for one in life.sent:
        plan = one.plan
        if plan in (BLOCKED, []):
            why = "loss" if plan == [] else "partition"
            _fire(ledger, why)
            _drop(one, why, one.draft.t_ns, ledger, drafts)
            continue
        if plan is not None:
            if len(plan) > 1:
                _fire(ledger, "duplicate")
            if any(plan):
                for what in _slowed(spans, one.draft):
                    _fire(ledger, what)
        copies = max(len(plan or (0.0,)), one.got)
        for _ in range(copies - 1):
            ledger.copied += 1
            drafts.append(_beside(one.draft, Copied(), one.draft.t_ns))
        missing += [one] * (copies - one.got)
    return missing


def _missed(
    life: ReplayedLife,
    missing: list[Transmission],
    lives: Iterable[ReplayedLife],
    end_ns: int,
    ledger: Ledger,
    drafts: list[Draft],
) -> int:
    """Says why these never arrived; returns how many are in flight."""
    left = list(missing)
    for seen_ns, peer, why, count in life.drops:
        for one in [one for one in left if one.draft.peer == peer][:count]:
            if one.draft.t_ns <= seen_ns <= end_ns:
                left.remove(one)
                _drop(one, why, seen_ns, ledger, drafts)
    ends: dict[str, list[int]] = {}
    ups: dict[str, list[tuple[int, int]]] = {}
    for other in lives:
        ends.setdefault(other.node, []).append(other.end_ns or end_ns + 1)
        ups.setdefault(other.node, []).append((other.begin_ns, other.end_ns or end_ns + 1))
    in_flight = 0
    for one in left:
        peer, sent_ns = one.draft.peer or "", one.draft.t_ns
        if not any(begin <= sent_ns < end for begin, end in ups.get(peer, ())):
            at_ns = sent_ns
        else:
            later = sorted(ends[peer])
            at_ns = later[bisect_right(later, sent_ns)]
            at_ns = min(at_ns, life.end_ns or end_ns + 1)
        if at_ns > end_ns:
            in_flight += 1
        else:
            _drop(one, "down", at_ns, ledger, drafts)
    return in_flight


def _slowed(spans: Spans, draft: Draft) -> set[str]:
    pair = (draft.node, draft.peer or "")
    return {
        word(fault)
        for from_ns, to_ns, fault in spans
        if isinstance(fault, Latency | Reorder | Hold)
        and from_ns <= draft.t_ns <= to_ns
        and acts_on(fault, pair)
    }


def _fire(ledger: Ledger, what: str) -> None:
    ledger.fired[what] = ledger.fired.get(what, 0) + 1


def _drop(one: Transmission, why: str, t_ns: int, ledger: Ledger, drafts: list[Draft]) -> None:
    ledger.dropped[why] = ledger.dropped.get(why, 0) + 1
    drafts.append(_beside(one.draft, Dropped(why), t_ns))


def _beside(sent: Draft, data: Copied | Dropped, t_ns: int) -> Draft:
    return Draft(
        t_ns=t_ns,
        node=sent.node,
        inc=sent.inc,
        data=data,
        cause=sent,
        msg_id=sent.msg_id,
        peer=sent.peer,
        size=sent.size,
    )
