"""Drill of the projections of `domain`: `Timeline`, `Presence` and `Quiet` over a history.

The model is the list of arrivals. They come in any order, with gaps, forks, equal stamps and
parents that nobody holds; the last one may be undone. Both kinds of history (`PagedHistory`,
`MemoryHistory`) are used. Every view must equal what the list gives, after steps back and after
rows were saved and restored, too. Left out: checkpoint files (see `sealing`).
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

from domain.arrival import Arrival, Via
from domain.clock import Stamp
from domain.dot import Dot
from domain.events import Event, MessagePosted, ParticipantJoined, ParticipantLeft, UnknownEvent
from domain.history import MemoryHistory, PagedHistory
from domain.presence import Presence
from domain.quiet import Quiet
from domain.timeline import Order, Timeline
from lab.drills.beside import holds, same

STEPS = 30
AUTHORS = ("ann", "bob", "cyd")
ORIGINS = ("n1", "n2", "n3")
VIAS: tuple[Via, ...] = ("local", "rumor", "anti-entropy", "recovery")
ORDERS: tuple[Order, ...] = ("causal", "arrival", "author")
BECAUSE: dict[type, Literal["posted", "joined", "left"]] = {
    MessagePosted: "posted", ParticipantJoined: "joined", ParticipantLeft: "left",
}  # fmt: skip


@dataclass
class Shown:
    """One node's projections over one history."""

    history: PagedHistory | MemoryHistory
    timeline: Timeline
    presence: Presence
    quiet: Quiet

    def apply(self, arrival: Arrival) -> None:
        self.history.append(arrival)
        for one in (self.timeline, self.presence, self.quiet):
            one.apply(arrival)

    def rewind(self, newest: Arrival) -> None:
        for one in (self.timeline, self.presence, self.quiet):
            same("rewound", one.rewind(), newest)
        same("popped", self.history.pop(), newest)


def shown(history: PagedHistory | MemoryHistory) -> Shown:
    return Shown(history, Timeline((), history), Presence(history), Quiet(50, history))


def timelines(rng: Random) -> None:
    met: list[Arrival] = []
    paged = rng.random() < 0.7
    history = PagedHistory(lambda index: met[index].event) if paged else MemoryHistory()
    one = shown(history)
    made = _made(rng)
    back: list[tuple[int, bytes, bytes]] = []
    for step in range(STEPS):
        if met and rng.random() < 0.2:
            one.rewind(met[-1])
            met.pop()
        elif len(made) > len(met):
            there = {arrival.tag for arrival in met}
            left = [arrival for arrival in made if arrival.tag not in there]
            met.append(left[0] if rng.random() < 0.5 else rng.choice(left))
            one.apply(met[-1])
        if step % 15 == 7:
            _look(rng, one, met)
        if rng.random() < 0.1:
            back.append((len(met), one.timeline.fingerprint(), one.presence.fingerprint()))
    late, top = 0, met[0].key if met else None
    for arrival in met:
        assert top is not None
        late += arrival.key < top
        top = max(top, arrival.key)
    same("late", one.timeline.late, late)
    _look(rng, one, met)
    again = shown(PagedHistory(lambda index: met[index].event))
    for arrival in met:
        again.apply(arrival)
    _equal(again, one)
    if paged:
        _rows(rng, one, met)
    while met:  # and back to nothing, past what it was before
        one.rewind(met[-1])
        met.pop()
        if len(met) == 5:
            _look(rng, one, met)
    same("nothing", (one.timeline.shown, one.presence.known), (0, 0))


def _equal(one: Shown, other: Shown) -> None:
    same("timelines", one.timeline.fingerprint(), other.timeline.fingerprint())
    same("presences", one.presence.fingerprint(), other.presence.fingerprint())
    same("quiet", one.quiet.fingerprint(), other.quiet.fingerprint())


def _rows(rng: Random, one: Shown, met: list[Arrival]) -> None:
    """Save the rows in two parts and restore them."""
    if len({arrival.event.dot for arrival in met}) < len(met):
        return  # no rows are written of forks
    history = PagedHistory(lambda index: met[index].event)
    built = shown(history)
    cut = rng.randint(0, len(met))
    taken = shown(PagedHistory(lambda index: met[index].event))
    for first, last in ((0, cut), (cut, len(met))):
        named, tops = history.named, built.timeline.named
        for arrival in met[first:last]:
            built.apply(arrival)
        if last == first:
            continue
        assert isinstance(taken.history, PagedHistory)
        taken.history.take_rows(history.rows(first, named))
        held = [(log, seq, seq) for log, rows in history.positions(first) for seq, _ in rows]
        taken.timeline.take_rows(built.timeline.rows(first, tops), last - first, held)
        taken.presence.take_rows(built.presence.rows(first))
        taken.quiet.take_rows(last - first)
        _look(rng, taken, met[:last])
        stamps = [a.event.stamp for a in met[first:last] if not a.skewed]
        same("last stamp", history.last_stamp(first), max(stamps, default=Stamp(0, 0)))
    _equal(taken, one)


# --- what must be seen ----------------------------------------------------------------------------


def _look(rng: Random, one: Shown, met: list[Arrival]) -> None:
    _look_at_presence(one.presence, met)
    timeline = one.timeline
    same("len", (len(timeline), timeline.shown, len(one.history)), (len(met),) * 3)
    for order in ORDERS:
        arrivals = rng.choice((None, rng.randint(-1, len(met) + 1)))
        as_of_ms = rng.choice((None, rng.randint(0, 300)))
        last = rng.choice((None, rng.randint(-1, 4)))
        picked = timeline.select(order, arrivals=arrivals, as_of_ms=as_of_ms, last=last)
        wanted = met if arrivals is None else met[: max(arrivals, 0)]
        if as_of_ms is not None:
            while wanted and wanted[-1].received_at_ms > as_of_ms:
                wanted = wanted[:-1]
        wanted = _in_order(order, wanted)
        if last is not None:
            wanted = wanted[-last:] if last > 0 else []
        same(f"{order}, {arrivals}, {as_of_ms}, {last}", picked, wanted)
    same("holes", timeline.holes(), _holes(met))
    holds("overlooked", not timeline.overlooked)
    held = {arrival.event.dot for arrival in met}
    for dot in (*list(held)[:3], Dot("n1", 1, 9), Dot("n9", 1, 1)):
        same(f"contains {dot}", timeline.contains(dot), dot in held)
        same("of", one.history.of(dot), [at for at, a in enumerate(met) if a.event.dot == dot])
    for at, arrival in enumerate(met[-3:], max(len(met) - 3, 0)):
        same("arrival", timeline.arrival(at), arrival)
        told = (one.history.key(at), one.history.author(at), one.history.received_at_ms(at))
        same("key", told, (arrival.key, arrival.event.author, arrival.received_at_ms))
    _look_at_quiet(rng, one.quiet, met)


def _in_order(order: Order, met: list[Arrival]) -> list[Arrival]:
    if order == "arrival":
        return met
    causal = sorted(met, key=lambda arrival: arrival.key)
    return causal if order == "causal" else sorted(causal, key=lambda one: one.event.author)


def _holes(met: list[Arrival]) -> list[tuple[str, int, int, int]]:
    held: dict[tuple[str, int], set[int]] = {}
    tops: dict[tuple[str, int], int] = {}
    for arrival in met:
        for dot in (arrival.event.dot, *arrival.event.parents):
            log = dot.origin, dot.epoch
            tops[log] = max(tops.get(log, 0), dot.seq)
            held.setdefault(log, set())
        dot = arrival.event.dot
        held[dot.origin, dot.epoch].add(dot.seq)
    found: list[tuple[str, int, int, int]] = []
    for log in sorted(tops):
        for seq in range(1, tops[log] + 1):
            if seq in held[log]:
                continue
            if found and found[-1][:2] == log and found[-1][3] == seq - 1:
                found[-1] = (*found[-1][:3], seq)
            else:
                found.append((*log, seq, seq))
    return found


def _look_at_presence(presence: Presence, met: list[Arrival]) -> None:
    deciding: dict[str, Event] = {}
    for arrival in sorted(met, key=lambda one: one.key):
        if type(arrival.event) in BECAUSE:
            deciding[arrival.event.author] = arrival.event
    told = [(p.author, p.active, p.because, p.dot, p.since) for p in presence.participants()]
    wanted = [
        (author, (because := BECAUSE[type(event)]) != "left", because, event.dot, event.stamp)
        for author, event in sorted(deciding.items())
    ]
    same("participants", told, wanted)
    same("known", presence.known, len(deciding))
    after = [one.author for one in presence.participants("ann", 1)]
    same("a page", after, sorted(author for author in deciding if author > "ann")[:1])
    for author in AUTHORS:
        here = any(row[0] == author and row[1] for row in wanted)
        same(f"{author} is active", presence.is_active(author), here)
        same(f"{author} is known", presence.of(author) is not None, author in deciding)


def _look_at_quiet(rng: Random, quiet: Quiet, met: list[Arrival]) -> None:
    wall_ms = rng.choice((0, 100, 400, rng.randint(0, 400)))
    since_ms = wall_ms - met[-1].received_at_ms if met else 0
    same("quiet for", quiet.quiet_for_ms(wall_ms), max(since_ms, 0))
    same("is quiet", quiet.is_quiet(wall_ms), bool(met) and since_ms >= quiet.quiet_ms)


# --- what comes -----------------------------------------------------------------------------------


def _made(rng: Random) -> list[Arrival]:
    """Some logs of some origins; now and then a position has two branches."""
    made: list[Arrival] = []
    ms = 1
    for origin in ORIGINS[: rng.randint(1, 3)]:
        for epoch in range(1, rng.randint(2, 3)):
            for seq in range(1, rng.randint(2, 9)):
                ms += rng.choice((0, 0, 1, 4))
                if rng.random() < 0.1:
                    ms = max(ms - 8, 1)
                branches = 1 + (rng.random() < 0.05)
                made += [_arrival(rng, Dot(origin, epoch, seq), ms) for _ in range(branches)]
    rng.shuffle(made)
    return made


def _arrival(rng: Random, dot: Dot, ms: int) -> Arrival:
    stamp, author = Stamp(ms, rng.choice((0, 0, 1, 65_535))), rng.choice(AUTHORS)
    parents = tuple([Dot(rng.choice((*ORIGINS, "n9")), rng.randint(1, 2), rng.randint(1, 12))
                     for _ in range(rng.choice((0, 0, 1, 2)))])  # fmt: skip
    events: tuple[Event, ...] = (
        MessagePosted(dot, stamp, parents, author, "hi"),
        ParticipantJoined(dot, stamp, parents, author),
        ParticipantLeft(dot, stamp, parents, author),
        UnknownEvent(dot, stamp, parents, author, 99),
    )
    event = rng.choice((events[0], *events))
    skewed = rng.random() < 0.1
    return Arrival(event, rng.randbytes(8), rng.randint(0, 300), rng.choice(VIAS), skewed)
