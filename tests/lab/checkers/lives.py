"""The ground of a history: time, the trace, and lives of nodes on their disks. See `histories`."""

from typing import Any

from lab.trace import kinds
from lab.trace.trace import Trace
from tests.lab.checkers.model import Node, Posted

WALL_MS = 1_700_000_000_000
QUIET_MS = 5


class Lives:
    """Mutable."""

    def __init__(self, *nodes: str, durability: str = "always", scenario: str = "model") -> None:
        self.trace = Trace()
        self.t_us = 0
        self.durability = durability
        self.nodes = {name: Node(name) for name in nodes}
        self.posted: dict[str, Posted] = {}
        self.epochs = 0
        self.ops = 0
        self.far: set[int] = set()  # ops that ask for replicated:1
        self.packets = 0
        self.invokes: dict[int, int] = {}
        self.counts = {"sent": 0, "copied": 0, "delivered": 0, "in_flight": 0}
        self.bytes = {"bytes": 0, "digest_bytes": 0, "payload_bytes": 0, "framing_bytes": 0}
        self.fired: dict[str, int] = {}
        self.enabled: list[str] = []
        rules = [("r", "darn", "censor"), ("h", "zonk", "reject")]
        told = [f'{{"id": "{i}", "words": ["{w}"], "action": "{a}"}}' for i, w, a in rules]
        options = f'{{"rules": [{", ".join(told)}]}}'
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
        for op in node.promised:
            self.add(node.name, kinds.Info(op, self.session(op), "crash"), self.invokes[op])
        node.waiting, node.promised = {}, {}

    def session(self, op: int) -> str:
        data = self.trace.events[self.invokes[op]].data
        assert type(data) is kinds.Invoke
        return data.session

    def _close_quiet(self, node: Node) -> None:
        from_us = node.news_us + QUIET_MS * 1000
        if node.news_us >= 0 and from_us < self.t_us:
            self.add(node.name, kinds.Quiet(from_us, self.t_us, QUIET_MS))
