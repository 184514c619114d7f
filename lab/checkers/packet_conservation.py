"""C18: packets and bytes are conserved.

Each transmission and each copy of it arrives once, or is dropped once, or is in flight when the run
ends. A packet arrives as it was sent, at the receiver to whom it was sent. The parts of a packet
add up to its size, and the counters of the transport agree with the trace.

The name of a packet is (sender, incarnation, number). The incarnation is the number of the sender's
life, or a later one if the node refuted that it is dead. One name is given to one packet, which
goes to each peer at most once. A node whose disk was replaced counts its lives, and with them its
packets, from the start.
"""

from typing import ClassVar

from lab.checkers.context import CheckContext
from lab.checkers.verdict import CheckerRule, Figures, Findings, Verdict, Wants
from lab.trace.kinds import Boot, Copied, Dropped, Got, Sent, Totals
from lab.trace.trace import Event, MsgId

RULE = CheckerRule(
    "C18",
    "conservation",
    "Sent and copied are delivered, dropped or in flight, and the bytes of parts sum up.",
)


class PacketConservation:
    rule: ClassVar[CheckerRule] = RULE

    def __init__(self, case: CheckContext) -> None:
        self._history = case.history
        self._found = Findings(RULE)
        self._got: list[Event] = []
        self._dropped: list[Event] = []
        self._copied: list[Event] = []
        self._boots: dict[str, int] = {}  # by node: the `seq` of its last start
        # By node and name: on which start it was given, first to what, and to whom so far.
        self._named: dict[str, dict[MsgId, tuple[int, Event, list[str | None]]]] = {}

    def wants(self) -> Wants:
        return {
            Got: self._got.append,
            Dropped: self._dropped.append,
            Copied: self._copied.append,
            Boot: self._on_boot,
            Sent: self._on_sent,
        }

    def _on_boot(self, event: Event) -> None:
        assert type(event.data) is Boot
        self._boots[event.node] = event.seq
        if event.data.disk != "same":
            self._named.pop(event.node, None)

    def _on_sent(self, event: Event) -> None:
        data, node, msg_id = event.data, event.node, event.msg_id
        assert type(data) is Sent
        if msg_id is None:
            return
        if msg_id[0] != node or msg_id[1] < event.inc:
            self._found.add(f"{node} names a packet after another life", event.seq)
        life = self._boots.get(node, -1)
        named = self._named.get(node)
        if named is None:
            named = self._named[node] = {}
        known = named.get(msg_id)
        if known is None:
            named[msg_id] = (life, event, [event.peer])
            return
        first_life, first, peers = known
        told = first.data
        assert type(told) is Sent
        if first_life != life or told != data or event.peer in peers:
            self._found.add(f"{node} gives two packets one name", event.seq, first.seq)
        peers.append(event.peer)

    def verdict(self) -> Verdict:
        history = self._history
        sums = self._judge_parts()
        in_flight = self._judge_balance()
        counted: Figures = {
            "sent": len(history.sent),
            "copied": len(self._copied),
            "delivered": len(self._got),
            **sums,
            "in_flight": in_flight,
        }
        for event in self._dropped:
            assert type(event.data) is Dropped
            name = f"dropped_{event.data.why}"
            counted[name] = counted.get(name, 0) + 1
        unknown = ""
        if history.totals is None:
            unknown = "the trace tells no totals"
        else:
            self._judge_ledger(history.totals, counted)
            totals = history.totals.data
            assert type(totals) is Totals
            if not totals.counts.get("sent", 0) and len(history.nodes) > 1:
                unknown = "no packet was ever sent"
        passed = f"{len(history.sent)} packets accounted for, {in_flight} in flight"
        return self._found.verdict(counted, passed, unknown)

    def _judge_parts(self) -> Figures:
        size = digest = payload = framing = 0
        for event in self._history.sent:
            data = event.data
            assert type(data) is Sent
            whole = event.bytes or 0
            size += whole
            digest += data.digest
            payload += data.payload
            framing += data.framing
            if data.digest + data.payload + data.framing != whole or data.framing < 0:
                self._found.add(
                    f"a {data.body} of {whole} bytes has parts of another sum", event.seq
                )
        return {
            "bytes": size,
            "digest_bytes": digest,
            "payload_bytes": payload,
            "framing_bytes": framing,
        }

    def _judge_balance(self) -> int:
        """What is in flight at the end."""
        sent = {event.seq: event for event in self._history.sent}
        left = dict.fromkeys(sent, 1)
        for event in self._copied:
            if event.cause in left:
                left[event.cause] += 1
            else:
                self._found.add("what was never sent was copied", event.seq)
        for event in self._got:
            cause = event.cause
            source = sent.get(cause) if cause is not None else None
            if cause is None or source is None:
                self._found.add(f"{event.node} received what was never sent", event.seq)
                continue
            left[cause] -= 1
            if source.peer != event.node or source.node != event.peer:
                reason = f"{event.node} received what was sent elsewhere"
                self._found.add(reason, event.seq, source.seq)
            elif source.bytes != event.bytes or source.msg_id != event.msg_id:
                reason = f"{event.node} received another packet than was sent"
                self._found.add(reason, event.seq, source.seq)
        for event in self._dropped:
            if event.cause in left:
                left[event.cause] -= 1
            else:
                self._found.add("what was never sent was dropped", event.seq)
        for seq, count in left.items():
            if count < 0:
                self._found.add(
                    f"a packet of {sent[seq].node} ended more often than it was sent", seq
                )
        return sum(left.values())

    def _judge_ledger(self, event: Event, counted: Figures) -> None:
        data = event.data
        assert type(data) is Totals
        counts = data.counts
        if self._history.lean:  # it has no packets: only the ledger's own sums can be judged
            counted = {"in_flight": counts.get("in_flight", 0)}
            dropped = sum(n for name, n in counts.items() if name.startswith("dropped_"))
            came = counts.get("sent", 0) + counts.get("copied", 0)
            went = counts.get("delivered", 0) + dropped + counted["in_flight"]
            if came != went:
                self._found.add(f"of {came} packets {went} are accounted for", event.seq)
            parts = ("digest_bytes", "payload_bytes", "framing_bytes")
            if sum(counts.get(part, 0) for part in parts) != counts.get("bytes", 0):
                self._found.add("the ledger's bytes do not sum up", event.seq)
            return
        for name in sorted(counts.keys() | counted.keys()):
            if name not in counted and not name.startswith("dropped_"):
                continue  # what the trace does not tell
            told, seen = counts.get(name, 0), counted.get(name, 0)
            if told != seen:
                self._found.add(f"the ledger says {name} {told}, the trace {seen}", event.seq)
