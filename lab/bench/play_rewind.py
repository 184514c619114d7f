"""Measures how long it takes to go back in `lab play`: a minute of five nodes, run anew.

Somebody says something twice a second at one node after the other, a node dies and comes back, and
a link is cut for a while. Then the session goes to the end of that minute once more, as the slider
does, and its rows are made for the page.
"""

import time

import msgspec

from lab.bench.figures import Figure, figure
from lab.bench.session import Session
from lab.plan.faults import Kill, Partition
from lab.play.deeds import Ask, End, Inflict
from lab.play.session import PlaySession, calm_plan
from lab.view.columns import Columns

SECONDS = 60
POSTS_S = 2
S_US = 1_000_000
GOAL_S = 1.0


def figures(session: Session) -> list[Figure]:
    played = _minute()
    to_us = played.now_us
    took_s: list[float] = []
    for _ in range(session.scale.repeats):
        began = time.perf_counter()
        played.back(to_us)
        msgspec.json.encode(Columns().add_all(played.trace).take())
        took_s.append(time.perf_counter() - began)
    note = f"of 5 nodes, {POSTS_S * SECONDS} messages, {len(played.trace):,} events"
    name = f"play, {SECONDS} simulated seconds run again"
    return [figure(name, "s", took_s, at_most=GOAL_S, note=note)]


def _minute() -> PlaySession:
    played = PlaySession(calm_plan())
    for at in range(POSTS_S * SECONDS):
        played.advance((at + 1) * S_US // POSTS_S - 1 - played.now_us)
        if at == SECONDS // 2:
            played.do(Inflict(Kill("n2", "power")))
            played.do(Inflict(Partition("one-way", (("n4", "n5"),))))
        elif at == SECONDS:
            played.do(End(tuple([one.id for one in played.active])))
        played.do(Ask(f"n{at % 5 + 1}", text=f"message {at}"))
    return played
