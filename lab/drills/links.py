"""Drill of `node.network.link_faults.FaultTable`: the faults set on the links to peers.

The model keeps the fault of each link and draws from a second generator of the same seed. Random
steps: change, set and clear faults of some or all links, and try invalid ones. The plan for each
packet (its delays in ms; none if it is lost), the counters and the text must be equal. Left out:
the sending itself (see `sending`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from lab.drills.beside import refused, same
from node.network.link_faults import DELAY_MS_MAX, WHOLE, FaultError, FaultTable, LinkFault

PEERS = ("n2", "n3", "n4")
STEPS = 12
BAD: tuple[dict[str, float], ...] = (
    {"loss": -0.01},
    {"loss": 1.01},
    {"duplicate": 1.5},
    {"delay_ms": -1.0},
    {"delay_ms": DELAY_MS_MAX + 1},
    {"jitter_ms": float("inf")},
    {"jitter_ms": float("nan")},
)


@dataclass(frozen=True)
class Link:
    blocked: bool = False
    loss: float = 0.0
    duplicate: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0

    def text(self) -> str:
        words = ["blocked"] if self.blocked else []
        words += [f"loss {self.loss * 100:g}%"] if self.loss else []
        words += [f"dup {self.duplicate * 100:g}%"] if self.duplicate else []
        if self.delay_ms or self.jitter_ms:
            words.append(f"delay {self.delay_ms:g}ms")
            if self.jitter_ms:
                words[-1] += f"±{self.jitter_ms:g}ms"
        return " ".join(words)


def links(rng: Random) -> None:
    seed = rng.getrandbits(32)
    table, chance = FaultTable(PEERS, Random(seed)), Random(seed)
    model = {peer: Link() for peer in PEERS}
    counts = {peer: [0, 0, 0, 0] for peer in PEERS}  # blocked, lost, duplicated, delayed
    same("peers", table.peers, PEERS)
    for _ in range(STEPS):
        named = rng.sample(PEERS, rng.randrange(3))
        match rng.randrange(5):
            case 0:
                table.clear(named)
                model |= {peer: Link() for peer in named or PEERS}
            case 1:
                bad = rng.choice(BAD)
                refused("a bad fault", FaultError, partial(_change, table, bad))
                refused("no peer", FaultError, lambda: table.change(["n9"], loss=0.5))
            case 2:
                fault = LinkFault(delay_ms=5.0)
                table.set(dict.fromkeys(named, fault))
                model |= {peer: Link(delay_ms=5.0) for peer in named}
            case _:
                change = _drawn(rng)
                _change(table, change, named)
                for peer in named or PEERS:
                    model[peer] = replace(model[peer], **change)  # type: ignore[arg-type]
        for peer in PEERS:
            for _ in range(2):
                plan = _plan(model[peer], counts[peer], chance)
                same(f"plan {model[peer].text()}", table.plan(peer), plan)
            _look(table, model[peer], peer, counts[peer])


def _change(
    table: FaultTable, change: Mapping[str, float | bool], named: Sequence[str] = ()
) -> None:
    table.change(named, **change)  # type: ignore[arg-type]


def _look(table: FaultTable, link: Link, peer: str, counts: list[int]) -> None:
    told = table.counts(peer)
    same("counts", [told.blocked, told.lost, told.duplicated, told.delayed], counts)
    same("text", table.text(peer), link.text())
    same("whole", table.whole(peer), link == Link())
    same("none", table.get(peer).none, link == Link())
    same("get", table.get(peer) == WHOLE, link == Link())


def _drawn(rng: Random) -> dict[str, float | bool]:
    every: dict[str, float | bool] = {
        "blocked": rng.random() < 0.3,
        "loss": rng.choice((0.0, 0.25, 0.5, 1.0)),
        "duplicate": rng.choice((0.0, 0.5, 1.0)),
        "delay_ms": rng.choice((0.0, 2.5, DELAY_MS_MAX)),
        "jitter_ms": rng.choice((0.0, 10.0)),
    }
    return {name: every[name] for name in rng.sample(sorted(every), rng.randint(1, 3))}


def _plan(link: Link, counts: list[int], chance: Random) -> list[float]:
    if link.blocked:
        counts[0] += 1
        return []
    if link.loss and chance.random() < link.loss:
        counts[1] += 1
        return []
    copies = 1
    if link.duplicate and chance.random() < link.duplicate:
        counts[2] += 1
        copies = 2
    if not link.delay_ms and not link.jitter_ms:
        return [0.0] * copies
    counts[3] += copies
    spread = link.jitter_ms
    return [max(0.0, link.delay_ms + spread * (2.0 * chance.random() - 1.0)) for _ in range(copies)]
