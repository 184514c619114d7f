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

from lab import kinds
from lab.trace import Event, Trace, dot_of
from tests.checkers.model import Node, Posted, causes_of, print_of

WALL_MS = 1_700_000_000_000
QUIET_MS = 5


class Book:
    def __init__(self, *nodes: str, durability: str = "always", scenario: str = "model") -> None:
        self.trace = Trace()
        self.t_us = 0
        self.durability = durability
        self.nodes = {name: Node(name) for name in nodes}
        self.posted: dict[str, Posted] = {}
        self.epochs = 0
        self.ops = 0
        self.packets = 0
        self.invokes: dict[int, int] = {}
        self.counts = {"sent": 0, "copied": 0, "delivered": 0, "in_flight": 0}
        self.bytes = {"bytes": 0, "digest_bytes": 0, "payload_bytes": 0, "framing_bytes": 0}
        self.fired: dict[str, int] = {}
        self.enabled: list[str] = []
        options = '{"rules": [{"id": "r", "words": ["darn"], "action": "censor"}]}'
        run = kinds.Run(kinds.SCHEMA, "sim", scenario, 7, nodes, "normal", options)
        self.add("", run)
        self.add("", kinds.Phase("faults"))

    # --- telling --------------------------------------------------------------------------------

    def add(
        self,
        node: str,
        data: kinds.Data,
        cause: int | None = None,
        peer: str | None = None,
        size: int | None = None,
        msg_id: tuple[str, int, int] | None = None,
    ) -> int:
        inc = self.nodes[node].inc if node else 0
        return self.trace.add(self.t_us, node, inc, data, cause, msg_id, peer, size)

    def wait(self, us: int = 1000) -> None:
        self.t_us += us

    def wall_ms(self, node: str) -> int:
        return WALL_MS + self.t_us // 1000 + self.nodes[node].offset_ms

    def fire(self, what: str, node: str = "") -> None:
        self.fired[what] = self.fired.get(what, 0) + 1
        if what not in self.enabled:
            self.enabled.append(what)
        if node:
            self.add(node, kinds.Fired(what))

    # --- lives ----------------------------------------------------------------------------------

    def boot(self, name: str) -> None:
        node = self.nodes[name]
        self.wait()
        node.inc += 1
        node.lives += 1
        node.up = True
        fresh = not any(one.startswith("epoch ") for one in node.records)
        must = "new log" if fresh else ""
        if node.flipped or (self.durability != "always" and not fresh) or node.disk == "older":
            must = "damage"  # a careful node: an older disk put back is noticed
        recovered = tuple(node.records)
        events = [one for one in node.records if not one.startswith("epoch ")]
        node.arrivals = list(dict.fromkeys(events))  # what was pulled back may be there twice
        if must:
            self.epochs += 1
            node.log, node.seq = f"{name}.{self.epochs:x}", 0
        torn = 9 if node.flipped else 0
        data = kinds.Boot(
            node.disk,
            recovered,
            tuple(node.arrivals),
            False,
            must,
            node.log,
            torn,
            0,
            self.wall_ms(name),
            QUIET_MS,
            self.durability,
        )
        node.flipped = False
        node.disk = "same"
        node.durable = node.shown = len(node.records)
        node.stamp = max([self.posted[ref].key[:2] for ref in node.arrivals], default=(0, 0))
        node.news_us = self.t_us if node.arrivals else -1
        node.heads = [ref for ref in node.arrivals if not ref.startswith(f"{name}.")]
        if not must:  # what was on its way when it died never was
            node.seq = sum(ref.startswith(f"{node.log}:") for ref in node.arrivals)
        booted = self.add(name, data)
        if must:
            node.records.append(f"epoch {node.log}")
            self.add(name, kinds.Epoch(len(node.records), node.log, must), booted)

    def crash(self, name: str, how: Any = "kill") -> None:
        """What is not written is gone; with the power, what is not synced. Here that is the same
        in mode always; else everything that was handed out was written.
        """
        node = self.nodes[name]
        self.wait()
        self._close_quiet(node)
        written = node.shown
        crash = kinds.Crash(how, "", written, node.durable)
        self.add(name, crash)
        self._cut_off(node)
        del node.records[node.durable if how in ("power", "storage") else written :]
        node.up = False

    def stop(self, name: str) -> None:
        self.sync(name)
        node = self.nodes[name]
        self._close_quiet(node)
        self.add(name, kinds.Stopped(len(node.records), len(node.records)))
        self._cut_off(node)
        node.up = False

    def put(self, name: str, disk: Any) -> None:
        """Another disk, while it is down: `empty`, or `older`, as its first life began."""
        node = self.nodes[name]
        node.records = [] if disk == "empty" else node.records[:2]
        node.hole = None
        node.disk = disk
        self.fire(f"disk_{disk}")

    def flip(self, name: str) -> None:
        """Bits of the last record are wrong, while it is down."""
        node = self.nodes[name]
        if len(node.records) > 1:
            lost = node.records.pop()
            node.hole = (len(node.records), lost)
            node.flipped = True
            self.fire("flip", name)

    def mend(self, name: str) -> None:
        """A sector that belongs elsewhere brings back the record that was flipped last."""
        node = self.nodes[name]
        if node.hole is not None:
            node.records.insert(*node.hole)
            node.hole = None
            node.flipped = True
            self.fire("misdirected", name)

    def _cut_off(self, node: Node) -> None:
        for op in node.waiting:
            self.add(node.name, kinds.Info(op, self.session(op), "crash"), self.invokes[op])
        node.waiting = {}

    # --- clients --------------------------------------------------------------------------------

    def invoke(self, name: str, action: Any, text: str = "", session: str = "") -> int:
        self.wait()
        self.ops += 1
        session = session or f"s-{name}"
        ack = "written" if self.durability == "none" else "durable"
        data = kinds.Invoke(self.ops, session, action, session, text, ack)
        self.invokes[self.ops] = self.add(name, data)
        return self.ops

    def session(self, op: int) -> str:
        data = self.trace.events[self.invokes[op]].data
        assert type(data) is kinds.Invoke
        return data.session

    def post(self, name: str, text: str = "hello", session: str = "", action: Any = "post") -> str:
        """Asked for and handed out; `sync` makes it visible and acknowledges it."""
        op = self.invoke(name, action, text if action == "post" else "", session)
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

    def unwritten(self, name: str) -> None:
        """The disk is full: what is on its way never comes to be."""
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
        self.add(name, kinds.Unwritten(node.shown, "disk_full", "no room", final=False))
        for op in node.waiting:
            self.add(name, kinds.Fail(op, self.session(op), "disk_full"), self.invokes[op])
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
            posted = self.posted[ref]
            level = "durable" if node.durable >= node.shown else "written"
            text, by = posted.facts.text, posted.facts.censored_by
            ok = kinds.Ok(op, self.session(op), ref, level, text, by)
            self.add(name, ok, self.invokes[op])
        node.waiting = {}

    def _close_quiet(self, node: Node) -> None:
        from_us = node.news_us + QUIET_MS * 1000
        if node.news_us >= 0 and from_us < self.t_us:
            self.add(node.name, kinds.Quiet(from_us, self.t_us, QUIET_MS))

    # --- the network ----------------------------------------------------------------------------

    def send(self, source: str, target: str, payload: int = 0, entries: int = 0) -> int:
        self.packets += 1
        self.counts["sent"] += 1
        data = kinds.Sent("Push", 0, payload, 30, entries)
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
            got = self.add(target, kinds.Got("Push"), sent, source, size, msg_id)
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
            for op in node.waiting:
                info = kinds.Info(op, self.session(op), "end")
                self.add(node.name, info, self.invokes[op])
            node.waiting = {}
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
