"""Histories: small clusters told step by step, as traces, for checkers to judge.

    book = Book("n1", "n2")
    book.boot("n1"); book.boot("n2")
    op = book.post("n1", "hello")       invoke, handed
    book.sync("n1")                     written, visible, ok
    book.carry("n1", "n2")              send, recv, handed; then sync("n2")
    trace = book.finish()               heal, liveness, everything carried, finals, totals, end

What a `Book` tells is a good history: it keeps the promises by itself, for it is a tiny model of a
cluster. Bad ones are made by `add`, which tells anything, or by editing the events afterwards.
"""

from typing import Any

from lab.trace import kinds
from lab.trace.trace import Event, dot_of
from tests.lab.checkers.lives import QUIET_MS, WALL_MS, Lives
from tests.lab.checkers.model import Node, Posted, causes_of, print_of

__all__ = ["QUIET_MS", "WALL_MS", "Book"]


class Book(Lives):
    # --- clients --------------------------------------------------------------------------------

    def invoke(
        self, name: str, action: Any, text: str = "", session: str = "", *, far: bool = False
    ) -> int:
        self.wait()
        self.ops += 1
        session = session or f"s-{name}"
        ack = "written" if self.durability == "none" else "durable"
        if far:  # it may wait long: a session of its own, for those ask one thing after the other
            session, ack = f"far-{self.ops}", "replicated:1"
            self.far.add(self.ops)
        data = kinds.Invoke(self.ops, session, action, session, text, ack)
        self.invokes[self.ops] = self.add(name, data)
        return self.ops

    def post(
        self,
        name: str,
        text: str = "hello",
        session: str = "",
        action: Any = "post",
        *,
        far: bool = False,
    ) -> str:
        """Asked for and handed out; `sync` makes it visible and acknowledges it; `far`: once it is
        durable elsewhere.
        """
        op = self.invoke(name, action, text if action == "post" else "", session, far=far)
        return self.hand_own(name, op)

    def hand_own(self, name: str, op: int, cause: int | None = None) -> str:
        node = self.nodes[name]
        invoke = self.trace.events[self.invokes[op]].data
        assert type(invoke) is kinds.Invoke
        wall = self.wall_ms(name)
        node.stamp = (wall, 0) if wall > node.stamp[0] else (node.stamp[0], node.stamp[1] + 1)
        node.seq += 1
        parents = tuple(sorted({dot_of(ref) for ref in node.heads}))
        words = [("****" if word == "darn" else word) for word in invoke.text.split(" ")]
        text = " ".join(words)
        by = ("r",) if text != invoke.text else ()
        what: Any = {"post": "posted", "join": "joined", "leave": "left"}[invoke.action]
        facts = kinds.Facts(what, invoke.author, parents, *node.stamp, text, by)
        ref = f"{node.log}:{node.seq}#{print_of((node.log, node.seq, op))}"
        self.posted[ref] = Posted(ref, facts, 40 + len(text))
        node.heads = []
        self._hand(node, ref, "local", self.invokes[op] if cause is None else cause, op=op)
        node.waiting[op] = ref
        return ref

    def _hand(
        self,
        node: Node,
        ref: str,
        via: Any,
        cause: int | None,
        sender: str = "",
        op: int | None = None,
    ) -> None:
        node.records.append(ref)
        posted = self.posted[ref]
        data = kinds.Handed(
            len(node.records),
            ref,
            via,
            self.wall_ms(node.name),
            posted.facts,
            sender,
            op,
        )
        self.add(node.name, data, cause, size=posted.size)

    def refuse(self, name: str, code: str = "moderation", text: str = "zonk") -> int:
        op = self.invoke(name, "post", text)
        self.add(name, kinds.Fail(op, self.session(op), code, "no"), self.invokes[op])
        return op

    def unwritten(self, name: str, code: Any = "disk_full") -> None:
        """The disk is full, or failed for good: what is on its way never comes to be."""
        node = self.nodes[name]
        own = set(node.waiting.values())
        lost = node.records[node.shown :]
        if not lost or not own.issuperset(lost):
            return
        self.wait()
        del node.records[node.shown :]
        node.seq -= len(lost)
        for ref in lost:  # what they named is news again
            node.heads += self.posted[ref].facts.parents
        self.add(name, kinds.Unwritten(node.shown, code, "no room", code == "storage_error"))
        for op in node.waiting:
            self.add(name, kinds.Fail(op, self.session(op), code), self.invokes[op])
        node.waiting = {}

    def read(self, name: str, session: str = "") -> None:
        op = self.invoke(name, "read", session=session)
        seen = self.causal(name)
        self.add(name, kinds.Ok(op, self.session(op), seen=seen), self.invokes[op])

    def causal(self, name: str) -> tuple[str, ...]:
        return tuple(sorted(self.nodes[name].arrivals, key=lambda ref: self.posted[ref].key))

    # --- the disk -------------------------------------------------------------------------------

    def sync(self, name: str, *, durable: bool = True) -> None:
        """What was handed out is written, and synced in mode always or if asked for."""
        node = self.nodes[name]
        self.wait()
        if node.shown == len(node.records):
            return
        if durable or self.durability == "always":
            node.durable = len(node.records)
        cause = self.add(name, kinds.Written(len(node.records), node.durable))
        self._close_quiet(node)
        node.news_us = self.t_us
        for ref in node.records[node.shown :]:
            if ref.startswith("epoch "):
                continue
            node.arrivals.append(ref)
            via: Any = "local" if ref in node.waiting.values() else "rumor"
            self.add(name, kinds.Visible(len(node.arrivals), ref, via), cause)
            if via == "rumor":
                node.heads = [ref]
        node.shown = len(node.records)
        for op, ref in node.waiting.items():
            if op in self.far:
                node.promised[op] = ref
            else:
                self._ok(name, op, ref, "durable" if node.durable >= node.shown else "written")
        node.waiting = {}
        self._receipts()

    def _ok(self, name: str, op: int, ref: str, level: str) -> None:
        facts = self.posted[ref].facts
        ok = kinds.Ok(op, self.session(op), ref, level, facts.text, facts.censored_by)
        self.add(name, ok, self.invokes[op])

    def _receipts(self) -> None:
        """What is durable at home and on another disk is replicated, and its client is told."""
        for home in self.nodes.values():
            for op, ref in list(home.promised.items()):
                held = [ref in one.records[: one.durable] for one in self.nodes.values()]
                if ref in home.records[: home.durable] and sum(held) > 1:
                    del home.promised[op]
                    self._ok(home.name, op, ref, "replicated:1")

    def stop(self, name: str) -> None:
        self.sync(name)
        node = self.nodes[name]
        self._close_quiet(node)
        self.add(name, kinds.Stopped(len(node.records), len(node.records)))
        self._cut_off(node)
        node.up = False

    # --- the network ----------------------------------------------------------------------------

    def send(self, source: str, target: str, payload: int = 0, entries: int = 0) -> int:
        self.packets += 1
        self.counts["sent"] += 1
        data = kinds.Sent("Push" if entries else "Syn", 0, payload, 30, entries)
        for name, size in (
            ("bytes", payload + 30),
            ("payload_bytes", payload),
            ("framing_bytes", 30),
        ):
            self.bytes[name] += size
        msg_id = (source, self.nodes[source].inc, self.packets)
        return self.add(source, data, None, target, payload + 30, msg_id)

    def carry(self, source: str, target: str, *, most: int = 9, fate: str = "") -> None:
        """What the target lacks of what the source shows; or it is lost (`fate`), or repeated."""
        self.wait()
        theirs = self.nodes[target]
        news = [ref for ref in self.nodes[source].arrivals if ref not in theirs.records][:most]
        payload = sum(self.posted[ref].size for ref in news)
        sent = self.send(source, target, payload, len(news))
        size, msg_id = payload + 30, self.trace.events[sent].msg_id
        if fate == "copy":
            self.counts["copied"] += 1
            self.fire("duplicate")
            self.add(source, kinds.Copied(), sent, target, size, msg_id)
        if fate == "flying":
            self.counts["in_flight"] += 1
            return
        copies = 1 if fate == "copy" else 0
        if fate == "loss" or not theirs.up:
            self.counts["in_flight"] += copies
            why = "loss" if fate == "loss" else "down"
            if why == "loss":
                self.fire("loss")
            self.counts[f"dropped_{why}"] = self.counts.get(f"dropped_{why}", 0) + 1
            self.add(source, kinds.Dropped(why), sent, target, size, msg_id)
            return
        self.wait()
        for _ in range(1 + copies):
            self.counts["delivered"] += 1
            got = self.add(target, kinds.Got("Push" if news else "Syn"), sent, source, size, msg_id)
        for ref in news:
            via = "recovery" if ref.startswith(f"{target}.") else "rumor"
            theirs.stamp = max(theirs.stamp, self.posted[ref].key[:2])
            self._hand(theirs, ref, via, got, source)

    # --- the end --------------------------------------------------------------------------------

    def phase(self, name: Any, bound_us: int = 0) -> None:
        self.wait()
        self.add("", kinds.Phase(name, bound_us))

    def agree(self) -> None:
        """Everything goes everywhere."""
        for _ in range(2):
            for source in self.nodes.values():
                for target in self.nodes.values():
                    if source is not target and source.up and target.up:
                        self.sync(source.name)
                        self.carry(source.name, target.name, most=99)
                        self.sync(target.name)

    def finish(self, *, liveness: bool = True, agree: bool = True) -> list[Event]:
        self.phase("heal")
        if liveness:
            for node in self.nodes.values():
                if not node.up:
                    self.boot(node.name)
            self.phase("liveness", 1_000_000)
        if agree:
            self.agree()
        self.wait(20_000)
        self.end()
        return self.trace.events

    def end(self) -> None:
        for node in self.nodes.values():
            for op in [*node.waiting, *node.promised]:
                info = kinds.Info(op, self.session(op), "end")
                self.add(node.name, info, self.invokes[op])
            node.waiting, node.promised = {}, {}
        for node in self.nodes.values():
            if node.up:
                self._close_quiet(node)
                self.add(node.name, self.final(node))
        counts = self.counts | self.bytes
        self.add("", kinds.Totals(counts, self.fired, tuple(sorted(self.enabled))))
        self.add("", kinds.Phase("end"))

    def final(self, node: Node) -> kinds.Final:
        arrivals = tuple(node.arrivals)
        root = print_of(sorted(arrivals))
        half = print_of(sorted(arrivals[: len(arrivals) // 2]))
        held = {dot_of(ref) for ref in arrivals}
        gaps = [one for ref in arrivals for one in causes_of(self.posted[ref]) if one not in held]
        return kinds.Final(
            root, arrivals, self.causal(node.name), root, root, root, root, half, half, half, half,
            root, root, 0, (), len(gaps), "running", 100, {},
        )  # fmt: skip
