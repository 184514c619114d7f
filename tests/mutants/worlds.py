"""Mutants of the bench itself and of what makes a run repeatable: faults, ledgers, chance."""

import random
from time import monotonic_ns

from domain.arrival import Arrival
from gossip import pushing
from gossip.rounds import Rounds
from lab.sim.host import Host
from lab.sim.network import Flight, Network
from lab.sim.packet_rules import TableRule
from lab.sim.process import SimProcess
from lab.trace.trace import Trace
from tests.mutants.planting import Bed, Swaps

BED = Bed()
planted = BED.planted


@planted(
    "fault-never-fires",
    "Loss is planned, announced and never loses anything.",
    "lab.sim.packet_rules.TableRule.meet",
    "C17",
    "planned-loss",
)
def fault_never_fires() -> Swaps:
    return [(TableRule, "meet", lambda self, fate: False)]


@planted(
    "drops-unsaid",
    "Of the packets that never arrive, some are in no ledger and no trace.",
    "lab.sim.network.Network.drop",
    "C18",
    "lossy",
)
def drops_unsaid() -> Swaps:
    original = Network.drop

    def drop(self: Network, flight: Flight, why: str) -> None:
        if flight.parcel.msg_id[2] % 5:
            original(self, flight, why)

    return [(Network, "drop", drop)]


@planted(
    "bytes-miscounted",
    "The ledger counts the packets of one kind without their framing.",
    "lab.sim.network.Network.send",
    "C18",
    "calm",
)
def bytes_miscounted() -> Swaps:
    original = Network.send

    def send(self: Network, source: object, sends: list[object], cause: int | None) -> None:
        original(self, source, sends, cause)  # type: ignore[arg-type]
        self.ledger.bytes -= len(sends)

    return [(Network, "send", send)]


@planted(
    "never-comes-back",
    "A start that is due after a crash does not happen.",
    "lab.sim.host.Host.start",
    "C14",
    "crash-storm",
)
def never_comes_back() -> Swaps:
    original = Host.start

    def start(self: Host, nothing: object = None) -> None:
        if not self.lives:
            original(self, nothing)

    return [(Host, "start", start)]


@planted(
    "observer-meddles",
    "Whoever looks on takes a draw from a node's disk.",
    "lab.sim.process.SimProcess.publish",
    "C15",
    "observed",
)
def observer_meddles() -> Swaps:
    original = SimProcess.publish

    def publish(self: SimProcess, published: list[tuple[int, Arrival]]) -> None:
        original(self, published)
        if self._trace.observers:
            self._host.disk_rng.random()

    return [(SimProcess, "publish", publish)]


@planted(
    "observer-writes",
    "Looking at an event leaves an event in the trace.",
    "lab.trace.trace.Trace.add",
    "C15",
    "observed",
)
def observer_writes() -> Swaps:
    original = Trace.add

    def add(self: Trace, t_us: int, node: str, inc: int, data: object, *more: object) -> int:
        seq = original(self, t_us, node, inc, data, *more)  # type: ignore[arg-type]
        if self.observers and seq == 200:
            original(self, t_us, node, inc, data, seq)  # type: ignore[arg-type]
        return seq

    return [(Trace, "add", add)]


@planted(
    "set-order",
    "The order in which peers are called is that of a set of names.",
    "gossip.rounds.Rounds._pick",
    "C19",
    "hashed",
)
def set_order() -> Swaps:
    original = Rounds._pick

    def pick(self: Rounds, now_ms: int) -> str | None:
        self._order = list(set(self._order))
        return original(self, now_ms)

    return [(Rounds, "_pick", pick)]


@planted(
    "global-chance",
    "Peers of a rumor are drawn from the interpreter's own generator.",
    "gossip.pushing.sample, gossip.rounds.Rounds._jittered",
    "C19",
    "hashed",
)
def global_chance() -> Swaps:
    def sample(rng: object, names: list[str], k: int) -> list[str]:
        return random.sample(names, min(k, len(names)))

    def jittered(self: Rounds, pause_ms: int) -> int:
        return max(1, int(pause_ms * random.uniform(0.8, 1.2)))

    return [(pushing, "sample", sample), (Rounds, "_jittered", jittered)]


@planted(
    "real-clock",
    "The pause between rounds depends on the real clock.",
    "gossip.rounds.Rounds._jittered",
    "C19",
    "hashed",
)
def real_clock() -> Swaps:
    def jittered(self: Rounds, pause_ms: int) -> int:
        return max(1, pause_ms + monotonic_ns() // 1000 % 7 - 3)

    return [(Rounds, "_jittered", jittered)]
