"""Faults of links: decides what happens to a packet from this node to one peer. Pure.

A fault belongs to a link and acts where the link begins, on the sending side, so that one side of a
partition can be cut alone. The transport asks `plan` for every packet that it is about to send, and
the simulator asks tables of its own (`lab.sim.packet_rules`). Nothing here sends, waits or looks at
a clock: a plan is the list of delays after which copies of the packet go out, and an empty plan is
a lost packet.

All draws come from the injected generator: the same generator and the same packets give the same
plans.
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from random import Random

from msgspec import Struct

DELAY_MS_MAX = 60_000.0


class FaultError(ValueError):
    """A fault that cannot be put on a link. The text is one clear line."""


class LinkFault(Struct, frozen=True):
    """What a link does to its packets. The default does nothing."""

    blocked: bool = False
    loss: float = 0.0  # share of packets that vanish, 0 to 1
    duplicate: float = 0.0  # share of packets that are sent twice, 0 to 1
    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # each copy takes delay_ms ± jitter_ms, uniformly, and never below 0

    def __post_init__(self) -> None:
        for name, share in (("loss", self.loss), ("duplicate", self.duplicate)):
            if not 0.0 <= share <= 1.0:
                raise FaultError(f"{name} is {share:g}: it is a share and lies between 0 and 1")
        for name, span_ms in (("delay_ms", self.delay_ms), ("jitter_ms", self.jitter_ms)):
            if not (isfinite(span_ms) and 0.0 <= span_ms <= DELAY_MS_MAX):
                raise FaultError(f"{name} is {span_ms:g}: it lies between 0 and {DELAY_MS_MAX:g}")

    @property
    def none(self) -> bool:
        return self == WHOLE

    def text(self) -> str:
        """For people, as in `loss 20% delay 50ms±20ms`; empty if the link is whole."""
        parts = ["blocked"] if self.blocked else []
        if self.loss:
            parts.append(f"loss {_percent(self.loss)}")
        if self.duplicate:
            parts.append(f"dup {_percent(self.duplicate)}")
        if self.delay_ms or self.jitter_ms:
            jitter = f"±{self.jitter_ms:g}ms" if self.jitter_ms else ""
            parts.append(f"delay {self.delay_ms:g}ms{jitter}")
        return " ".join(parts)


WHOLE = LinkFault()


class FaultCounts(Struct):
    """What the faults of one link did so far. Counts outlive the fault."""

    blocked: int = 0
    lost: int = 0
    duplicated: int = 0
    delayed: int = 0


class FaultTable:
    """The faults on the links from one node to its peers."""

    def __init__(self, peers: Iterable[str], rng: Random) -> None:
        self._rng = rng
        self._faults = dict.fromkeys(peers, WHOLE)
        self._counts = {peer: FaultCounts() for peer in self._faults}
        self._faulty = False

    def change(
        self,
        peers: Sequence[str] = (),
        *,
        blocked: bool | None = None,
        loss: float | None = None,
        duplicate: float | None = None,
        delay_ms: float | None = None,
        jitter_ms: float | None = None,
    ) -> None:
        """Change the faults on some links (none named: on all); None leaves that part as it is.

        Raises FaultError, and then nothing has changed.
        """
        for peer in peers:
            if peer not in self._faults:
                known = ", ".join(sorted(self._faults)) or "nobody"
                raise FaultError(f"no peer {peer[:64]!r} here: the peers are {known}")
        changed: dict[str, LinkFault] = {}
        for peer in peers or self._faults:
            old = self._faults[peer]
            changed[peer] = LinkFault(
                old.blocked if blocked is None else blocked,
                old.loss if loss is None else loss,
                old.duplicate if duplicate is None else duplicate,
                old.delay_ms if delay_ms is None else delay_ms,
                old.jitter_ms if jitter_ms is None else jitter_ms,
            )
        self.set(changed)

    def set(self, faults: dict[str, LinkFault]) -> None:
        """Replace the faults of these links."""
        assert faults.keys() <= self._faults.keys(), "a link to a peer that is not here"
        self._faults.update(faults)
        self._faulty = any(not fault.none for fault in self._faults.values())

    def clear(self, peers: Sequence[str] = ()) -> None:
        """Make links whole again (none named: all)."""
        self.set(dict.fromkeys(peers or self._faults, WHOLE))

    @property
    def peers(self) -> tuple[str, ...]:
        return tuple(self._faults)

    def get(self, peer: str) -> LinkFault:
        return self._faults[peer]

    def text(self, peer: str) -> str:
        return self._faults[peer].text()

    def counts(self, peer: str) -> FaultCounts:
        return self._counts[peer]

    def whole(self, peer: str) -> bool:
        """The fast path: nothing happens to packets on this link."""
        return not self._faulty or self._faults[peer].none

    def plan(self, peer: str) -> list[float]:
        """When copies of the next packet to this peer go out, in ms from now. Empty: it is lost."""
        fault = self._faults[peer]
        if fault.none:
            return [0.0]
        counts, draw = self._counts[peer], self._rng.random
        if fault.blocked:
            counts.blocked += 1
            return []
        if fault.loss and draw() < fault.loss:
            counts.lost += 1
            return []
        copies = 1
        if fault.duplicate and draw() < fault.duplicate:
            counts.duplicated += 1
            copies = 2
        if not (fault.delay_ms or fault.jitter_ms):
            return [0.0] * copies
        counts.delayed += copies
        return [
            max(0.0, fault.delay_ms + fault.jitter_ms * (2.0 * draw() - 1.0)) for _ in range(copies)
        ]


def _percent(share: float) -> str:
    return f"{share * 100:.4g}%"
